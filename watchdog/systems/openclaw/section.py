"""What stands in the configuration of an OpenClaw gateway."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from watchdog.config.fields import DAY, FilePath, Name, Zone, between
from watchdog.config.sources import Section
from watchdog.core.fields import Duration, bounds


class OpenClaw(Section):
    """An OpenClaw gateway's state folder, or the one file in it that holds the jobs (docs/openclaw.md).

    `state_dir`: the folder, often `~/.openclaw`. `store`: instead, the jobs.json or the database in it. `lock`: the
    gateway's lock file, or the folder that it lies in: it tells restarts. `timezone`: the zone in which the gateway
    runs, for schedules that name none. `grace`: how long after its due time a job may start; the gateway never sleeps
    longer than a minute. `cli`: how its own command is called where recovery may use it, for example `[docker, exec,
    gateway, openclaw]`.
    """

    examples: ClassVar[Mapping[str, str]] = {
        "state_dir": "~/.openclaw",
        "store": "/data/cron/jobs.json",
        "lock": "/run/openclaw/gateway.lock",
    }
    actions: ClassVar = ("run_due", "enable", "unstick", "pause")
    names_jobs: ClassVar = ("state_dir", "store")

    kind: Literal["openclaw"]
    name: Name = "openclaw"
    state_dir: FilePath | None = None
    store: FilePath | None = None
    lock: FilePath | None = None
    timezone: Zone = "UTC"
    grace: Annotated[Duration, between(timedelta(), DAY)] = timedelta(minutes=1)
    cli: Annotated[tuple[Annotated[str, bounds(min_length=1)], ...], bounds(min_length=1)] = ("openclaw",)
    labels: Mapping[str, str] = field(default_factory=dict)

    def fits_together(self) -> None:
        """One place."""
        if (self.state_dir is None) == (self.store is None):
            raise ValueError(
                "give one of state_dir (the folder, often ~/.openclaw) and store (its jobs.json or database)"
            )
