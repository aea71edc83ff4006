"""What a recording says of a Phantom agent: when what was due and ran, and how it ended; not what it is about."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from zoneinfo import available_timezones

from watchdog.systems.phantom.cost_ledger import KEY_PREFIX
from watchdog.systems.shared.pseudonyms import (
    HIDDEN,
    Pseudonyms,
    Role,
    dropped,
    error,
    hidden,
    instant,
    named,
    number,
    one_of,
    uuid,
)
from watchdog.systems.shared.recordable import Recordable, RecordedTable

_CRON_WORD = re.compile(
    r"[0-9*/,#?LW-]+|(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT)"
)
_SCHEDULE_KEYS = ("at", "intervalMs", "expr", "tz", "every", "kind", "cron", "interval", "ms")
_PREFIX = re.compile(r"(delivered|skipped|dropped|error)(:?)(.*)", re.DOTALL)
_STATUS = one_of("active", "paused", "completed", "failed")


def _session(value: object, names: Pseudonyms) -> object:
    text = str(value)
    for prefix in (KEY_PREFIX, KEY_PREFIX.partition(":")[2]):
        if text.startswith(prefix):
            return prefix + names.uuid(text[len(prefix) :])
    return names.name("chat", text)


def _target(value: object, names: Pseudonyms) -> object:
    """`owner`, or a Slack channel or user, which still looks like one."""
    text = str(value)
    letter = text[:1] if text[:1] in ("C", "U") else "X"
    return text if text == "owner" else f"{letter}0{names.number('target', text):06d}"


def _delivery(value: object, names: Pseudonyms) -> object:
    """The word before the colon; behind it the reason, which may quote anything."""
    found = _PREFIX.fullmatch(str(value))
    if found is None:
        return HIDDEN
    word, colon, why = found.groups()
    return f"{word}{colon}{why if why in ('', 'channel_none') else error(why, names)}"


def _schedule(value: object, names: Pseudonyms) -> object:
    """The same arithmetic, and the same faults in it."""
    try:
        found = json.loads(str(value))
    except (ValueError, RecursionError):
        return "not JSON"
    return json.dumps(_plain(found, names))


def _plain(value: object, names: Pseudonyms) -> object:
    if isinstance(value, Mapping):
        return {key: _field(key, inner, names) for key, inner in value.items() if key in _SCHEDULE_KEYS}
    return [] if isinstance(value, list) else _field("", value, names)


def _field(key: str, value: object, names: Pseudonyms) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and key in ("expr", "cron"):
        return _cron(value)
    if isinstance(value, str) and key == "tz":
        return value if value in _zones() else "No/Such_Zone"
    return instant(value, names) if isinstance(value, str | int | float) else HIDDEN


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _cron(expression: str) -> str:
    """Each word of it as it is, if it is one of cron's; another one is as bad under any name."""
    return " ".join(_cron_words(word) for word in expression.split()[:12])


def _cron_words(word: str) -> str:
    parts = _CRON_WORD.findall(word.upper())
    return word if "".join(parts) == word.upper() else "x"


_JOBS: Mapping[str, Role] = {
    "id": uuid,
    "name": named("job"),
    "description": dropped,
    "enabled": number,
    "schedule_kind": one_of("at", "every", "cron"),
    "schedule_value": _schedule,
    "task": hidden,
    "delivery_channel": one_of("slack", "none"),
    "delivery_target": _target,
    "status": _STATUS,
    "last_run_at": instant,
    "last_run_status": one_of("ok", "error", "skipped"),
    "last_run_duration_ms": number,
    "last_run_error": error,
    "next_run_at": instant,
    "run_count": number,
    "consecutive_errors": number,
    "delete_after_run": number,
    "created_at": instant,
    "created_by": one_of("agent"),
    "updated_at": instant,
    "last_delivery_status": _delivery,
}
_COSTS: Mapping[str, Role] = {
    "id": number,
    "session_key": _session,
    "cost_usd": number,
    "input_tokens": number,
    "output_tokens": number,
    "model": named("model"),
    "created_at": instant,
}
_SESSIONS: Mapping[str, Role] = {
    "id": number,
    "session_key": _session,
    "sdk_session_id": named("session"),
    "channel_id": one_of("scheduler"),
    "conversation_id": _session,
    "status": one_of("active", "expired"),
    "total_cost_usd": number,
    "input_tokens": number,
    "output_tokens": number,
    "turn_count": number,
    "created_at": instant,
    "last_active_at": instant,
}
_AUDIT: Mapping[str, Role] = {
    "id": number,
    "job_id": uuid,
    "job_name": named("job"),
    "action": one_of("create", "pause", "resume", "run", "delete"),
    "previous_status": _STATUS,
    "new_status": _STATUS,
    "actor": named("actor"),
    "detail": dropped,
    "created_at": instant,
}


def recordable(database: Path, timezone: str) -> Recordable:
    """What of this database a recording holds."""
    tables = {
        "scheduled_jobs": RecordedTable("id", _JOBS),
        "cost_events": RecordedTable("id", _COSTS),
        "sessions": RecordedTable("id", _SESSIONS),
        "scheduler_audit_log": RecordedTable("id", _AUDIT),
    }
    return Recordable("phantom", database, "phantom.db", timezone, tables)
