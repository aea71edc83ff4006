"""What stands in the configuration of a Hermes agent."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from watchdog.config.fields import FilePath, Name, Zone
from watchdog.config.sources import Section
from watchdog.core.fields import bounds


class Hermes(Section):
    """A Hermes agent's home folder, with the profiles under it (docs/hermes.md).

    `home`: $HERMES_HOME. `profiles`: whether the homes in its `profiles/` are watched with it; their jobs are called
    `profile/name`. `timezone`: the one zone of all its schedules, where neither its config.yaml nor what it writes
    tells it right. `cli`: how its own command is called where recovery may use it, for example
    `[docker, exec, hermes, hermes]`.
    """

    examples: ClassVar[Mapping[str, str]] = {"home": "~/.hermes", "timezone": "Europe/Berlin"}
    actions: ClassVar = ("run_due", "pause", "resume")
    names_jobs: ClassVar = ("home",)

    kind: Literal["hermes"]
    name: Name = "hermes"
    home: FilePath
    profiles: bool = True
    timezone: Zone | None = None
    cli: Annotated[tuple[Annotated[str, bounds(min_length=1)], ...], bounds(min_length=1)] = ("hermes",)
