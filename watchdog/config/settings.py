"""The section `detect:`: the thresholds of the conditions, one for each row of the table of kinds."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, create_model

from watchdog.detectors import RULES
from watchdog.detectors.rules import Rule, RulesForAll, RulesForSome


def _switch(value: object) -> object:
    """`off` and `on` instead of a section. YAML reads both as booleans unless they are quoted."""
    if value is False or (isinstance(value, str) and value.lower() in ("off", "no", "false")):
        return {"on": False}
    if value is True or (isinstance(value, str) and value.lower() in ("on", "yes", "true")):
        return {"on": True}
    return value


def _switch_or(rule: type[Rule]) -> BeforeValidator:
    return BeforeValidator(_switch, json_schema_input_type=rule | Literal["off", "on"] | bool)


def _sections() -> dict[str, Any]:
    return {kind.value: (Annotated[rule, _switch_or(rule)], rule()) for kind, rule in RULES.items()}


if TYPE_CHECKING:
    JobRules = RulesForSome
    Detect = RulesForAll
else:
    JobRules = create_model("JobRules", __base__=RulesForSome, __doc__=RulesForSome.__doc__, **_sections())
    Detect = create_model(
        "Detect", __base__=RulesForAll, __doc__=RulesForAll.__doc__, jobs=(tuple[JobRules, ...], ()), **_sections()
    )
