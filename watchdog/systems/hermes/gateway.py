"""What a Hermes home tells of its gateway: its heartbeats, its number and start, its configuration, its zone."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import yaml

from watchdog.core.instants import sane
from watchdog.core.regular_file import read_text
from watchdog.systems.hermes.records import Clock
from watchdog.systems.shared.json_document import read_bounded
from watchdog.systems.shared.plain_file import read_bytes
from watchdog.systems.shared.unreadable import UnreadableError

TICKER_LIMIT = timedelta(seconds=200)
"""After so long without a tick Hermes itself calls its ticker stalled."""

LOOP_LIMIT = timedelta(seconds=90)
"""The gateway's own loop beats every 30 seconds."""

A_TICK = timedelta(seconds=75)
"""Ticks lie 60 seconds and their own length apart."""

TOGETHER = timedelta(seconds=150)
"""Two heartbeats that stopped within this were one process's; else the older one is left over from an earlier life."""

SCRIPT_LIMIT = timedelta(seconds=3600)
"""How long a script may take where nothing else is configured."""


@dataclass(frozen=True, slots=True)
class Beats:
    """When each sign of life was last given. `pid`, `ticks`: who the gateway says it is; `started_at`: since when."""

    ticker: datetime | None = None
    success: datetime | None = None
    loop: datetime | None = None
    pid: int | None = None
    ticks: int | None = None
    started_at: datetime | None = None

    @property
    def loop_is_the_tickers(self) -> bool:
        """Whether both are of the same process, as far as their times tell."""
        return self.loop is not None and self.ticker is not None and abs(self.loop - self.ticker) < TOGETHER


@dataclass(frozen=True, slots=True)
class Settings:
    """What of config.yaml matters."""

    timezone: str | None = None
    script_limit: timedelta = SCRIPT_LIMIT


def beats_of(home: Path) -> Beats:
    """What stands in the files; whatever is not there, or not right, is not known."""
    loop, state = _object(home / "state/gateway.heartbeat"), _object(home / "gateway_state.json")
    told = _object(home / "gateway.pid") or state
    pid = _whole(loop.get("pid")) or _whole(told.get("pid"))
    starts = [_epoch(loop.get("start_time"))]
    if _whole(state.get("pid")) == pid:
        starts.append(_iso(state.get("updated_at")) if state.get("gateway_state") == "running" else None)
    is_newer = _whole(state.get("pid")) is not None and _whole(state.get("pid")) != pid
    newer = _iso(state.get("updated_at")) if is_newer else None
    beat = _iso(loop.get("updated_at"))
    if newer is not None and (beat is None or newer > beat):
        pid, starts = _whole(state.get("pid")), [newer]
    ticks = next((_whole(each.get("start_time")) for each in (told, state) if _whole(each.get("pid")) == pid), None)
    return Beats(
        ticker=_epoch(_text(home / "cron/ticker_heartbeat")),
        success=_epoch(_text(home / "cron/ticker_last_success")),
        loop=beat,
        pid=pid,
        ticks=ticks,
        started_at=min((at for at in starts if at), default=None),
    )


LARGEST_SETTINGS = 128 * 1024
"""Bytes of its config.yaml: to read as much of YAML takes about a second."""


def settings_of(home: Path) -> Settings:
    """From its config.yaml."""
    try:
        found = yaml.safe_load(read_text(home / "config.yaml", LARGEST_SETTINGS))
    except (OSError, yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError):
        return Settings()
    if not isinstance(found, dict):
        return Settings()
    cron, zone = found.get("cron"), found.get("timezone")
    seconds = cron.get("script_timeout_seconds") if isinstance(cron, dict) else None
    return Settings(
        zone.strip() if isinstance(zone, str) and zone.strip() else None,
        timedelta(seconds=seconds) if isinstance(seconds, int | float) and 1 < seconds < 10**7 else SCRIPT_LIMIT,
    )


def clock_of(given: str | None, configured: str | None, written: str | None) -> Clock:
    """The zone: what the operator says, what is configured, or this host's, whichever has the offset of what Hermes has
    written (a profile may have another than the operator thought of); else any with that offset. `written`: the stamp
    that it wrote last."""
    stamp = _stamp(written)
    for name in (given, configured, local_zone()):
        zone = _zone(name)
        if name and zone and (stamp is None or stamp.astimezone(zone).utcoffset() == stamp.utcoffset()):
            return Clock(name, is_assumed=name not in (given, configured), host=zone)
    offset = (stamp.utcoffset() if stamp else None) or timedelta()
    name = _zone_of(offset)
    return Clock(name, is_assumed=True, host=ZoneInfo(name))


def local_zone() -> str | None:
    """This host's."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        path = os.path.realpath("/etc/localtime")
        name = path.partition("/zoneinfo/")[2]
    return name or "UTC"


@lru_cache(maxsize=64)
def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=64)
def _zone_of(offset: timedelta) -> str:
    """One with that offset that changes no clocks."""
    hours, rest = divmod(offset, timedelta(hours=1))
    name = f"Etc/GMT{-hours:+d}" if hours else "UTC"
    if not rest and _zone(name):
        return name
    at = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    fixed = (each for each in sorted(available_timezones()) if {_offset(each, when) for when in at} == {offset})
    return next(fixed, "UTC")


def _offset(name: str, at: datetime) -> timedelta | None:
    zone = _zone(name)
    return at.astimezone(zone).utcoffset() if zone else None


def _stamp(written: str | None) -> datetime | None:
    try:
        stamp = datetime.fromisoformat(written) if written else None
    except ValueError:
        return None
    return stamp if stamp is not None and stamp.tzinfo else None


def _text(path: Path) -> str:
    try:
        return read_bytes(path)[:4096].decode("utf-8", "replace").strip()
    except UnreadableError:
        return ""


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(read_bounded(path))
    except (UnreadableError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62 else None


def _epoch(value: object) -> datetime | None:
    """Seconds since 1970, as a number or as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return sane(datetime.fromtimestamp(float(value), UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _iso(value: object) -> datetime | None:
    try:
        return sane(datetime.fromisoformat(value)) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
