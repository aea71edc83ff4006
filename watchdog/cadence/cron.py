"""When a cron schedule fires, exactly as the watched scheduler has it: croner 10's rules, to the letter.

Two steps. On the *wall clock* (local time, with no notion of zones) the next matching minute is looked for; then that
wall time is made an instant by the zone. What surprises in croner comes from one or the other: February's overflow from
the first (`Cron._day_from`), the skipped repeated hour from the second (`_Clock.instant`).

Wall times and instants are whole seconds since 1970-01-01T00:00, of the wall clock and of UTC.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from watchdog.cadence.cron_parser import LAST_OF_MONTH, CronError, Fields, Rules, read_fields, rules_of, shorten
from watchdog.cadence.zones import zone_info

__all__ = ["Cron", "CronError", "clock_changes", "parse"]

HOUR: Final = 3600
DAY: Final = 86_400
EPOCH: Final = date(1970, 1, 1).toordinal()
EARLIEST: Final = int(datetime(2, 1, 1, tzinfo=UTC).timestamp())
# The scheduler gives up its search here, and answers "never".
LAST_YEAR: Final = 3000
LATEST: Final = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
# The rarest day there is, 29 February on a given weekday, comes at least every 40 years.
SEARCHED_YEARS: Final = 41
LOOK_BACK_YEARS: Final = 5
ALWAYS_UTC: Final = frozenset({"UTC", "Etc/UTC", "Zulu", "GMT", "Etc/GMT"})
DAYS_IN_MONTH: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class _Clock:
    """The wall clock of one zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.name = zone.key
        self._zone = None if zone.key in ALWAYS_UTC else zone

    def offset(self, instant: int) -> int:
        """Seconds that the wall clock is ahead of UTC at `instant`."""
        if self._zone is None:
            return 0
        shift = datetime.fromtimestamp(instant, self._zone).utcoffset()
        return 0 if shift is None else shift.days * DAY + shift.seconds

    def wall(self, instant: int) -> int:
        return instant + self.offset(instant)

    def instant(self, wall: int) -> int:
        """The instant at which the scheduler sees `wall`.

        A wall time that clocks going forward skip comes the gap's length later. Of two passes through a repeated hour
        the first counts. Only a repeat of exactly one hour is noticed: where clocks go back by another amount (Lord
        Howe: half an hour) it is the pass whose offset holds at the instant when a UTC clock shows `wall`.
        """
        if self._zone is None:
            return wall
        guess = wall - self.offset(wall)
        ahead = self.offset(guess)
        if guess + ahead != wall:
            other = wall - ahead
            guess = other if self.wall(other) == wall else max(guess, other)
        earlier = guess - HOUR
        return earlier if self.wall(earlier) == wall else guess

    def plain_before(self, wall: int) -> int | None:
        """None if `wall` is far from any clock change; near one, the last instant before its doubtful stretch.

        Doubtful are the wall times that the change skips or repeats, and as many after them, where skipped ones fire.
        """
        if self.offset(wall - 2 * DAY) == self.offset(wall + 2 * DAY):
            return None
        for change in self.changes(wall - 2 * DAY, wall + 2 * DAY):
            before, after = self.offset(change - 1), self.offset(change)
            low, high = change + min(before, after), change + max(before, after)
            if low <= wall < high + (high - low):
                return low - before - 1
        return None

    def changes(self, after: int, until: int) -> tuple[int, ...]:
        """The instants in (`after`, `until`] at which the offset changes."""
        if self._zone is None:
            return ()
        first, last = (_year(min(max(instant, EARLIEST), LATEST)) for instant in (after, until))
        years = (change for year in range(first, last + 1) for change in _changes_in(self, year))
        return tuple(change for change in years if after < change <= until)

    def change_between(self, start: int, end: int) -> int:
        """The first second of the new offset, given that there is one change in (`start`, `end`]."""
        before = self.offset(start)
        while end - start > 1:
            middle = (start + end) // 2
            start, end = (middle, end) if self.offset(middle) == before else (start, middle)
        return end


