"""What can be asked and done, over the API of the running watchdog. Each answer is a plain document."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from watchdog.remote.client import Document, Remote

PATIENCE = 120.0
"""Seconds for a backtest."""

LISTED = 10
"""So many jobs of one name are told apart."""

SHOWN = ("source", "job_id", "job", "state", "schedule", "last_run_at", "next_run_at", "owner", "findings")


class CannotAnswerError(Exception):
    """Why not, in one line."""


@dataclass(frozen=True)
class Questions:
    """About the watchdog at `remote`; its past is worked out from its configuration, where that lies here."""

    remote: Remote
    config: Path | None = None

    def whats_wrong(self) -> Document:
        """All open incidents, worst first, and what is silenced."""
        found = self.remote.get("/incidents")
        incidents = sorted(found["incidents"], key=lambda one: (one["severity"] != "critical", one["since"]))
        return {
            "verdict": _verdict([one["state"] for one in incidents]),
            "instance": found["instance"],
            "now": found["now"],
            "silences": found["silences"],
            "incidents": incidents,
        }

    def jobs(self, match: str, state: str) -> Document:
        """The jobs whose name or id is like `match`, of those of which the word of `state` holds if one is given."""
        found = self.remote.get("/jobs", state=state or None)
        chosen = [job for job in found["jobs"] if _is_like(job, match)]
        return {
            "now": found["now"],
            "sources": found["sources"],
            "jobs": [{key: job[key] for key in SHOWN} for job in chosen],
        }

    def incident(self, number: int) -> Document:
        """An incident with its messages and what was done."""
        return self.remote.get(f"/incidents/{number}")

    def history(self, job: str, limit: int) -> Document:
        """A job's newest runs, and all that is known of it."""
        found = self._job(job)
        past = self.remote.get("/history", source=found["source"], job_id=found["job_id"], limit=limit)
        return {"job": found, "missed": past["missed"], "runs": past["runs"][::-1]}

    def backtest(self, since: str) -> Document:
        """What would have been told since then, by the rules of now."""
        if self.config is None:
            raise CannotAnswerError("its configuration does not lie here: begin `scheduler-watchdog mcp` with -c FILE")
        ours = "from watchdog.cli.main import main; main()"
        command = [sys.executable, "-P", "-c", ours, "backtest", "-c", str(self.config), f"--since={since}"]
        try:
            done = subprocess.run(  # noqa: S603 - its own command; what is asked for stands behind `=`
                [*command, "--format", "json"], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            raise CannotAnswerError(f"it takes more than {PATIENCE:.0f} s; ask for less, like 3d") from None
        if done.returncode != 0:
            raise CannotAnswerError(done.stderr.strip()[:500])
        document: Document = json.loads(done.stdout)
        return document

    def acknowledge(self, number: int, by: str) -> Document:
        """Take an incident on."""
        return self.remote.post(f"/incidents/{number}/acknowledge", {"by": by})

    def silence(self, match: str, length: str, by: str, *, ahead: bool) -> Document:
        """Have nobody told of what matches for a time; `ahead`: also of jobs to come."""
        to_come = {"ahead": True} if ahead else {}  # an older version does not know it
        return self.remote.post("/silences", {"match": match, "length": length, "by": by, **to_come})

    def revive(self, job: str, by: str, *, dry_run: bool) -> Document:
        """Bring a job back, or say what that would be."""
        found = self._job(job)
        which = {"source": found["source"], "job_id": found["job_id"]}
        return self.remote.get("/revive", **which) if dry_run else self.remote.post("/revive", {**which, "by": by})

    def _job(self, name: str) -> Document:
        jobs: list[Document] = self.remote.get("/jobs")["jobs"]
        found = [job for job in jobs if name in (job["job_id"], job["job"])]
        if len(found) == 1:
            return found[0]
        if found:
            which = ", ".join(f"{job['job_id']} ({job['source']})" for job in found[:LISTED])
            raise CannotAnswerError(f"{len(found)} jobs are called so; give the job_id: {which}")
        near = get_close_matches(name, [job["job"] for job in jobs], 3)
        raise CannotAnswerError(f"there is no such job{'; near are: ' + ', '.join(near) if near else ''}")


def _verdict(states: Sequence[str]) -> str:
    """In a word whether something is wrong; what is clear waits only to be over."""
    clear = states.count("clearing")
    wrong = _counted(len(states) - clear, "open")
    waits = f"{_counted(clear, 'clear')}, and over if that lasts"
    return wrong if wrong and not clear else f"{wrong or 'OK'}; {waits}" if clear else "OK"


def _counted(count: int, state: str) -> str:
    return f"{count} incident{'s are' if count != 1 else ' is'} {state}" if count else ""


def _is_like(job: Mapping[str, Any], match: str) -> bool:
    pattern = match if any(sign in match for sign in "*?[") else f"*{match}*"
    return any(fnmatchcase(str(job[key]).lower(), pattern.lower()) for key in ("job", "job_id"))
