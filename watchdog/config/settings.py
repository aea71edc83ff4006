"""The section `detect:`: the thresholds of the conditions, one for each row of the table of kinds."""

from types import new_class
from typing import TYPE_CHECKING, Annotated, Literal

from watchdog.core.fields import Mark, rewritten
from watchdog.detectors import RULES
from watchdog.detectors.rules import Rule, Rules, RulesForAll, RulesForSome


def _switch(value: object) -> object:
    """`off` and `on` instead of a section. YAML reads both as booleans unless they are quoted."""
    if value is False or (isinstance(value, str) and value.lower() in ("off", "no", "false")):
        return {"on": False}
    if value is True or (isinstance(value, str) and value.lower() in ("on", "yes", "true")):
        return {"on": True}
    return value


def _switch_or(rule: type[Rule]) -> Mark:
    return rewritten(_switch, rule | Literal["off", "on"] | bool)


def _with_sections(base: type[Rules], name: str, **own: tuple[object, object]) -> type[Rules]:
    keys = {kind.value: (Annotated[rule, _switch_or(rule)], rule()) for kind, rule in RULES.items()} | own
    annotations = {key: type_ for key, (type_, _) in keys.items()}
    defaults = {key: default for key, (_, default) in keys.items()}
    body = {"__annotations__": annotations, "__doc__": base.__doc__, "__module__": __name__, **defaults}
    made: type[Rules] = new_class(name, (base,), exec_body=lambda space: space.update(body))
    return made


if TYPE_CHECKING:
    JobRules = RulesForSome
    Detect = RulesForAll
else:
    JobRules = _with_sections(RulesForSome, "JobRules")
    Detect = _with_sections(RulesForAll, "Detect", jobs=(tuple[JobRules, ...], ()))
