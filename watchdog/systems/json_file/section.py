"""What stands in the configuration of a scheduler that keeps its jobs in a JSON file."""

import os
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from watchdog.config.fields import DAY, SECOND, FilePath, Name, Zone, between
from watchdog.config.sources import Section
from watchdog.core.fields import Duration, Frozen, bounds, rewritten
from watchdog.core.model import CronRules
from watchdog.systems.json_file.mapping import Condition, Ways
from watchdog.systems.json_file.mapping import Path as Inside
from watchdog.systems.json_file.presets import NAMES, Preset, facts

JobColumn = Literal[
    "id",
    "name",
    "enabled",
    "status",
    "schedule",
    "cron",
    "every",
    "at",
    "timezone",
    "next_run_at",
    "last_run_at",
    "last_run_status",
    "last_run_error",
    "last_run_duration",
    "consecutive_errors",
    "running_since",
    "max_run",
    "planned_since",
    "updated_at",
    "created_by",
    "delivery_target",
    "delivery_status",
]
RunColumn = Literal[
    "id",
    "job_id",
    "started_at",
    "ended_at",
    "duration",
    "status",
    "error",
    "input_tokens",
    "output_tokens",
]

Least = timedelta(0)


class Runs(Frozen):
    """Where runs are on record: one of `inside`, `folder`, `log` and `database`.

    `inside`: the path, in a job, to a list of its runs. `folder`: a folder with a file of JSON for each run. `log`: a
    file that only grows, an object a line. `database`: an SQLite file. `query`: what lists its newest runs. `columns`:
    which field is what.

    What several records say of a run of one id is put together, the first that says something going before.
    """

    inside: Inside | None = None
    folder: FilePath | None = None
    log: FilePath | None = None
    database: FilePath | None = None
    query: str | None = None
    columns: Mapping[RunColumn, Ways] = field(default_factory=dict)

    def fits_together(self) -> None:
        """One place."""
        if sum(way is not None for way in (self.inside, self.folder, self.log, self.database)) != 1:
            raise ValueError("give one of inside, folder, log and database")
        if (self.database is None) != (self.query is None):
            raise ValueError("database and query belong together")
        if self.database is None and "started_at" not in self.columns and "ended_at" not in self.columns:
            raise ValueError("columns: give started_at, or ended_at")
        if self.database is None and self.inside is None and "job_id" not in self.columns:
            raise ValueError("columns: give job_id")


def _placed(given: Mapping[str, Any], usual: str) -> Mapping[str, Any]:
    """What is given, with the folder that the given file lies in as the preset has it."""
    file = given.get("file")
    if file is None or given.get("folder") is not None:
        return given
    parents = Path(str(file)).parents
    return {**given, "folder": parents[min(len(Path(usual).parts), len(parents)) - 1]}


def _with_own(known: Mapping[str, Any], own: object) -> object:
    """What the preset says of a part, with what is said otherwise."""
    if own is None:
        return known
    return {**known, **own} if isinstance(own, Mapping) else own


