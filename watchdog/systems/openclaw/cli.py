"""OpenClaw's own command line: how it is asked, and what its answers mean (docs/openclaw.md, acting).

Every `cron` command is a call of the running gateway. Its files are never written.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from watchdog.core.redaction import fit_to_leave
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.openclaw.store import place_of
from watchdog.systems.shared.command import Ran, run

_ORDERS: Mapping[str, Sequence[str]] = {
    "run_due": ("run", "--due"),
    "enable": ("enable",),
    "disable": ("disable",),
}

_LONGEST = 200


class Replied(StrEnum):
    """What became of an order. `unsure`: no answer came, and it may have been done."""

    DONE = "done"
    RUNNING = "running"
    REFUSED = "refused"
    UNABLE = "unable"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway said, in one line."""

    outcome: Replied
    what: str


def ask(source: OpenClaw, order: str, job_id: str, facts: Mapping[str, str], deadline: timedelta) -> Reply:
    """Have the gateway do something with a job: `run_due`, `enable` or `disable`."""
    # left to itself one release waits for ten minutes
    patience = ("--timeout", str(int(max(deadline / 2, timedelta(seconds=1)) / timedelta(milliseconds=1))))
    arguments = (*source.cli, "cron", *_ORDERS[order], *patience, "--", job_id)
    return reply_of(order, run(arguments, {**facts, **_environment(source)}, deadline))


def _environment(source: OpenClaw) -> Mapping[str, str]:
    """Which gateway is meant, for a command that runs beside the files; no colours in what it says; and no process of
    its own that could outlive the deadline, and still do it when the gateway comes back."""
    folder = place_of(source.state_dir, source.store, source.lock).state_dir
    where = {"OPENCLAW_STATE_DIR": str(folder)} if folder else {}
    return {**where, "OPENCLAW_NO_RESPAWN": "1", "NO_COLOR": "1"}


def reply_of(order: str, ran: Ran) -> Reply:
    """What the end of the command means."""
    if ran.never_began:
        return Reply(Replied.UNABLE, f"cannot act: {_fit(ran.problem)} (`cli` of the source says how it is called)")
    said = _json_in(ran.out)
    if said.get("ran") is False:
        reason = _fit(str(said.get("reason") or "no reason given"))
        is_running = reason == "already-running"
        return Reply(Replied.RUNNING if is_running else Replied.REFUSED, f"the gateway would not: {reason}")
    if not ran.problem:
        return _done(order, said)
    error = said.get("error")
    message = str(error["message"]) if isinstance(error, Mapping) and error.get("message") else ran.err
    return _refused(message, ran)


def _done(order: str, said: Mapping[str, object]) -> Reply:
    """Believed only if the answer says so itself. Of one that cannot be read, a long job's, the store tells more."""
    if order == "run_due":
        run_id = said.get("runId")
        if not run_id:
            return Reply(Replied.UNSURE, "the command ended well, and does not say that the run was taken on")
        return Reply(Replied.DONE, f"the gateway has taken the run on as {_fit(str(run_id))}")
    is_on = order == "enable"
    if said.get("enabled") is not is_on:
        what = f"the gateway answered, and does not say that the job is {order}d"
        return Reply(Replied.REFUSED if "enabled" in said else Replied.UNSURE, what)
    return Reply(Replied.DONE, f"the gateway says that the job is switched {'on' if is_on else 'off'}")


def _refused(message: str, ran: Ran) -> Reply:
    complaint = _first_line(message)
    for pattern, meaning in _MEANINGS:
        if pattern.search(message):
            return Reply(Replied.UNABLE, f"cannot act: {meaning}: {_fit(complaint)}")
    if ran.was_cut_off or _TIMED_OUT.search(complaint):
        return Reply(Replied.UNSURE, f"no answer came ({_fit(complaint or ran.problem)}); it may have been done")
    return Reply(Replied.REFUSED, f"the gateway would not: {_fit(complaint or ran.problem)}")


_TIMED_OUT = re.compile(r"time[d ]?.?out", re.IGNORECASE)
_MEANINGS = (
    (
        re.compile(r"pairing required|scope upgrade pending|device identity", re.IGNORECASE),
        "the gateway does not know this user's device; run the watchdog as the gateway's user, or pair it once",
    ),
    (
        re.compile(r"unauthori[sz]ed|forbidden|missing scope|token m|(?:explicit|requires) credentials", re.IGNORECASE),
        "the gateway does not accept who asks; run the watchdog as the gateway's user",
    ),
    (re.compile(r"not reachable|gateway closed|ECONN|ENOTFOUND|EHOSTUNREACH", re.IGNORECASE), "the gateway is down"),
)


def _first_line(message: str) -> str:
    """What went wrong; the lines that follow say where it looked."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0].removeprefix("Error: ") if lines else ""


def _json_in(text: str) -> Mapping[str, object]:
    """The object that the answer ends with; a line may stand before it."""
    begin = text.find("{")
    try:
        found = json.loads(text[begin:]) if begin >= 0 else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fit(text: str) -> str:
    return fit_to_leave(text, _LONGEST)
