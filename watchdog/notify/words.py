"""What a message says, for a phone: what is wrong, since when, why, what comes next, what to do."""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate

from watchdog.core.command_line import PROGRAM, command
from watchdog.core.durations import say_duration
from watchdog.core.incident import BROUGHT_BACK, WAITING, WATCHDOG_FIRST, Member, most_specific
from watchdog.core.instants import say
from watchdog.core.kinds import Concern, Kind, Severity
from watchdog.core.model import Finding
from watchdog.core.redaction import fit_to_leave
from watchdog.incidents.intention import Deed, Intention
from watchdog.notify.plan import Dispatch, Ending, Event
from watchdog.systems.remedy import remedy_of, system_named

LISTED = 10
"""So many jobs are named; of the others only the number is."""

TITLE_LENGTH = 120
TEXT_LENGTH = 700
NAME_LENGTH = 80
ERROR_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Message:
    """A message before it has a form. All of its texts are data, to be escaped by whoever gives it one."""

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    jobs: tuple[str, ...]
    command: str
    foot: str
    link: str = ""


FEW = 3
"""So many jobs are brought back by their ids; more by their incident, where all of it is theirs who read it."""

IDS_LENGTH = 500
"""Characters of all ids in one command."""


Say = Callable[[datetime], str]
"""How instants are given."""

Job = tuple[str, str | None]
"""A job's source and id."""


def message(dispatch: Dispatch, now: datetime, say: Say = say, doing: Intention | Deed | None = None) -> Message:
    """The message for one target. `doing`: what the watchdog itself will do about it or has just done, and when."""
    incident = dispatch.incident
    head = dispatch.headline
    return Message(
        title=title(dispatch, now),
        lead=fit_to_leave(_ending(dispatch) + _lead(dispatch, head), TEXT_LENGTH),
        facts=tuple(
            (label, fit_to_leave(text, TEXT_LENGTH)) for label, text in _facts(dispatch, head, now, say, doing)
        ),
        jobs=_jobs(dispatch),
        command=command("ack", str(incident.id)) if dispatch.event is not Event.RESOLVED else "",
        foot=f"incident {incident.id} of {incident.source}",
    )


def plain_message(title: str, lead: str, facts: Sequence[tuple[str, str]], foot: str) -> Message:
    """A message that is about no incident."""
    return Message(
        title=fit_to_leave(title, TITLE_LENGTH),
        lead=fit_to_leave(lead, TEXT_LENGTH),
        facts=tuple((fit_to_leave(label, TITLE_LENGTH), fit_to_leave(text, TEXT_LENGTH)) for label, text in facts),
        jobs=(),
        command="",
        foot=fit_to_leave(foot, TITLE_LENGTH),
    )


def _ending(dispatch: Dispatch) -> str:
    """What an end is: that it is well again is said only where it is."""
    if dispatch.event is not Event.RESOLVED:
        return ""
    if not dispatch.system:
        return f"{dispatch.incident.source} is not watched any more. It was: "
    endings = _endings(dispatch)
    if Ending.UNSEEN in endings.values():
        return "Whether it is over cannot be seen any more. It was: "
    said = [_ended(ending, endings, dispatch) for ending in _ONE if ending in endings.values()]
    well = sum(ending is Ending.OVER for ending in endings.values())
    others = [f"the other {'one' if well == 1 else well} well again"] if said and well else []
    return f"{', '.join([*said, *others]) or 'It is over'}. It was: "


def _ended(ending: Ending, endings: Mapping[Job, Ending], dispatch: Dispatch) -> str:
    names = {(one.source, one.job_id): _named(one) for one in (member.finding for member in dispatch.members)}
    mine = [names[job] for job, found in endings.items() if found is ending]
    if len(mine) == 1:
        return _ONE[ending].format(mine[0])
    return f"{len(mine)} of {len(endings)} jobs {_MANY[ending]}"