@lru_cache(maxsize=4096)
def _changes_in(clock: _Clock, year: int) -> tuple[int, ...]:
    """The year's clock changes. One look a day is enough: no zone has put its clocks forward and back within one."""
    days = range(_new_year(year), _new_year(year + 1) + 1, DAY)
    offsets = [clock.offset(day - 1) for day in days]
    changed = (day for day, before, after in zip(days[1:], offsets, offsets[1:], strict=False) if before != after)
    return tuple(clock.change_between(day - DAY - 1, day - 1) for day in changed)


def _year(instant: int) -> int:
    return datetime.fromtimestamp(instant, UTC).year


def _new_year(year: int) -> int:
    return (date(year, 1, 1).toordinal() - EPOCH) * DAY


@lru_cache(maxsize=1024)
def _clock(zone: str) -> _Clock:
    """The clock of an IANA zone, its name in any case, as the scheduler takes it; CronError for an unknown one."""
    try:
        return _Clock(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = _zone_names().get(zone.lower())
    if known is None:
        raise CronError(f"time zone: {shorten(zone)} is not known; accepted: an IANA name such as Europe/Berlin")
    return _Clock(ZoneInfo(known))


@cache
def _zone_names() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def clock_changes(zone: str, from_ms: int, to_ms: int) -> tuple[int, ...]:
    """The instants in (`from_ms`, `to_ms`] at which clocks in `zone` are put forward or back (epoch ms).

    The zone may be any that a database takes; ValueError for an unknown one. None are known before the year 2 or after
    3000.
    """
    return tuple(change * 1000 for change in _any_clock(zone).changes(from_ms // 1000, to_ms // 1000))


@lru_cache(maxsize=1024)
def _any_clock(zone: str) -> _Clock:
    return _Clock(zone_info(zone))


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron schedule in a time zone. Made by `parse`; instants are epoch milliseconds."""

    expr: str
    zone: str
    rules: int = 10
    _fields: Fields = field(repr=False, compare=False, kw_only=True)
    _rules: Rules = field(repr=False, compare=False, kw_only=True)
    _clock: _Clock = field(repr=False, compare=False, kw_only=True)
    _hours: tuple[int, ...] = field(repr=False, compare=False, kw_only=True)
    _minutes: tuple[int, ...] = field(repr=False, compare=False, kw_only=True)
    _day_masks: dict[tuple[int, int], int] = field(repr=False, compare=False, kw_only=True)

    def next(self, after_ms: int) -> int | None:
        """The first fire after `after_ms`, or None for never: no such date, or none before the year 3000.

        The milliseconds of `after_ms` do not count. Asked from inside the second pass through a repeated hour, the
        answer may be an instant in the past, as the scheduler's is. On some expressions that never fire
        (`0 0 31 4,6,9,11 *`) the scheduler's own search fails and it stores no next fire; that is never as well.
        """
        instant = max(after_ms // 1000, EARLIEST)
        if instant >= LATEST:
            return None
        wall = self._wall_after(self._clock.wall(instant))
        return None if wall is None else self._clock.instant(wall) * 1000

    def fires(self, after_ms: int) -> Iterator[int]:
        """The fires after `after_ms`, each computed from the one before, as the scheduler does."""
        fire = self.next(after_ms)
        while fire is not None:
            yield fire
            fire = self.next(fire)

    def at_or_before(self, at_ms: int) -> int | None:
        """The latest fire at or before `at_ms`, of a scheduler started well before; None if none within five years."""
        instant = min(at_ms // 1000, LATEST)
        fire = None if instant < EARLIEST else self._fire_until(instant)
        return None if fire is None else fire * 1000

    def _fire_until(self, instant: int) -> int | None:
        """Far from clock changes that is the latest matching wall time; near one, the fires are followed across it."""
        wall = self._clock.wall(instant)
        match = self._wall_until(wall)
        if match is None:
            return None
        plain = [start for start in map(self._clock.plain_before, (match, wall)) if start is not None]
        return self._follow(min(plain), instant) if plain else self._clock.instant(match)

    def _follow(self, start: int, instant: int) -> int | None:
        """The latest fire until `instant`, found by going forward from the one before `start`."""
        latest = self._fire_until(start)
        for fire in self.fires((start if latest is None else latest) * 1000):
            if fire > instant * 1000:
                break
            latest = fire // 1000
        return latest

    def _wall_until(self, wall: int) -> int | None:
        day, minute = divmod(wall // 60, 1440)
        ordinal = day + EPOCH
        found = self._day_until(ordinal)
        if found == ordinal:
            time = self._time_until(minute)
            if time is not None:
                return (day * 1440 + time) * 60
            found = self._day_until(ordinal - 1)
        if found is None:
            return None
        return ((found - EPOCH) * 1440 + self._hours[-1] * 60 + self._minutes[-1]) * 60

    def _time_until(self, minute: int) -> int | None:
        """The last wanted minute of the day at or before `minute`."""
        hour, minute = divmod(minute, 60)
        at = bisect_right(self._hours, hour) - 1
        if at >= 0 and self._hours[at] == hour:
            within = bisect_right(self._minutes, minute) - 1
            if within >= 0:
                return hour * 60 + self._minutes[within]
            at -= 1
        return self._hours[at] * 60 + self._minutes[-1] if at >= 0 else None

    def _day_until(self, ordinal: int) -> int | None:
        """The last wanted day at or before `ordinal` that the search of `_day_from` does not jump over."""
        start = date.fromordinal(ordinal)
        year, month, day = start.year, start.month, start.day
        while year > max(1, start.year - LOOK_BACK_YEARS - 1):
            days = self._reached(year, month) & (1 << day + 1) - 1
            if days and year < LAST_YEAR:
                found = date(year, month, days.bit_length() - 1).toordinal()
                return found if found > ordinal - LOOK_BACK_YEARS * 366 else None
            day = 31
            month -= 1
            if month == 0:
                year, month = year - 1, 12
        return None

    def _reached(self, year: int, month: int) -> int:
        """The wanted days of the month, without those that the month before jumps over by overflowing."""
        if not self._fields.months >> month & 1:
            return 0
        length, mask = self._month(year, month)
        mask &= (1 << length + 1) - 1
        if month == 3 and self._fields.months >> 2 & 1:
            length, february = self._month(year, 2)
            overflow = february >> length + 1
            # From a wanted last day of February the search goes on from 1 March like any other day.
            if overflow and not february >> length & 1:
                mask &= -(overflow & -overflow) << 1
        return mask

    def _wall_after(self, wall: int) -> int | None:
        day, minute = divmod(wall // 60 + 1, 1440)
        ordinal = day + EPOCH
        found = self._day_from(ordinal)
        if found == ordinal:
            time = self._time_from(minute)
            if time is not None:
                return (day * 1440 + time) * 60
            found = self._day_from(ordinal + 1)
        if found is None:
            return None
        return ((found - EPOCH) * 1440 + self._hours[0] * 60 + self._minutes[0]) * 60

    def _time_from(self, minute: int) -> int | None:
        """The first wanted minute of the day at or after `minute`."""
        hour, minute = divmod(minute, 60)
        at = bisect_left(self._hours, hour)
        if at < len(self._hours) and self._hours[at] == hour:
            within = bisect_left(self._minutes, minute)
            if within < len(self._minutes):
                return hour * 60 + self._minutes[within]
            at += 1
        return self._hours[at] * 60 + self._minutes[0] if at < len(self._hours) else None

    def _day_from(self, ordinal: int) -> int | None:
        """The first wanted day at or after `ordinal` (a proleptic Gregorian ordinal).

        The scheduler looks for days up to the 31st in every month; one that the month lacks is taken as that many days
        into the next, and the search goes on from there. For February that skips days of March that were wanted.
        """
        start = date.fromordinal(ordinal)
        year, month, day = start.year, start.month, start.day
        last_year = min(LAST_YEAR, year + SEARCHED_YEARS)
        while year < last_year:
            if self._fields.months >> month & 1:
                length, mask = self._month(year, month)
                rest = mask >> day
                if rest:
                    day += (rest & -rest).bit_length() - 1
                    if day <= length:
                        return date(year, month, day).toordinal()
                    month, day = month + 1, day - length
                    continue
            day = 1
            month += 1
            if month > 12:
                year, month = year + 1, 1
        return None

    def _month(self, year: int, month: int) -> tuple[int, int]:
        """The month's length and the mask of its wanted days, overflowing ones included."""
        length = DAYS_IN_MONTH[month]
        if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
            length = 29
        first = date(year, month, 1).toordinal() % 7
        mask = self._day_masks.get((length, first))
        if mask is None:
            mask = self._day_masks[length, first] = _day_mask(self._fields, self._rules, length, first)
        return length, mask


def _day_mask(fields: Fields, rules: Rules, length: int, first: int) -> int:
    """The wanted days of a month that has `length` days and begins on weekday `first` (Sunday is 0)."""
    days = _month_days(fields, length, first)
    if not fields.any_weekday:
        weekdays = _week_days(fields, length, first)
        either = not (fields.both or fields.any_day)
        days = days | weekdays if either else days & weekdays
    return days if rules.february_overflows else days & (1 << length + 1) - 1


def _month_days(fields: Fields, length: int, first: int) -> int:
    days = fields.days
    if fields.last_day:
        days |= 1 << length
    if fields.last_weekday:
        days |= 1 << _nearest_weekday(length, length, first)
    for day in fields.nearest_weekdays:
        if day <= length:
            days |= 1 << _nearest_weekday(day, length, first)
    return days


def _nearest_weekday(day: int, length: int, first: int) -> int:
    """The weekday (Monday to Friday) nearest to `day` within its month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:
        return day - 1 if day > 1 else 3
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


def _week_days(fields: Fields, length: int, first: int) -> int:
    """The wanted weekdays up to the 31st, also in a shorter month.

    There, a day that overflows is the last of its weekday, none coming after it. No recorded answer decides that.
    """
    days = 0
    for day in range(1, 32):
        wanted = fields.weekdays[(first + day - 1) % 7]
        if wanted and (wanted & 1 << (day - 1) // 7 or (wanted & LAST_OF_MONTH and day + 7 > length)):
            days |= 1 << day
    return days


@lru_cache(maxsize=4096)
def parse(expr: str, zone: str = "UTC", rules: int = 10) -> Cron:
    """`expr` in `zone` (an IANA name), by the rules of croner's major version `rules`.

    CronError where the scheduler refuses the expression, and for an unknown zone; ValueError for unknown rules.
    """
    known = rules_of(rules)
    fields = read_fields(expr, known)
    clock = _clock(zone)
    return Cron(
        expr,
        clock.name,
        rules,
        _fields=fields,
        _rules=known,
        _clock=clock,
        _hours=_values(fields.hours, 24),
        _minutes=_values(fields.minutes, 60),
        _day_masks=_day_masks(replace(fields, minutes=0, hours=0, months=0), known),
    )


@lru_cache(maxsize=1024)
def _day_masks(days: Fields, rules: Rules) -> dict[tuple[int, int], int]:
    """The masks that have been asked for so far, held once for all expressions that want the same days."""
    return {}


@lru_cache(maxsize=1024)
def _values(mask: int, count: int) -> tuple[int, ...]:
    return tuple(value for value in range(count) if mask >> value & 1)
