"""A gateway that is played, its command line, and the watchdog beside them on one virtual clock.

The answers are those of the real command (releases 2026.4.5 and 2026.9.6, taken down word by word).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import MINUTE, SECOND, START
from tests.support.openclaw_stores import USAGE, Gateway, Json, job
from tests.support.recovered import Recovered
from watchdog.config.file import Config
from watchdog.core.action import Action
from watchdog.core.clock import Stamp
from watchdog.core.instants import from_ms, to_ms
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.notify.notifier import Notifier
from watchdog.recovery.executor import Executor
from watchdog.recovery.fresh_look import Objection
from watchdog.recovery.recoverer import Recoverer
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.systems.openclaw import cli as openclaw_cli
from watchdog.systems.shared.command import Ran

DOWN = "Error: gateway closed (1006 abnormal closure (no close frame)): no close reason\nGateway target: ws://x\n"
PAIRING = "gateway connect failed: GatewayClientRequestError: pairing required\n"
MISMATCH = "gateway connect failed: GatewayClientRequestError: unauthorized: gateway token mismatch\n"
TIMEOUT = "Error: gateway timeout after 30000ms\nGateway target: ws://x\n"


class KilledError(BaseException):
    """The watchdog's process ends here, as by `kill -9`."""


@dataclass
class Played:
    """The scheduler: what is due and enabled is run, for `lasts`, if `works`; and what its command line answers."""

    gateway: Gateway
    now: datetime
    works: bool = True
    lasts: timedelta = 30 * SECOND
    usage: Json | None = field(default_factory=lambda: dict(USAGE))
    status: str = "ok"
    complaint: str = ""
    killed_at: str = ""
    asked: list[tuple[str, ...]] = field(default_factory=list)
    environments: list[Mapping[str, str]] = field(default_factory=list)
    forced: list[str] = field(default_factory=list)
    every: timedelta = 30 * MINUTE

    # the command line

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], deadline: timedelta) -> Ran:
        assert arguments[0] == "openclaw"
        assert arguments[1] == "cron"
        assert deadline > timedelta()
        order, id_ = arguments[2], arguments[-1]
        assert arguments[-4:-1] == ("--timeout", str(int(deadline.total_seconds() * 500)), "--")
        self.asked.append((*arguments[2:-4], id_))
        self.environments.append(environment)
        self._die_at(f"before {order}")
        if self.complaint:
            return Ran("openclaw ended with 1: no reason given", "", self.complaint)
        if id_ not in self.gateway.jobs:
            return Ran(
                "openclaw ended with 1: x", "", f"GatewayClientRequestError: Error: unknown cron job id: {id_}\n"
            )
        said = self._run(id_) if order == "run" else self._switch(id_, is_on=order == "enable")
        self._die_at(f"after {order}")
        problem = "openclaw ended with 1: no reason given" if said.get("ran") is False else ""
        return Ran(problem, json.dumps(said, indent=2) + "\n", "")

    def _die_at(self, point: str) -> None:
        if self.killed_at == point:
            self.killed_at = ""
            raise KilledError

    def _run(self, id_: str) -> Json:
        state = self.gateway.states[id_]
        if "runningAtMs" in state:
            return {"ok": True, "ran": False, "reason": "already-running"}
        due = state.get("nextRunAtMs")
        if not self.gateway.jobs[id_]["enabled"] or due is None or due > to_ms(self.now):
            return {"ok": True, "ran": False, "reason": "not-due"}
        self.forced.append(id_)
        return {"ok": True, "enqueued": True, "runId": f"manual:{id_}:{to_ms(self.now)}:1"}

    def _switch(self, id_: str, *, is_on: bool) -> Json:
        definition, state = self.gateway.jobs[id_], self.gateway.states[id_]
        definition["enabled"] = is_on
        state.pop("runningAtMs", None)
        state.pop("nextRunAtMs", None)
        if is_on:
            state.pop("autoDisabled", None)
            state["nextRunAtMs"] = to_ms(self.now + self.every)
        self.gateway.updated[id_] = to_ms(self.now)
        self.gateway.persist()
        return {**definition, "state": state}

    # the scheduler

    def pass_to(self, instant: datetime) -> None:
        """Time goes by: what is due is run, unless the scheduler stands still or a marker keeps it off."""
        self.now = instant
        for id_, state in self.gateway.states.items():
            marker, due = state.get("runningAtMs"), state.get("nextRunAtMs")
            is_ours = marker is not None and id_ in self._running
            if is_ours and instant >= self._running[id_]:
                del self._running[id_]
                self.gateway.end(id_, instant, instant + self.every, self.status, self.usage)
            elif marker is None and (self._is_due(id_, due) or id_ in self.forced):
                self.forced = [each for each in self.forced if each != id_]
                self._running[id_] = instant + self.lasts
                self.gateway.begin(id_, instant)

    def _is_due(self, id_: str, due: int | None) -> bool:
        is_on = bool(self.gateway.jobs[id_]["enabled"])
        return self.works and is_on and due is not None and from_ms(due) <= self.now

    def __post_init__(self) -> None:
        self._running: dict[str, datetime] = {}