_ONE = {
    Ending.GONE: "{} is gone, its row is no longer there",
    Ending.OFF: "{} is switched off, and nothing shows whether it would be well",
    Ending.UNWANTED: "The configuration has switched this off for {}",
}
_MANY = {
    Ending.GONE: "are gone, their rows no longer there",
    Ending.OFF: "are switched off",
    Ending.UNWANTED: "are not asked for this any more",
}


def _endings(dispatch: Dispatch) -> dict[Job, Ending]:
    """How it ended for each job; where one had several findings, by the one that says the least of being well."""
    found: dict[Job, Ending] = {}
    for finding in (member.finding for member in dispatch.own):
        ending, job = dispatch.endings.get(finding.key, Ending.OVER), (finding.source, finding.job_id)
        found[job] = max(found.get(job, ending), ending, key=list(Ending).index)
    return found


def title(dispatch: Dispatch, now: datetime) -> str:
    """The message in one line."""
    return fit_to_leave(_title(dispatch, dispatch.headline, now), TITLE_LENGTH)


def _title(dispatch: Dispatch, head: Finding, now: datetime) -> str:
    what, severity = _what(dispatch, head), dispatch.severity.value.upper()
    match dispatch.event:
        case Event.RESOLVED:
            return f"{_end_word(dispatch)}: {what}{_length(dispatch, now)}"
        case Event.REMINDER:
            return f"Still {severity}: {what}{_length(dispatch, now)}"
        case Event.WORSE:
            return f"Now {severity}: {what}{_in_all(dispatch)}"
        case Event.JOINED:
            return f"More of it, {severity}: {what}{_in_all(dispatch)}"
        case Event.BACK:
            return f"Back again, {severity}: {what}{_in_all(dispatch)}"
        case Event.ESCALATED:
            return f"Not acknowledged, {severity}: {what}{_in_all(dispatch)}"
        case _:
            return f"{severity}: {what}"


def _end_word(dispatch: Dispatch) -> str:
    if not dispatch.system:
        return "No longer watched"
    endings = set(_endings(dispatch).values())
    if Ending.UNSEEN in endings:
        return "No longer seen"
    return _END_WORDS.get(next(iter(endings)), "Over") if len(endings) == 1 else "Over"


_END_WORDS = {Ending.GONE: "Gone", Ending.OFF: "Switched off", Ending.UNWANTED: "No longer watched"}


def _in_all(dispatch: Dispatch) -> str:
    """How many there are with those that were told of before."""
    count, new = (len(_by_job(members)) for members in (dispatch.own, dispatch.news))
    return f" ({count} jobs in all)" if new and count > new else ""


def _length(dispatch: Dispatch, now: datetime) -> str:
    end = _clear_since(dispatch, now) if dispatch.event is Event.RESOLVED else now
    length = end - min(_headline_since(dispatch), end)
    return f" (for {say_duration(length)})" if length >= timedelta(seconds=1) else ""


def _since(dispatch: Dispatch) -> datetime:
    """Since when the earliest of what the target is told of has been so. Of jobs that wait it may be others by now that
    do."""
    told = [item.began_at for item in dispatch.told.items if item.kind == WAITING]
    return min([*(member.since for member in dispatch.own), *told], default=dispatch.incident.since)


def _headline_since(dispatch: Dispatch) -> datetime:
    """Since when it has been what the title says: of a single job what that has come to, else the earliest."""
    head = dispatch.headline
    jobs = {(member.finding.source, member.finding.job_id) for member in dispatch.own}
    mine = [member.since for member in dispatch.own if member.finding.key == head.key]
    return min(mine) if mine and len(jobs) == 1 else _since(dispatch)


def _clear_since(dispatch: Dispatch, now: datetime) -> datetime:
    ends = [member.ended_at for member in dispatch.own if member.ended_at is not None]
    return max(ends, default=dispatch.incident.clear_since or now)


QUEUED = "jobs wait for runs before them"
"""What was told of a queue of which nobody waits any more."""


def _by_job(members: Iterable[Member]) -> dict[Job, list[Finding]]:
    found: dict[Job, list[Finding]] = {}
    for member in members:
        found.setdefault((member.finding.source, member.finding.job_id), []).append(member.finding)
    return found


