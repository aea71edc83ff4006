"""What stands in the configuration of a scheduler that is read by the operator's own queries."""

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from watchdog.config.fields import DAY, SECOND, FilePath, Name, SecretFile, Zone, between
from watchdog.config.sources import Section
from watchdog.core.fields import Duration, Secret, bounds, checked


def _one_select(text: str) -> str:
    query = text.strip().rstrip(";").rstrip()
    if not _SELECT.match(query):
        raise ValueError("must be one SELECT statement (or WITH ... SELECT)")
    return query


_SELECT = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with)\b", re.IGNORECASE | re.DOTALL)

Query = Annotated[str, checked(_one_select)]
"""A query of the operator's own. It can only read: the database is opened for nothing else."""


def _after_an_id(query: str) -> str:
    if not _AFTER.search(query):
        raise ValueError("must ask for the runs after the last id seen: WHERE id > :after (or of one job: :job_id)")
    return query


_AFTER = re.compile(r"(?<![:\w]):(?:after|job_id)\b")
_OF_ONE_JOB = re.compile(r"(?<![:\w]):job_id\b")

SqlCronRules = Literal["classic", "croner", "croniter"]


class Sql(Section):
    """Any scheduler with its jobs in SQLite or PostgreSQL, read by two queries of the operator's own (docs/sql.md).

    `database`: an SQLite file. `dsn`: how to reach PostgreSQL; it is a secret. `dsn_file`: a file in whose first line
    that stands. `jobs`: the query that lists the jobs. `runs`: the query that lists runs, after an id or of one job.
    `cron`: by whose rules cron expressions are read. `timezone`: the zone of schedules that name none. `every`: how
    often a PostgreSQL server is asked. `deadline`: when a read is cut off, whatever it hangs in. `max_run`: how long a
    run may take before it is stuck, for jobs that do not say it themselves. `look_back`: how many of the newest runs
    the first look reads. `one_at_a_time`: a run keeps all others waiting. `runs_overlap`: a job may have several runs
    in flight, and each row says truly whether its run still is. `moves_on_at_once`: `next_run_at` moves on before a run
    begins: one that has passed proves that nobody looked. `row_security`: whether PostgreSQL's row security is an
    error, or is known to let the role see all that it needs.
    """

    names_jobs: ClassVar = ("database", "dsn", "dsn_file", "jobs")

    kind: Literal["sql"]
    name: Name = "sql"
    database: FilePath | None = None
    dsn: Secret | None = None
    dsn_file: SecretFile | None = None
    jobs: Query
    runs: Annotated[Query, checked(_after_an_id)] | None = None
    cron: SqlCronRules = "classic"
    timezone: Zone = "UTC"
    every: Annotated[Duration, between(SECOND, DAY)] = timedelta(seconds=15)
    deadline: Annotated[Duration, between(SECOND, 60 * SECOND)] = timedelta(seconds=5)
    max_run: Annotated[Duration, between(SECOND, 365 * DAY)] | None = None
    look_back: Annotated[int, bounds(ge=1000, le=1_000_000, strict=True)] = 10_000
    one_at_a_time: bool = False
    runs_overlap: bool = False
    moves_on_at_once: bool = False
    row_security: Literal["error", "apply"] = "error"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def asks_each_job(self) -> bool:
        """Whether runs are asked for job by job."""
        return self.runs is not None and _OF_ONE_JOB.search(self.runs) is not None

    @property
    def look_limit(self) -> timedelta:
        """Its own deadline, at which it is cut off, and what the cutting takes."""
        return self.deadline + timedelta(seconds=3)

    def fits_together(self) -> None:
        """One database, and one way in which runs come."""
        if sum(way is not None for way in (self.database, self.dsn, self.dsn_file)) != 1:
            raise ValueError("give one of database (an SQLite file), dsn and dsn_file (PostgreSQL)")
        if self.one_at_a_time and self.runs_overlap:
            raise ValueError("runs cannot both overlap (runs_overlap) and come one at a time (one_at_a_time)")
