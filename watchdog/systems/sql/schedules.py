"""A job's schedule, from the columns of its row."""

import re

from watchdog.cadence import classic_cron, cron_auto
from watchdog.cadence.zones import zone_info
from watchdog.core.model import AnyRules, At, CronSchedule, Every, NoCadence, Schedule, Unreadable
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.shared.values import NAME_LENGTH, Values
from watchdog.systems.sql.section import Sql

_OWN_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+")
_EVERY = "@every "
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def schedule_of(values: Values, settings: Sql, unknown_zones: list[str]) -> Schedule:
    """The schedule; what cannot be read of it is noted with the row, a zone with the zones that are not known."""
    given = [column for column in ("cron", "every", "at") if values.row.get(column) is not None]
    text = fit_to_leave(" ".join(f"{column} {values.row[column]}" for column in given), NAME_LENGTH)
    schedule: Schedule = NoCadence()
    if len(given) > 1:
        schedule = Unreadable(f"more than one of {', '.join(given)} is given", text)
    elif given == ["cron"]:
        schedule = _cron(values, settings, text, unknown_zones)
    elif given:
        schedule = _of_column(values, given[0], text)
    if isinstance(schedule, Unreadable) and given not in (["every"], ["at"]):
        values.problems.append(f"its schedule cannot be read: {schedule.reason}")
    return schedule


def _of_column(values: Values, column: str, text: str) -> Schedule:
    if column == "at":
        instant = values.instant(column)
        return At(instant) if instant else Unreadable("not an instant", text)
    interval = Values({column: _in_one_unit(values.row[column])}, values.problems).duration(column)
    return Every(interval) if interval else Unreadable("not a duration", text)


def _cron(values: Values, settings: Sql, text: str, unknown_zones: list[str]) -> Schedule:
    expr, own_zone = _without_zone(str(values.row["cron"])[:NAME_LENGTH].strip())
    zone = own_zone or values.text("timezone") or settings.timezone
    if expr.lower().startswith(_EVERY):
        interval = Values({"every": _in_one_unit(expr[len(_EVERY) :])}).duration("every")
        return Every(interval) if interval else Unreadable("not a duration", text)
    try:
        _parse(expr, "UTC", settings)
    except ValueError as error:
        return Unreadable(fit_to_leave(str(error), NAME_LENGTH), text)
    try:
        known = zone_info(zone).key
        _parse(expr, known, settings)
    except ValueError:
        unknown_zones.append(zone)
        return NoCadence(f"{text}, in a time zone that is not known")
    rules: AnyRules = "croner-auto" if settings.cron == "croner" else settings.cron
    return CronSchedule(expr, known, rules, is_zone_assumed=values.row.get("timezone") is None)


def _in_one_unit(length: object) -> object:
    """`1h30m` in seconds; anything else as it is."""
    if not isinstance(length, str) or not _LENGTH.fullmatch(length.strip()):
        return length
    return sum(float(number) * _SECONDS[unit.lower()] for number, unit in _PART.findall(length))


def _without_zone(expr: str) -> tuple[str, str]:
    """The expression, and the zone that stands in front of it where schedulers written in Go are told one."""
    zone = _OWN_ZONE.match(expr)
    return (expr[zone.end() :], zone[1]) if zone else (expr, "")


def _parse(expr: str, zone: str, settings: Sql) -> object:
    match settings.cron:
        case "classic":
            return classic_cron.parse(expr, zone)
        case "croniter":
            return classic_cron.parse_as_croniter(expr, zone)
        case "croner":
            return cron_auto.parse(expr, zone)
