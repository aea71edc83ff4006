"""A backtest for programs: plain JSON values, times as ISO 8601 with `Z`."""

from collections.abc import Sequence
from datetime import datetime

from watchdog.backtest.verdict import Condition, Message, Verdict
from watchdog.incidents import wire
from watchdog.systems.shared.past import SourcePast


def document(
    pasts: Sequence[SourcePast], verdicts: Sequence[Verdict], since: datetime, until: datetime
) -> dict[str, wire.Json]:
    """The whole answer. `replays` has one entry, or with `--set` a second one with the change."""
    return {
        "since": wire.value(since),
        "until": wire.value(until),
        "sources": [_source(past) for past in pasts],
        "replays": [_replay(verdict) for verdict in verdicts],
        "differences": _differences(verdicts),
    }


def _source(past: SourcePast) -> wire.Json:
    return {
        "name": past.name,
        "kind": past.now.kind,
        "jobs": len(past.jobs),
        "jobs_left_out": len(past.gone),
        "records": list(past.records),
        "not_replayed": list(past.gaps),
    }


def _replay(verdict: Verdict) -> wire.Json:
    return {
        "name": verdict.name,
        "runs": verdict.runs,
        "messages": [_message(message) for message in verdict.messages],
        "conditions": [_condition(condition) for condition in verdict.conditions],
        "summary": {
            "messages": len(verdict.messages),
            "by_kind": dict(verdict.by_kind),
            "by_target": dict(verdict.by_target),
            "conditions": len(verdict.conditions),
        },
    }


def _message(message: Message) -> dict[str, wire.Json]:
    """A message; the finding that names it stands in it as `check` gives it."""
    return {
        "at": wire.value(message.at),
        "target": message.target,
        "event": message.event,
        "title": message.title,
        "is_certain": message.is_certain,
        "incident": message.incident,
        "jobs": list(message.jobs),
        **wire.finding(message.about),
    }


def _condition(condition: Condition) -> dict[str, wire.Json]:
    return {
        "found_at": wire.value(condition.found_at),
        "over_at": wire.value(condition.over_at),
        "incident": condition.incident,
        "is_certain": condition.is_certain,
        **wire.finding(condition.finding),
    }


def _differences(verdicts: Sequence[Verdict]) -> wire.Json:
    """Which messages and conditions only one of the two replays has."""
    if len(verdicts) < 2:
        return None
    first, second = verdicts[0], verdicts[1]
    return {
        "only_as_configured": _only(first, second),
        "only_with_the_change": _only(second, first),
    }


def _only(one: Verdict, other: Verdict) -> wire.Json:
    return {
        "messages": [_message(message) for message in one.without(other)],
        "conditions": [_condition(condition) for condition in one.unlike(other)],
    }