def _held(known: Mapping[str, Any], parts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The file of calls is what its process holds open: where that lies elsewhere, so does this."""
    calls = parts.get("model_calls")
    is_moved = isinstance(calls, Mapping) and known["model_calls"]["database"] == known.get("held_open")
    return {"held_open": calls["database"]} if is_moved and isinstance(calls, Mapping) else {}


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | os.PathLike) else value


_ONE_OR_SEVERAL = rewritten(_several, str | tuple[str, ...])


class ModelCalls(Frozen):
    """Where each call of a model is on record, without the run that it was for: it is the one in which it lies in time,
    so runs must not overlap.

    `database`: the SQLite file, or several of which the first that is there is read. `query`: returns `at`, `tokens`
    and `error`, the newest first. `needed`: of which jobs a run without any such call has done no work.
    """

    database: Annotated[tuple[FilePath, ...], _ONE_OR_SEVERAL, bounds(min_length=1)]
    query: str
    needed: Condition | None = None


class JsonFile(Section):
    """A scheduler that keeps its jobs in a JSON file: which field of it is what (docs/json.md), or a `preset`.

    `preset`: the agent whose facts are used; what else is said goes before. `folder`: where its files lie. `file`:
    where the jobs are, from `folder` on. `list`: the path to their list in it. `jobs`: which field of a job is what.
    `skip`: what is no job. `runs`: where runs are on record. `model_calls`: where calls of a model are on record.
    `disabled_by_scheduler`: what a job looks like that its scheduler gave up. `advances_before_run`: a next run is
    written before the run that was due, so only work tells. `one_at_a_time`: a run keeps all others waiting.
    `recomputed_at_start`: each start of the scheduler plans all jobs anew. `null_is_running`: a job without a next run
    is in flight. `unmarked`: of which jobs nothing shows that they are in flight. `backs_off`: after an error a job may
    be planned for later than its schedule says. `held_open`: SQLite files that its process keeps open. `saved_every`:
    how old what stands in the file may be by the scheduler's own habit. `gone_after`: from which age on it is not
    running. `grace`: how late a run may show besides. `max_run`: how long a run may take before it is stuck, for jobs
    that do not say it themselves. `cron`: by whose rules cron expressions are read. `cron_sunday`: which number Sunday
    has. `bad_cron`: what the scheduler does with an expression that it cannot read, in words. `timezone`: the zone of
    schedules that name none.
    """

    examples: ClassVar[Mapping[str, str]] = {
        "preset": "agent-zero",
        "folder": "~/.agent",
        "file": "cron/jobs.json",
        "list": "jobs",
        "jobs": "{id: id, next_run_at: state.nextRunAtMs}",
        "skip": "{kind: internal}",
        "runs": "[{log: runs.jsonl, columns: {job_id: job, started_at: at}}]",
        "model_calls": '{database: usage.db, query: "SELECT at, tokens, error FROM calls ORDER BY at DESC"}',
        "held_open": "[state.db]",
        "disabled_by_scheduler": '[{enabled: false, errors: ">= 5"}]',
        "gone_after": "5m",
        "unmarked": "{kind: system}",
        "max_run": "2h",
        "bad_cron": "it runs every hour instead",
    }

    names_jobs: ClassVar = ("folder", "file")

    kind: Literal["json"]
    name: Name = "json"
    preset: Preset | None = None
    folder: FilePath | None = None
    file: FilePath | None = None
    list: Inside | None = None
    jobs: Mapping[JobColumn, Ways] = field(default_factory=dict)
    skip: Condition | None = None
    runs: tuple[Runs, ...] = ()
    model_calls: ModelCalls | None = None
    held_open: Annotated[tuple[FilePath, ...], _ONE_OR_SEVERAL] = ()
    disabled_by_scheduler: tuple[Condition, ...] = ()
    advances_before_run: bool = False
    one_at_a_time: bool = False
    recomputed_at_start: bool = False
    null_is_running: bool = False
    backs_off: bool = True
    saved_every: Annotated[Duration, between(Least, DAY)] = Least
    gone_after: Annotated[Duration, between(SECOND, DAY)] | None = None
    unmarked: Condition | None = None
    grace: Annotated[Duration, between(Least, DAY)] = timedelta(minutes=1)
    max_run: Annotated[Duration, between(SECOND, 365 * DAY)] | None = None
    cron: CronRules = "classic"
    cron_sunday: Literal[0, 1] = 0
    bad_cron: str = ""
    timezone: Zone = "UTC"
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def prepared(cls, given: Any) -> Any:
        """On its preset."""
        if not isinstance(given, Mapping) or given.get("preset") not in NAMES:
            return given
        known = facts(given["preset"])
        parts = {part: _with_own(known[part], given.get(part)) for part in ("jobs", "model_calls") if part in known}
        off = {part: None for part in ("model_calls",) if part in given and given[part] is None}
        held = _held(known, parts) if "held_open" not in given else {}
        return {"name": given["preset"], **known, **_placed(given, known["file"]), **parts, **off, **held}

    def fits_together(self) -> None:
        """Whether there is enough to read it by."""
        if self.file is None:
            raise ValueError("give file: the JSON file with the jobs")
        if "id" not in self.jobs and "name" not in self.jobs:
            raise ValueError("jobs: give id, the path to what names a job")
        if self.folder is None and not self.file.is_absolute():
            raise ValueError(f"give folder: where {self.file} lies")

    @property
    def store(self) -> Path:
        """The file of the jobs."""
        return self.beside(self.file or Path())

    @property
    def places(self) -> Mapping[str, Path]:
        """The file of the jobs lies in the folder."""
        return {**super().places, "file": self.store}

    def beside(self, path: Path) -> Path:
        """A path as it is meant: from the folder on, where it is not whole; else from where the jobs lie."""
        return Path(os.path.normpath((self.folder or (self.file or Path()).parent) / path))