def _what(dispatch: Dispatch, head: Finding) -> str:
    return what_is_wrong([member for member in dispatch.news if not member.under] or dispatch.own, head)


def what_is_wrong(told: Sequence[Member], head: Finding) -> str:
    """What these members of an incident are together: `26 jobs were given up: digest and 25 more`."""
    jobs = _by_job(told)
    if head.job is None and head.job_id is None:
        return (
            f"{'the scheduler ' if head.kind.row.concern is Concern.SCHEDULER else ''}{head.source} {head.kind.row.one}"
        )
    if told and all(member.under for member in told):
        late = f"{_named(told[0].finding)} waits" if len(jobs) == 1 else f"{len(jobs)} jobs wait"
        return f"{late}: {_named(head)} {head.kind.row.one}"
    if head.caused_by is not None and len(jobs) != 1:
        busy = f"that of {head.caused_by.job}" if head.caused_by.job else "that of a job that is gone"
        return f"{len(jobs)} jobs wait for runs before them, the first for {busy}" if jobs else QUEUED
    if len(jobs) <= 1:
        return f"{_named(head)} {head.kind.row.one}"
    counted = Counter(most_specific(findings).kind for findings in jobs.values())
    kinds = sorted(counted.items(), key=lambda one: one[0].row.rank)
    return f"{_counted(kinds)}: {_named(head)} and {len(jobs) - 1} more"


def _counted(kinds: Sequence[tuple[Kind, int]]) -> str:
    """`1 job was given up and 3 keep failing`."""
    (kind, count), *others = kinds
    first = f"{count} job{'s' if count > 1 else ''} {kind.row.many if count > 1 else kind.row.one}"
    rest = [f"{number} {other.row.many if number > 1 else other.row.one}" for other, number in others]
    return " and ".join([", ".join([first, *rest[:-1]]), *rest[-1:]])


def _named(finding: Finding) -> str:
    """What a finding is about, for people."""
    if finding.job:
        return fit_to_leave(finding.job, NAME_LENGTH)
    return "a job without a name" if finding.job_id else f"the scheduler {finding.source}"


def _lead(dispatch: Dispatch, head: Finding) -> str:
    """The sentence of the job that the title names, and of its error and what helps."""
    return head.summary


def _facts(
    dispatch: Dispatch, head: Finding, now: datetime, say: Say, doing: Intention | Deed | None
) -> list[tuple[str, str]]:
    if dispatch.event is Event.RESOLVED:
        is_known = {Ending.OVER, Ending.GONE} & set(_endings(dispatch).values())
        end, over_at = "Clear since" if is_known else "Last seen", dispatch.incident.resolved_at
        over = [("Over at", say(over_at))] if is_known and over_at else []
        return [*_beginnings(dispatch, say), (end, say(_clear_since(dispatch, now))), *over]
    facts = _beginnings(dispatch, say)
    times = max(len(member.earlier) for member in dispatch.own) + 1
    has_heard = any(dispatch.told.first_at < member.began for member in dispatch.own)
    if times > 1 and (dispatch.event is Event.BACK or has_heard):
        facts.append(("Comes and goes", f"{times} times so far; you hear of it again when it stays, or stays away"))
    ahead = (
        _about_error(head),
        (doing.label, doing.said(now)) if doing else ("", ""),
        (_IF_NOT[bool(doing)], head.kind.what_follows(head.evidence, system_named(dispatch.system))),
    )
    facts += [(label, text) for label, text in ahead if text]
    waiting = len(dispatch.incident.symptoms)
    if waiting:
        facts.append(("Because of it", f"{waiting} {'job is' if waiting == 1 else 'jobs are'} late"))
    before = BROUGHT_BACK if dispatch.incident.awaits_proof_of(head.job_id) else ""
    first = WATCHDOG_FIRST if doing and not before else ""
    facts.append(("To do", f"{first}{before}{_to_do(dispatch, head)}"))
    return facts


_IF_NOT = {False: "If nobody acts", True: "If that does not help"}


