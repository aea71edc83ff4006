"""Asking the database once, for what can be wrong with queries that are the operator's own."""

from datetime import datetime

from watchdog.systems.base import Trial
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.sql.columns import QueryError
from watchdog.systems.sql.runs import Mark
from watchdog.systems.sql.section import Sql
from watchdog.systems.sql.source import MOVE_ON, MOVE_WITH_RUNS, open_sql, reader_of


def try_queries(section: Sql, now: datetime) -> Trial:
    """Ask the database once: whether the queries are right, as far as it can be asked."""
    try:
        reading = reader_of(section).read(Mark(), now)
        wrong = tuple(_unread(section))
    except QueryError as error:
        return Trial(wrong=(str(error),))
    except UnreadableError as error:
        return Trial(unasked=(f"its queries were not tried: {error}",))
    if wrong or reading is None:
        return Trial(wrong=wrong)
    if not reading.jobs:
        return Trial(unasked=("its jobs query returns no row, so its columns were tried on none",))
    snapshot = open_sql(section).look(now).snapshot
    said = [f"{each.what} ({each.help})" for each in snapshot.unseen]
    if section.runs is None and (MOVE_WITH_RUNS | MOVE_ON).isdisjoint(reading.job_columns):
        said.append(
            f"lateness cannot be told: there are neither runs nor one of {', '.join(sorted(MOVE_WITH_RUNS | MOVE_ON))}"
        )
    return Trial(unasked=tuple(said))


def _unread(section: Sql) -> list[str]:
    """Settings of a server that its role may not see."""
    if section.database is not None:
        return []
    from watchdog.systems.sql.postgres import unread_settings

    return unread_settings(section)
