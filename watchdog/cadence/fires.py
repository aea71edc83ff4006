"""When the watched scheduler would fire: for people, and line by line for programs."""

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import islice

from watchdog.cadence import cron
from watchdog.core.instants import from_ms, iso, to_ms
from watchdog.core.redaction import one_line

MOST = 10_000


def next_fires(expr: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """The next fires after an instant; fewer if the schedule ends. Raises CronError, a ValueError."""
    return [from_ms(fire) for fire in islice(cron.parse(expr, zone).fires(to_ms(after)), count)]


def document(expr: str, zone: str, fires: list[datetime]) -> Mapping[str, object]:
    """The answer for programs."""
    return {"expr": expr, "tz": zone, "fires": [iso(fire) for fire in fires]}


def answer(line: str) -> str:
    """One JSON line's answer: `{"fires_ms": […]}`, or `{"error": why}`."""
    try:
        return json.dumps({"fires_ms": _asked(json.loads(line))})
    except (ValueError, TypeError, RecursionError) as error:
        return json.dumps({"error": one_line(str(error), 300)})


def _asked(question: object) -> list[int]:
    if not isinstance(question, dict) or not isinstance(question.get("expr"), str):
        raise ValueError('expected an object such as {"expr": "0 9 * * *", "tz": "UTC", "after_ms": 0, "n": 5}')
    zone, after, count = question.get("tz") or "UTC", question.get("after_ms", 0), question.get("n", 5)
    if not isinstance(zone, str) or not _is_whole(after) or not _is_whole(count) or not 0 < count <= MOST:
        raise ValueError(f"tz must be text, after_ms a whole number, n a whole number from 1 to {MOST}")
    return list(islice(cron.parse(question["expr"], zone).fires(after), count))


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
