"""Keeping the definitions of failed jobs before the scheduler's sweep takes their rows."""

from collections.abc import Mapping
from datetime import datetime

from watchdog.config.file import Phantom
from watchdog.state.records import Preserved, Records
from watchdog.systems.phantom.rows import RowReader
from watchdog.systems.shared.sqlite_file import read


def preserve_failed(records: Records, source: Phantom, at: datetime) -> list[Preserved]:
    """Keep the whole row of every failed job; what was kept."""

    def query(connection: object) -> list[dict[str, object]]:
        cursor = connection.execute("SELECT * FROM scheduled_jobs WHERE status = 'failed'")  # type: ignore[attr-defined]
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    kept = [_kept(source.name, row, at) for row in read(source.database, query)[0] if row.get("id") is not None]
    for one in kept:
        records.preserve(one)
    return kept


def _kept(source: str, row: Mapping[str, object], at: datetime) -> Preserved:
    reader = RowReader(row)
    return Preserved(source, str(row["id"]), reader.text("name") or "", row, at, reader.sweep_at())
