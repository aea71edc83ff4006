"""From what the configuration names to what reads it. A system's code is imported only where it is used."""

from watchdog.config.file import AnySource, OpenClaw, Sql
from watchdog.systems import Source
from watchdog.systems.phantom.source import PhantomSource


def open_source(source: AnySource) -> Source:
    """A source without any memory yet."""
    if isinstance(source, Sql):
        from watchdog.systems.sql.source import open_sql

        return open_sql(source)
    if isinstance(source, OpenClaw):
        from watchdog.systems.openclaw.source import OpenClawSource

        return OpenClawSource(source)
    return PhantomSource(source.name, source.database, source.timezone, source.look_back)