class Rig(Recovered):
    """Gateway and watchdog."""

    def __init__(self, folder: Path, layout: str, monkeypatch: pytest.MonkeyPatch, **recovery: Any) -> None:
        self.folder = folder
        self.gateway = Gateway(folder / "openclaw", layout)
        self.played = Played(self.gateway, START)
        monkeypatch.setattr(openclaw_cli, "run", self.played.run)
        self.config = Config.validated(
            {
                "sources": [{"kind": "openclaw", "name": "claw", "state_dir": str(folder / "openclaw")}],
                "state": str(folder / "state.db"),
                "channels": {"ops": "json://127.0.0.1:9/ops"},
                "notify": {"group_wait": "0s", "gather": "0s"},
                "recovery": {"mode": "act"} | recovery,
            }
        )
        self.store = Store(folder / "state.db")
        self.counts: list[tuple[str, str]] = []
        self.published = Published(())

    def begin(self) -> None:
        """The watchdog begins, or begins anew with the same state file."""
        self.records = Records(self.store)
        self.engine = Engine(self.config)
        self.notifier = Notifier(self.config, self.store)
        self.recoverer = Recoverer(self.config, self.records, self._announce, lambda *what: self.counts.append(what))
        self.hand = Executor(self.config, Records(self.store), self.stamp, self._judge)
        self.notifier.turn(self.engine.tick(self.now).published, self.now)

    def _judge(self, action: Action) -> Objection | None:
        return self.recoverer.objection(action, self.engine.tick(self.now).published, self.stamp())

    def _announce(
        self, finding: Finding, title: str, lead: str, facts: tuple[tuple[str, str], ...], action: Action | None = None
    ) -> None:
        self.notifier.announce(finding, title, lead, facts, self.now, action)

    @property
    def now(self) -> datetime:
        return self.played.now

    def stamp(self) -> Stamp:
        return Stamp(self.now, (self.now - START).total_seconds() + 1000, "boot")

    def add(self, id_: str, *, due: timedelta = 30 * MINUTE, **changes: Any) -> None:
        """A job that runs every half hour, has run well before, and is due in so long."""
        self.gateway.add(job(id_, {"kind": "every", "everyMs": 1_800_000}, **changes), START + due, START)
        self.gateway.begin(id_, START - MINUTE)
        self.gateway.end(id_, START - 30 * SECOND, START + due)

    def step(self) -> None:
        """One turn of the service and of the hand."""
        self.published = self.engine.tick(self.now).published
        turn = self.recoverer.turn(self.published, self.stamp())
        self.published = self.engine.add(turn.findings, turn.to_follow)
        self.notifier.turn(self.published, self.now)
        self.hand.turn()

    def run(self, length: timedelta, by: timedelta = 30 * SECOND) -> None:
        """So much time goes by, with the watchdog at work."""
        end = self.now + length
        while self.now < end:
            self.played.pass_to(self.now + by)
            self.step()

    def found(self) -> dict[str | None, str]:
        return {finding.job: finding.kind.value for finding in self.published.findings}


@contextmanager
def rig(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *policies: Mapping[str, Any], layout: str = "canonical", **more: Any
) -> Iterator[Rig]:
    """A rig that is closed at the end."""
    made = Rig(folder, layout, monkeypatch, policies=list(policies), **more)
    try:
        yield made
    finally:
        made.store.close()