def _beginnings(dispatch: Dispatch, say: Say) -> list[tuple[str, str]]:
    """Since when it is what the title says; where it began as something else, or with others, also since when that."""
    since, first = _headline_since(dispatch), _since(dispatch)
    head = dispatch.headline
    began = [member.finding for member in dispatch.own if member.since == first]
    if head.since and all(member.finding.key != head.key for member in dispatch.own):
        return [("Since", say(head.since))]  # it is the cause for which only what is late is theirs
    what = f" ({_named(began[0])} {began[0].kind.row.one})" if began and began[0].key != head.key else ""
    if since == first and head.since not in (None, first):
        return [("The first of it since", f"{say(first)}{what}")]
    return [("Since", say(since)), *([("The first of it since", f"{say(first)}{what}")] if first < since else [])]


def _to_do(dispatch: Dispatch, head: Finding) -> str:
    """What helps; one command for all that it helps with."""
    remedy = remedy_of(head, dispatch.system, dispatch.restart)
    alike = [m.finding for m in dispatch.own if m.finding.kind is head.kind and m.finding.job_id != head.job_id]
    ids = [finding.job_id for finding in (head, *alike) if finding.job_id]
    if not remedy.command or len(ids) < 2 or not _is_for_many(remedy.command):
        return remedy.short
    if len(ids) > FEW and len(ids) == len({member.finding.job_id for member in dispatch.incident.own}):
        return replace(remedy, command=f"{PROGRAM} revive --incident {dispatch.incident.id}").short
    return replace(remedy, command=command("revive", *_that_fit(ids))).short


def _that_fit(ids: Sequence[str]) -> list[str]:
    """As many as a message has room for: a command that is cut off does something else."""
    lengths = accumulate(len(shlex.quote(one)) + 1 for one in ids)
    return [one for one, length in zip(ids, lengths, strict=True) if length <= IDS_LENGTH] or list(ids[:1])


def _is_for_many(command: str) -> bool:
    return command.split()[1] == "revive"


def _error(head: Finding) -> str:
    error, class_ = head.evidence.get("last_error"), head.evidence.get("error_class")
    error = re.sub(r"\AError:\s*", "", str(error or ""))
    return f"{error}{f' ({class_})' if class_ and class_ != 'unknown' else ''}" if error else ""


def _about_error(head: Finding) -> tuple[str, str]:
    """The error; where the sentence before has told it, only whether it may pass by itself."""
    error = re.sub(r"\AError:\s*", "", str(head.evidence.get("last_error") or ""))
    if error and error in head.summary:
        return "The error is", _OF_CLASS.get(str(head.evidence.get("error_class")), "")
    return "Error", _error(head)


_OF_CLASS = {
    "transient": "transient; trying again can help",
    "permanent": "permanent; trying again does not help",
}


def _jobs(dispatch: Dispatch) -> tuple[str, ...]:
    """The jobs, those that are new first, each with what it has."""
    news = set(map(id, dispatch.news))
    jobs = _by_job([*dispatch.news, *(member for member in dispatch.members if id(member) not in news)])
    is_over = dispatch.event is Event.RESOLVED
    known = _error(dispatch.headline)
    lines = [_line(findings, known, with_error=not is_over) for findings in list(jobs.values())[:LISTED]]
    more = [f"and {len(jobs) - LISTED} more"] if len(jobs) > LISTED else []
    return (*lines, *more) if len(jobs) > 1 else ()


def _line(findings: Sequence[Finding], known: str, *, with_error: bool) -> str:
    """A job with what it has, and its error where that is not the one that was given."""
    kinds = ", ".join(dict.fromkeys(finding.kind.value for finding in findings))
    error = _error(most_specific(findings))
    said = f" ({fit_to_leave(error, ERROR_LENGTH)})" if with_error and error not in ("", known) else ""
    return f"{_named(findings[0])}: {kinds}{said}"


def severity_type(dispatch: Dispatch) -> str:
    """What apprise colours a message by."""
    if dispatch.event is Event.RESOLVED:
        return "success"
    return "failure" if dispatch.severity is Severity.CRITICAL else "warning"
