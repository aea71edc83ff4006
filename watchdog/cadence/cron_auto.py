"""croner's default mode: five parts, six that begin with seconds, seven that end with years, and nicknames.

Which parts there are decides; `@daily` and its kin stand for five, in any case. `@reboot` is none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from watchdog.cadence import cron, cron_seconds
from watchdog.cadence.cron_parser import CronError, shorten

NICKNAMES: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_YEAR: Final = re.compile(r"(?:(\*)|(\d{1,4})(?:-(\d{1,4}))?)(?:/(\d{1,4}))?")
_FIRST, _LAST = 1, 9999


class Fires(Protocol):
    """When an expression fires, in milliseconds since 1970."""

    def next(self, after_ms: int) -> int | None:
        """The first fire strictly after."""

    def at_or_before(self, ms: int) -> int | None:
        """The latest fire that is not after."""


@dataclass(frozen=True, slots=True)
class InYears:
    """The fires of an expression that lie in some years of its zone, in their order."""

    fires: Fires
    years: tuple[int, ...]
    zone: ZoneInfo

    def next(self, after_ms: int) -> int | None:
        """The first fire strictly after."""
        fire = self.fires.next(after_ms)
        while fire is not None and (year := self._year(fire)) not in self.years:
            later = next((wanted for wanted in self.years if wanted > year), None)
            fire = None if later is None else self.fires.next(self._begin(later) - 1)
        return fire

    def at_or_before(self, ms: int) -> int | None:
        """The latest fire that is not after."""
        fire = self.fires.at_or_before(ms)
        while fire is not None and (year := self._year(fire)) not in self.years:
            earlier = next((wanted for wanted in reversed(self.years) if wanted < year), None)
            fire = None if earlier is None else self.fires.at_or_before(self._begin(earlier + 1) - 1)
        return fire

    def _year(self, ms: int) -> int:
        return datetime.fromtimestamp(ms / 1000, self.zone).year

    def _begin(self, year: int) -> int:
        return int(datetime(year, 1, 1, tzinfo=self.zone).astimezone(UTC).timestamp() * 1000)


def expanded(expr: str) -> str:
    """The expression that a nickname stands for; any other as it is."""
    return NICKNAMES.get(expr.strip().lower(), expr)


@lru_cache(maxsize=1024)
def parse(expr: str, zone: str) -> Fires:
    """`expr` in `zone`; CronError where croner's default mode would refuse it."""
    if expr.strip().startswith("@") and expanded(expr) is expr:
        raise CronError(f"expression {shorten(expr)} is not known; accepted: {', '.join(NICKNAMES)}")
    parts = expanded(expr).split()
    if len(parts) == 7:
        years = _years(parts[6], expr)
        fires = cron_seconds.parse(" ".join(parts[:6]), zone)
        return fires if years is None else InYears(fires, years, ZoneInfo(zone))
    if len(parts) == 6:
        return cron_seconds.parse(" ".join(parts), zone)
    if len(parts) != 5:
        raise CronError(
            f"expression {shorten(expr)}: {len(parts)} fields; accepted: five (minute hour day-of-month month "
            "day-of-week), with a second in front, and with a year behind"
        )
    return cron.parse(" ".join(parts), zone)


def _years(field: str, expr: str) -> tuple[int, ...] | None:
    """The wanted years; None where all are."""
    wanted: set[int] = set()
    for item in field.replace("?", "*").split(","):
        found = _YEAR.fullmatch(item)
        if found is None:
            raise CronError(f"expression {shorten(expr)}: its year {shorten(item)} cannot be read")
        star, low, high, step = found.groups()
        first, last = (_FIRST, _LAST) if star else (int(low), int(high or low))
        if not _FIRST <= first <= last or step == "0" or (step and not star and high is None):
            raise CronError(f"expression {shorten(expr)}: its year {shorten(item)} is not within {_FIRST}-{_LAST}")
        if star and not step:
            return None
        wanted.update(range(first, last + 1, int(step or 1)))
    return tuple(sorted(wanted))
