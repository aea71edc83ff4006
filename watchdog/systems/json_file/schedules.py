"""A job's schedule: from columns of its own for each kind, or from one that holds whatever people write."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from watchdog.cadence import classic_cron, cron_auto
from watchdog.core.model import AnyRules, At, CronSchedule, Every, NoCadence, Schedule, Unreadable
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.shared.values import NAME_LENGTH, Values

_CRON: Final = re.compile(r"@[a-z]+|[\d*?/,\-#LWa-z]+(?:\s+[\d*?/,\-#LWa-z]+){4,6}", re.IGNORECASE)
_EVERY: Final = re.compile(r"(?:@?every|each)\s+(.+)", re.IGNORECASE)
_WEEKDAY: Final = re.compile(r"(?<![/\d#])\d+(?![\d])")


def schedule_of(values: Values, settings: JsonFile) -> Schedule:
    """What the row says. What cannot be read is a problem of the row."""
    row = _told_apart(values.row)
    given = [column for column in ("cron", "every", "at") if row.get(column) is not None]
    text = fit_to_leave(" ".join(f"{column} {row[column]}" for column in given) or str(row.get("schedule", "")), 200)
    if len(given) > 1:
        schedule: Schedule = Unreadable(f"more than one of {', '.join(given)} is given", text)
    elif given:
        schedule = _of_column(Values(row), given[0], text, settings)
    elif row.get("schedule") is not None:
        schedule = Unreadable("neither a cron expression nor an interval nor an instant", text)
    else:
        return NoCadence()
    if isinstance(schedule, Unreadable):
        values.problems.append(f"its schedule cannot be read: {schedule.reason}")
    return schedule


def _told_apart(row: Mapping[str, object]) -> Mapping[str, object]:
    """The row with the text of a schedule under the kind that it is of."""
    text = row.get("schedule")
    if not isinstance(text, str):
        return row
    rest = {column: value for column, value in row.items() if column != "schedule"}
    plain = text.strip()
    if _CRON.fullmatch(plain):
        return {**rest, "cron": plain}
    every = _EVERY.fullmatch(plain)
    length = every.group(1) if every else plain
    length = length if length[:1].isdigit() else f"1 {length}"
    if Values({"every": length}).duration("every") is not None:
        return {**rest, "every": length}
    if Values({"at": plain}).instant("at") is not None:
        return {**rest, "at": plain}
    return row


def _of_column(values: Values, column: str, text: str, settings: JsonFile) -> Schedule:
    if column == "cron":
        return _cron(values, text, settings)
    if column == "at":
        instant: datetime | None = values.instant(column)
        return At(instant) if instant else Unreadable("not an instant", text)
    interval = values.duration(column)
    return Every(interval) if interval else Unreadable("not a duration", text)


def _cron(values: Values, text: str, settings: JsonFile) -> Schedule:
    expr, zone = str(values.row["cron"]).strip()[:NAME_LENGTH], values.text("timezone") or settings.timezone
    if settings.cron == "croniter":
        return _checked(expr, zone, "croniter", values, text, settings)
    fields = expr.split()
    is_croners = settings.cron == "croner" and settings.cron_sunday == 0
    if len(fields) == 7 and not is_croners:  # with a year behind, as the crate `cron` has it
        if fields.pop() != "*":
            return NoCadence(text)
        expr = " ".join(fields)
    rules: AnyRules = "croner-auto" if settings.cron == "croner" else "croner" if len(fields) == 6 else "classic"
    if settings.cron_sunday == 1 and len(fields) in (5, 6):
        expr = " ".join([*fields[:-1], _WEEKDAY.sub(lambda day: str((int(day[0]) - 1) % 7), fields[-1])])
    return _checked(expr, zone, rules, values, text, settings)


def _checked(expr: str, zone: str, rules: AnyRules, values: Values, text: str, settings: JsonFile) -> Schedule:
    try:
        _parse(expr, zone, rules)
    except ValueError as error:
        return Unreadable(fit_to_leave(str(error), NAME_LENGTH), text, settings.bad_cron)
    return CronSchedule(expr, zone, rules, is_zone_assumed=values.row.get("timezone") is None)


def _parse(expr: str, zone: str, rules: AnyRules) -> None:
    if rules == "classic":
        classic_cron.parse(expr, zone)
    elif rules == "croniter":
        classic_cron.parse_as_croniter(expr, zone)
    else:
        cron_auto.parse(expr, zone)
