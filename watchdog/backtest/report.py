"""A backtest for people: what was replayed, each message that would have been told, each condition, and the counts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.backtest.verdict import NOBODY, Condition, Message, Verdict
from watchdog.core.durations import say_duration
from watchdog.core.incident import Key
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.notify.plan import Event
from watchdog.systems.shared.past import SourcePast


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `style` is a colour of the terminal; `more` stands on a line of its own there, indented."""

    text: str
    style: str = ""
    more: str = ""

    def __str__(self) -> str:
        """All of it in one line, as for a file or a pipe."""
        return f"{self.text}: {self.more}" if self.more else self.text


def lines(pasts: Sequence[SourcePast], verdicts: Sequence[Verdict], since: datetime, until: datetime) -> Iterator[Line]:
    """All of it. With `--set` the second replay is told by what is different in it."""
    first = verdicts[0]
    length = say_duration(until - since)
    yield Line(f"Replayed {_at(since)} to {_at(until)} UTC ({length}), {_count(first.runs, 'run')}", "bold")
    for past in pasts:
        yield from _source(past)
    if NOBODY in first.by_target:
        yield Line(f"No channel is configured, so nobody is told; {NOBODY!r} stands for one that would be.", "yellow")
    if first.silences:
        held = (
            f"{_count(first.silences, 'silence')} of that time {'holds' if first.silences == 1 else 'hold'} here, too"
        )
        yield Line(f"{held}: nobody is told of what was silenced.", "yellow")
    are_several = len(pasts) > 1
    yield from _told("What would have been told", first.messages, are_several)
    yield from _conditions(first.conditions, are_several)
    if len(verdicts) > 1:
        yield from _differences(first, verdicts[1], are_several)
    yield Line("")
    for verdict in verdicts:
        yield Line(_summary(verdict), "bold")


def _source(past: SourcePast) -> Iterator[Line]:
    yield Line(f"{past.name}: {_count(len(past.jobs), 'job')}; {'; '.join(past.records)}")
    if past.gone:
        is_one = len(past.gone) == 1
        gone = "1 job that is gone is" if is_one else f"{len(past.gone):,} jobs that are gone are"
        yield Line(f"- {gone} left out, but for {'its' if is_one else 'their'} hold on the slot")
    yield from (Line(f"- {gap}", "dim") for gap in past.gaps)


def _told(title: str, messages: Sequence[Message], are_several: bool) -> Iterator[Line]:
    yield Line("")
    yield Line(f"{title}: {_count(len(messages), 'message')}", "bold")
    for message, others in _with_reminders(messages):
        about = message.about
        style = "green" if message.event == "resolved" else _colour(about.severity)
        since = _at(about.since or message.at)
        yield Line(
            f"{_at(message.at)}  {message.target}  {message.title}{_doubt(message)}",
            style,
            f"{about.kind.value}{_where(about, are_several)} since {since}, {about.summary}{_again(others)}",
        )


def _where(found: Finding, are_several: bool) -> str:
    return f" in {found.source}" if are_several else ""


def _doubt(one: Message | Condition) -> str:
    return "" if one.is_certain else " (not certain)"


def _with_reminders(messages: Sequence[Message]) -> Iterator[tuple[Message, Sequence[Message]]]:
    """Each message; but reminders of one incident to one target as the first of them, with the others."""
    reminders: dict[tuple[str, int, str], list[Message]] = {}
    for message in messages:
        if message.event == Event.REMINDER:
            reminders.setdefault(_reminded_of(message), []).append(message)
    for message in messages:
        mine = reminders.get(_reminded_of(message), []) if message.event == Event.REMINDER else [message]
        if message is mine[0]:
            yield message, mine[1:]


def _reminded_of(message: Message) -> tuple[str, int, str]:
    return message.target, message.incident, message.about.kind.value


def _again(others: Sequence[Message]) -> str:
    if not others:
        return ""
    return f"; and {_count(len(others), 'time')} more, the last at {_at(others[-1].at)}"


def _conditions(conditions: Sequence[Condition], are_several: bool) -> Iterator[Line]:
    yield Line("")
    yield Line(f"What was so: {_count(len(conditions), 'condition')}", "bold")
    yield from _lines_of(conditions, are_several)


def _lines_of(conditions: Sequence[Condition], are_several: bool) -> Iterator[Line]:
    again = _returned(conditions)
    for condition in conditions:
        found = condition.finding
        began = None if id(condition) in again else found.since
        until = f"until {_at(condition.over_at)}" if condition.over_at else "to the end"
        where = _where(found, are_several) if found.job else ""
        what, cause = f"{found.kind.value} {found.job or found.source}{where}{_doubt(condition)}", found.caused_by
        under = f", under {cause.kind} {cause.job or found.source}" if cause else ""
        yield Line(
            f"{_at(began or condition.found_at)}  {what}, {until}{under}",
            "dim" if cause else _colour(found.severity),
            found.summary,
        )


def _returned(conditions: Sequence[Condition]) -> set[int]:
    """Those that were found before and are found again: since then, and not since the first of it, they are so now."""
    known, again = set[Key](), set[int]()
    for condition in sorted(conditions, key=lambda one: one.found_at):
        if condition.finding.key in known and (condition.finding.since or condition.found_at) < condition.found_at:
            again.add(id(condition))
        known.add(condition.finding.key)
    return again


def _differences(first: Verdict, second: Verdict, are_several: bool) -> Iterator[Line]:
    for one, other in ((first, second), (second, first)):
        yield from _told(f"Only {one.name}", one.without(other), are_several)
        if unlike := one.unlike(other):
            yield Line(f"and {_count(len(unlike), 'condition')}:", "bold")
        yield from _lines_of(unlike, are_several)


def _summary(verdict: Verdict) -> str:
    kinds = Counter(condition.finding.kind.value for condition in verdict.conditions)
    told = f"{_count(len(verdict.messages), 'message')}{_shares(verdict.by_target, verdict.by_kind)}"
    return f"{verdict.name}: {told}, {_count(len(verdict.conditions), 'condition')}{_shares(kinds)}"


def _shares(*counts: Counter[str]) -> str:
    """` (ops 5, boss 2; failed 4, failing 3)`, the most first."""
    said = [", ".join(f"{name} {count}" for name, count in one.most_common()) for one in counts if one]
    return f" ({'; '.join(said)})" if said else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _colour(severity: Severity) -> str:
    return "bold red" if severity is Severity.CRITICAL else "yellow"


def _at(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S")
