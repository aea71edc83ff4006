"""Schedulers that are read by the operator's own queries, as the rest of the program knows them."""

from datetime import datetime

from watchdog.systems.base import Source, System, Trial
from watchdog.systems.shared.host import Host
from watchdog.systems.sql.section import Sql


class SqlSystem(System[Sql]):
    """Any scheduler with its jobs in SQLite or PostgreSQL (docs/sql.md). When a next run is worked out here, and runs
    further back than a first look reads, are known only to whoever has looked before."""

    section = Sql
    tells_all_at_once = False
    joins_health = True

    def open(self, section: Sql, host: "Host") -> Source:
        """The two queries, on the database that the section names."""
        from watchdog.systems.sql.source import open_sql

        return open_sql(section, host)

    def try_out(self, section: Sql, now: datetime) -> Trial:
        """Ask the database once: the queries are the operator's own, and may be wrong."""
        from watchdog.systems.sql.trial import try_queries

        return try_queries(section, now)


SYSTEM = SqlSystem()
