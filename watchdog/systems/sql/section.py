"""What stands in the configuration of a scheduler that is read by the operator's own queries."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from watchdog.config.fields import DAY, SECOND, FilePath, Name, SecretFile, Zone, between
from watchdog.config.sources import Section
from watchdog.core.fields import Duration
from watchdog.core.model import CronRules


def _one_select(text: str) -> str:
    query = text.strip().rstrip(";").rstrip()
    if not _SELECT.match(query):
        raise ValueError("must be one SELECT statement (or WITH ... SELECT)")
    return query


_SELECT = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with)\b", re.IGNORECASE | re.DOTALL)

Query = Annotated[str, AfterValidator(_one_select)]
"""A query of the operator's own. It can only read: the database is opened for nothing else."""


def _after_an_id(query: str) -> str:
    if not re.search(r"(?<![:\w]):after\b", query):
        raise ValueError("must ask for the runs after the last id seen: WHERE id > :after")
    return query


class Sql(Section):
    """Any scheduler with its jobs in SQLite or PostgreSQL, read by two queries of the operator's own (docs/sql.md).

    `every`: how often a PostgreSQL server is asked. `deadline`: when a read is cut off, whatever it hangs in.
    `look_back`: how many of the newest runs the first look reads.
    """

    names_jobs: ClassVar = ("database", "dsn", "dsn_file", "jobs")

    kind: Literal["sql"]
    name: Name = "sql"
    database: FilePath | None = None
    dsn: SecretStr | None = None
    dsn_file: SecretFile | None = None
    jobs: Query
    runs: Annotated[Query, AfterValidator(_after_an_id)] | None = None
    cron: CronRules = "classic"
    timezone: Zone = "UTC"
    every: Annotated[Duration, between(SECOND, DAY)] = timedelta(seconds=15)
    deadline: Annotated[Duration, between(SECOND, 60 * SECOND)] = timedelta(seconds=5)
    max_run: Annotated[Duration, between(SECOND, 365 * DAY)] | None = None
    look_back: Annotated[int, Field(ge=1000, le=1_000_000, strict=True)] = 10_000
    labels: Mapping[str, str] = {}

    @property
    def look_limit(self) -> timedelta:
        """Its own deadline, at which it is cut off, and what the cutting takes."""
        return self.deadline + timedelta(seconds=3)

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if sum(way is not None for way in (self.database, self.dsn, self.dsn_file)) != 1:
            raise ValueError("give one of database (an SQLite file), dsn and dsn_file (PostgreSQL)")
        return self
