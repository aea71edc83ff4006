"""Small worlds made by hand, played through the very loop: silences, owners, acknowledgements, quiet hours, reloads,
stores that cannot be read, clocks. Minutes count from the beginning at 08:00 UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import at, changed, daily, failed, header, whole, written
from tests.support.judging import World, letters, wrongs

Row = Mapping[str, object]
OPS = [{"match": {}, "notify": ["ops"]}]
TWO = [{"match": {"job": "a*"}, "notify": ["ann"]}, {"match": {}, "notify": ["ops"]}]


def config(owners: Sequence[object] = OPS, channels: Sequence[str] = ("ops",), **more: object) -> dict[str, Any]:
    """Channels of these names, and these owners."""
    return {
        "sources": [{"name": "phantom", "kind": "phantom", "database": "CASE"}],
        "channels": {name: f"json://127.0.0.1:9/{name}" for name in channels},
        "owners": list(owners),
        **more,
    }


BOTH = config(TWO, ("ann", "ops"))
CALLED = config([{"match": {}, "notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}], ("ops", "boss"))


def shared(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, Any]:
    """Two owners with the same channel: of jobs that begin with an a, and of the rest."""
    return config([{"match": {"job": "a*"}, "notify": ["ops"], **one}, {"match": {}, "notify": ["ops"], **other}])


def must(to: str, begin: float, end: float, *about: str, **more: object) -> dict[str, Any]:
    """Somebody is told within these minutes."""
    return {"to": to, "between": [at(begin), at(end)], "about": about, "why": "it is theirs", **more}


def most(to: str, count: int, begin: float = 0, end: float = 10_000, **more: object) -> dict[str, Any]:
    """So many messages at the most."""
    return {"to": to, "between": [at(begin), at(end)], "count": count, "why": "they have heard it", **more}


def never(to: str, matching: str, begin: float = 0, end: float = 10_000) -> dict[str, Any]:
    """Nobody says this."""
    return {"to": to, "between": [at(begin), at(end)], "matching": matching, "why": "it is not so, or not theirs"}


def does(minutes: float, do: str, *args: object) -> dict[str, Any]:
    """What a person does."""
    return {"at": at(minutes), "do": do, "args": [str(arg) for arg in args]}


def silence(minutes: float, match: str, length: str) -> dict[str, Any]:
    """Somebody wants quiet."""
    return does(minutes, "silence", match, "--for", length)


def failing(name: str, errors: int = 6, error: str = "Error: 429 rate_limit_error") -> dict[str, object]:
    """A job that keeps failing, and may be given up."""
    return daily(name, consecutive_errors=errors, last_run_status="error", last_run_error=error)


def given_up(name: str, minutes: float, error: str = "Error: 429 rate_limit_error") -> dict[str, object]:
    """A daily job that was given up."""
    return {**failed(name, minutes), "schedule_value": daily(name)["schedule_value"], "last_run_error": error}


@dataclass(frozen=True)
class Case:
    """What there is, what happens, what a person does, and what must be told."""

    rows: Sequence[Row]
    steps: Sequence[Mapping[str, Any]]
    must: Sequence[Mapping[str, Any]] = ()
    at_most: Sequence[Mapping[str, Any]] = ()
    never: Sequence[Mapping[str, Any]] = ()
    operator: Sequence[Mapping[str, Any]] = ()
    config: Mapping[str, Any] = field(default_factory=config)
    reload: Mapping[str, Any] | None = None
    hours: float = 6

    @property
    def world(self) -> World:
        """As the judge takes it."""
        again = {"reload": self.reload} if self.reload else {}
        expected = {"must": self.must, "at_most": self.at_most, "never": self.never}
        return {"config": self.config, "operator": self.operator, **again, **expected}


def deleted(minutes: float, *names: str) -> dict[str, Any]:
    """Rows are deleted, and nothing on record says so."""
    return {"at": at(minutes), "delete": {"phantom.db": {"scheduled_jobs": [f"id-{name}" for name in names]}}}


def flaps(name: str, begin: float, times: int, *, down: float, up: float) -> list[dict[str, Any]]:
    """A job that is given up and mended again and again."""
    steps = []
    for number in range(times):
        start = begin + number * (down + up)
        steps += [changed(start, given_up(name, start)), changed(start + down, daily(name))]
    return steps


CASES = {
    "one owner's job is silenced in a storm that another shares": Case(
        [daily("alpha"), daily("beta")],
        [
            changed(10, given_up("alpha", 10), given_up("beta", 10)),
            changed(60, daily("alpha"), daily("beta")),
        ],
        must=[must("ops", 10, 13, "beta", not_about=["alpha"]), must("ops", 60, 75, "beta", severity="over")],
        never=[never("*", "alpha")],
        operator=[silence(5, "alpha", "5h")],
        config=BOTH,
    ),
    "a source is silenced": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, given_up("alpha", 10)), changed(30, given_up("beta", 30))],
        must=[must("ops", 65, 70, "alpha", "beta", severity="critical")],
        at_most=[most("ops", 0, 0, 64), most("ops", 1)],
        operator=[silence(5, "source=phantom", "1h")],
    ),
    "warnings are silenced, and one gets critical": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(60, given_up("alpha", 60)), changed(120, daily("alpha"))],
        must=[must("ops", 60, 63, "alpha", severity="critical"), must("ops", 120, 136, "alpha", severity="over")],
        at_most=[most("ops", 0, 0, 59), most("ops", 2)],
        operator=[silence(5, "severity=warning", "5h")],
    ),
    "a job's id is silenced, and another has its name": Case(
        [daily("alpha"), daily("alpha", id="other")],
        [changed(10, given_up("alpha", 10), {**given_up("alpha", 10), "id": "other"})],
        must=[must("ops", 10, 13, "alpha")],
        never=[never("*", r"id-alpha|2 jobs")],
        operator=[silence(5, "job_id=id-alpha", "9h")],
    ),
    "kind and pattern together": Case(
        [daily("alpha-1"), daily("alpha-2"), daily("beta")],
        [changed(10, given_up("alpha-1", 10), failing("alpha-2"), given_up("beta", 10))],
        must=[must("ops", 10, 13, "beta"), must("ops", 10, 30, "alpha-2")],
        never=[never("*", "alpha-1")],
        operator=[silence(5, "kind=failed,job=alpha*", "9h")],
    ),
    "what expires soon is silenced under its other name": Case(
        [daily("alpha")],
        [changed(10, given_up("alpha", -60 * 24 * 25))],
        at_most=[most("ops", 1)],
        must=[must("ops", 10, 14, "alpha")],
        operator=[silence(5, "kind=expiring", "5h")],
    ),
    "two silences, of which the shorter one ends first": Case(
        [daily("alpha")],
        [changed(10, given_up("alpha", 10))],
        must=[must("ops", 185, 190, "alpha")],
        at_most=[most("ops", 0, 0, 184), most("ops", 1)],
        operator=[silence(5, "alpha", "1h"), silence(6, "alph*", "179m")],
    ),
    "a job is told, silenced, and deleted": Case(
        [daily("alpha"), daily("beta"), daily("gamma")],
        [changed(10, given_up("alpha", 10)), deleted(60, "alpha")],
        must=[must("ops", 10, 13, "alpha"), must("ops", 60, 300, "alpha", matching="(?i)gone|no longer there")],
        never=[never("*", r"(?i)\bit is over\b")],
        operator=[silence(30, "alpha", "2h")],
    ),
    "a silenced job is deleted before anybody heard of it": Case(
        [daily("alpha"), daily("beta"), daily("gamma")],
        [changed(10, given_up("alpha", 10)), deleted(60, "alpha")],
        never=[never("*", "alpha was given up"), never("*", r"^(Over|Gone)")],
        operator=[silence(5, "alpha", "2h")],
    ),
    "another error after the acknowledgement": Case(
        [daily("alpha")],
        [
            changed(10, failing("alpha")),
            changed(120, failing("alpha", 7, "Error: 401 invalid x-api-key")),
            changed(240, daily("alpha")),
        ],
        must=[must("ops", 10, 14, "alpha"), must("ops", 120, 200, "401"), must("ops", 240, 256, severity="over")],
        at_most=[most("ops", 3)],
        operator=[does(30, "ack", 1)],
    ),
    "the same error after the acknowledgement": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(120, failing("alpha", 7)), changed(240, daily("alpha"))],
        at_most=[most("ops", 2)],
        must=[must("ops", 240, 256, severity="over")],
        operator=[does(30, "ack", 1)],
    ),
    "given up after the acknowledgement": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(120, given_up("alpha", 120))],
        must=[must("ops", 120, 123, "alpha", severity="critical")],
        at_most=[most("ops", 2)],
        operator=[does(30, "ack", 1)],
    ),
    "a critical job of another owner joins what somebody has taken on": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, given_up("alpha", 10)), changed(40, given_up("beta", 40)), changed(100, daily("beta"))],
        must=[
            must("ann", 10, 13, "alpha", severity="critical"),
            must("ops", 40, 43, "beta", severity="critical", not_about=["alpha"]),
            must("ops", 100, 116, "beta", severity="over"),
        ],
        at_most=[most("ann", 1), most("ops", 2)],
        operator=[does(20, "ack", 1)],
        config=BOTH,
    ),
    "who joins after the acknowledgement is escalated, what was taken on is not": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, given_up("alpha", 10)), changed(50, given_up("beta", 50))],
        must=[must("boss", 80, 92, "beta", not_about=["alpha"])],
        at_most=[most("boss", 1), most("boss", 0, 0, 79)],
        operator=[does(20, "ack", 1)],
        config=config(
            [{"match": {}, "notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}], ("ops", "boss")
        ),
    ),
    "given back, it is escalated": Case(
        [daily("alpha")],
        [changed(10, given_up("alpha", 10)), changed(200, daily("alpha"))],
        must=[must("boss", 60, 63, "alpha"), must("boss", 200, 216, "alpha", severity="over")],
        at_most=[most("boss", 0, 0, 59)],
        operator=[does(20, "ack", 1), does(60, "unack", 1)],
        config=config(
            [{"match": {}, "notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}], ("ops", "boss")
        ),
    ),
    "mended before the escalation": Case(
        [daily("alpha")],
        [changed(10, given_up("alpha", 10)), changed(30, daily("alpha"))],
        at_most=[most("boss", 0), most("ops", 2)],
        config=config(
            [{"match": {}, "notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}], ("ops", "boss")
        ),
    ),
    "over within quiet hours": Case(
        [daily("alpha"), daily("beta")],
        [
            changed(10, failing("alpha"), given_up("beta", 10, "Error: 401 nope")),
            changed(90, daily("alpha"), daily("beta")),
        ],
        must=[
            must("ops", 10, 14, "alpha"),
            must("ops", 10, 14, "beta", severity="critical"),
            must("ops", 90, 106, "beta", severity="over"),
            must("ops", 240, 245, "alpha", severity="over"),
        ],
        at_most=[most("ops", 1, 61, 239)],
        config=config(notify={"quiet_hours": {"from": "09:00", "to": "12:00"}}),
    ),
    "quiet hours that hold back all": Case(
        [daily("alpha"), daily("beta")],
        [changed(70, given_up("alpha", 70)), changed(80, given_up("beta", 80)), changed(100, daily("beta"))],
        must=[must("ops", 240, 243, "alpha", severity="critical", not_about=["beta"])],
        at_most=[most("ops", 0, 0, 239), most("ops", 1)],
        config=config(notify={"quiet_hours": {"from": "09:00", "to": "12:00", "except": "nothing"}}),
    ),
    "one owner's quiet hours are not another's": Case(
        [daily("alpha"), daily("beta")],
        [changed(70, failing("alpha"), failing("beta"))],
        must=[must("ops", 70, 73, "beta", not_about=["alpha"]), must("ann", 240, 244, "alpha", not_about=["beta"])],
        at_most=[most("ann", 0, 0, 239)],
        config=config(
            [{"match": {"job": "a*"}, "notify": ["ann"], "quiet_hours": {"from": "9:00", "to": "12:00"}}, *OPS],
            ("ann", "ops"),
        ),
    ),
    "quiet hours that come with a reload": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(90, daily("alpha"))],
        must=[must("ops", 10, 14), must("ops", 240, 245, "alpha", severity="over")],
        at_most=[most("ops", 0, 20, 239)],
        operator=[does(30, "reload", "again")],
        reload=config(notify={"quiet_hours": {"from": "09:00", "to": "12:00"}}),
    ),
    "an owner's address is another one, and it is over": Case(
        [daily("alpha")],
        [changed(10, given_up("alpha", 10)), changed(90, daily("alpha"))],
        must=[must("new", 30, 36, "alpha"), must("new", 90, 106, "alpha", severity="over")],
        at_most=[most("new", 2)],
        operator=[does(30, "reload", "again")],
        reload=config([{"match": {}, "notify": ["new"]}], ("ops", "new")),
    ),
    "owners swap their jobs": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, given_up("alpha", 10), given_up("beta", 10)), changed(90, daily("alpha"))],
        must=[
            must("ann", 30, 50, "beta"),
            must("ops", 30, 50, "alpha"),
            must("ops", 90, 106, "alpha", matching="(?i)over|well"),
        ],
        never=[never("ann", "alpha", 55, 89)],
        operator=[does(30, "reload", "again")],
        config=BOTH,
        reload=config([{"match": {"job": "b*"}, "notify": ["ann"]}, {"match": {}, "notify": ["ops"]}], ("ann", "ops")),
    ),
    "the store is away for half an hour": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            {"at": at(60), "remove": ["phantom.db"]},
            whole(given_up("alpha", 10), minutes=90),
            changed(150, daily("alpha")),
        ],
        must=[
            must("ops", 60, 63, severity="critical"),
            must("ops", 90, 106, severity="over", not_about=["alpha"]),
            must("ops", 150, 170, "alpha", severity="over"),
        ],
        never=[never("ops", r"^Over[^\n]*alpha", 0, 149)],
        at_most=[most("ops", 4)],
    ),
    "the store is back, and all is well in it": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            {"at": at(60), "remove": ["phantom.db"]},
            whole(daily("alpha"), minutes=90),
        ],
        must=[must("ops", 90, 106, "alpha", severity="over")],
        never=[never("ops", r"^Over[^\n]*alpha", 0, 90)],
        at_most=[most("ops", 4)],
    ),
    "the store goes away for seconds, again and again": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            *(
                step
                for number in range(12)
                for step in (
                    {"at": at(20 + 20 * number), "remove": ["phantom.db"]},
                    whole(given_up("alpha", 10), minutes=20 + 20 * number + 0.1),
                )
            ),
        ],
        at_most=[most("ops", 4)],
        never=[never("ops", r"^Over[^\n]*alpha")],
    ),
    "ten minutes down and an hour well, all day": Case(
        [daily("alpha")],
        flaps("alpha", 10, 7, down=9, up=60),
        at_most=[most("ops", 6)],
        must=[must("ops", 10, 13, severity="critical")],
        hours=9,
    ),
    "after it came and went it stays": Case(
        [daily("alpha")],
        [*flaps("alpha", 10, 6, down=3, up=15), changed(130, given_up("alpha", 130)), changed(400, daily("alpha"))],
        must=[must("ops", 130, 200, "alpha", severity="critical"), must("ops", 400, 480, "alpha", severity="over")],
        at_most=[most("ops", 7)],
        hours=9,
    ),
    "the clock runs an hour ahead for a while": Case(
        [daily("alpha"), daily("beta")],
        [
            changed(10, given_up("alpha", 10)),
            {"at": at(30), "clock": {"ahead_s": 3600}},
            changed(40, given_up("beta", 40)),
            {"at": at(60), "clock": {"ahead_s": 0}},
            changed(180, daily("alpha"), daily("beta")),
        ],
        must=[must("ops", 10, 13, "alpha"), must("ops", 40, 65, "beta"), must("ops", 180, 200, severity="over")],
        at_most=[most("ops", 4)],
    ),
    "the clock is put back by hours, and it is over": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            {"at": at(30), "clock": {"ahead_s": -10_800}},
            changed(60, daily("alpha")),
        ],
        must=[must("ops", 10, 13, "alpha"), must("ops", 60, 76, "alpha", severity="over")],
        at_most=[most("ops", 2)],
    ),
    "quiet that was wanted while the clock stood ahead is kept when it is put right": Case(
        [daily("alpha")],
        [
            {"at": at(1), "clock": {"ahead_s": 7200}},
            {"at": at(15), "clock": {"ahead_s": 0}},
            changed(20, given_up("alpha", 20)),
        ],
        must=[must("ops", 304, 316, "alpha")],
        at_most=[most("ops", 0, 0, 304), most("ops", 1)],
        operator=[silence(5, "alpha", "5h")],
    ),
    "quiet that was over while the clock stood ahead does not begin once more": Case(
        [daily("alpha")],
        [
            {"at": at(1), "clock": {"ahead_s": 7200}},
            {"at": at(30), "clock": {"ahead_s": 0}},
            changed(126, given_up("alpha", 126)),
        ],
        must=[must("ops", 126, 128, "alpha")],
        operator=[silence(5, "alpha", "10m")],
    ),
    "another error of what was told while the clock stood ahead, and taken on since": Case(
        [daily("alpha")],
        [
            {"at": at(1), "clock": {"ahead_s": 172_800}},
            changed(10, failing("alpha")),
            {"at": at(15), "clock": {"ahead_s": 0}},
            changed(120, failing("alpha", 7, "Error: 401 invalid x-api-key")),
        ],
        must=[must("ops", 120, 200, "401")],
        operator=[does(30, "ack", 1)],
    ),
    "what was told while the clock stood ahead keeps its age when it is put right": Case(
        [daily("alpha")],
        [
            {"at": at(1), "clock": {"ahead_s": 172_800}},
            changed(10, given_up("alpha", 10)),
            {"at": at(35), "clock": {"ahead_s": 0}},
            changed(200, daily("alpha")),
        ],
        must=[
            must("boss", 40, 41, "alpha"),
            must("ops", 200, 206, "alpha", severity="over", matching=r"for 3 h 10 min"),
        ],
        at_most=[most("boss", 2), most("ops", 2)],
        config=CALLED,
    ),
    "what was told before the clock was set forward for a while keeps its age": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            {"at": at(20), "clock": {"ahead_s": 600}},
            {"at": at(25), "clock": {"ahead_s": 0}},
        ],
        must=[must("boss", 40, 41, "alpha")],
        at_most=[most("boss", 1), most("ops", 1)],
        config=CALLED,
    ),
    "a clock that is set forward by hours brings no call, no reminder and no end early": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            {"at": at(20), "clock": {"ahead_s": 90_000}},
            changed(120, daily("alpha")),
        ],
        must=[
            must("boss", 40, 41, "alpha"),
            must("ops", 120, 126, "alpha", severity="over"),
        ],
        at_most=[most("boss", 2), most("ops", 2)],
        config=CALLED,
    ),
    "quiet that was wanted before the clock was set forward lasts as long as was wanted": Case(
        [daily("alpha")],
        [{"at": at(15), "clock": {"ahead_s": 7200}}, changed(20, given_up("alpha", 20))],
        must=[must("ops", 65, 67, "alpha")],
        at_most=[most("ops", 0, 0, 64), most("ops", 1)],
        operator=[silence(5, "alpha", "1h")],
    ),
    "two outages hours apart: the second is over as soon as the first was": Case(
        [daily("alpha")],
        flaps("alpha", 10, 2, down=90, up=150),
        must=[must("ops", 100, 106, severity="over"), must("ops", 250, 253), must("ops", 340, 346, severity="over")],
        at_most=[most("ops", 4)],
        hours=9,
    ),
    "a job that is paused is not well": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(60, {**failing("alpha"), "status": "paused"})],
        must=[must("ops", 60, 66, "alpha", matching=r"^Switched off: alpha")],
        at_most=[most("ops", 2)],
        never=[never("ops", r"(?i)\bover\b")],
    ),
    "of three jobs one is mended, one disabled, one deleted": Case(
        [daily("alpha"), daily("beta"), daily("gamma"), daily("delta"), daily("epsilon")],
        [
            changed(10, *(failing(name) for name in ("alpha", "beta", "gamma"))),
            changed(60, daily("alpha"), {**failing("beta"), "enabled": 0}),
            deleted(60, "gamma"),
        ],
        must=[
            must(
                "ops",
                60,
                66,
                severity="over",
                matching="gamma is gone.*, beta is switched off.*, the other one well again",
            )
        ],
    ),
    "a condition that a reload switches off is not over": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, failing("alpha"))],
        must=[must("ops", 60, 66, "alpha", matching=r"^No longer watched: alpha")],
        at_most=[most("ops", 2)],
        never=[never("ops", r"(?i)\bover\b")],
        operator=[does(60, "reload", "again")],
        reload=config(detect={"jobs": [{"match": "a*", "failing": False}]}),
    ),
    "half of a storm is mended": Case(
        [daily(f"a-{n}") for n in range(3)] + [daily(f"b-{n}") for n in range(3)],
        [
            changed(10, *(given_up(f"a-{n}", 10) for n in range(3)), *(given_up(f"b-{n}", 10) for n in range(3))),
            changed(60, *(daily(f"a-{n}") for n in range(3))),
            changed(180, *(daily(f"b-{n}") for n in range(3))),
        ],
        must=[
            must("ann", 10, 13, matching="3 jobs", severity="critical"),
            must("ann", 60, 76, matching="3 jobs", severity="over"),
            must("ops", 180, 196, matching="3 jobs", severity="over"),
        ],
        at_most=[most("ann", 2), most("ops", 2)],
        never=[never("ann", r"\bb-\d"), never("ops", r"\ba-\d")],
        config=BOTH,
    ),
    "a revived job that fails once more is no news until it is given up": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            changed(60, failing("alpha", 6)),
            changed(180, daily("alpha")),
        ],
        must=[must("ops", 180, 200, "alpha", severity="over")],
        at_most=[most("ops", 2)],
    ),
    "a renamed job is told of under its new name": Case(
        [daily("alpha")],
        [
            changed(10, given_up("alpha", 10)),
            changed(60, {**given_up("alpha", 10), "name": "omega"}),
            changed(120, {**daily("alpha"), "name": "omega"}),
        ],
        must=[must("ops", 120, 136, severity="over")],
        at_most=[most("ops", 2)],
    ),
    "an expected job is gone, and comes back": Case(
        [daily("alpha"), daily("beta"), daily("gamma")],
        [deleted(10, "alpha"), changed(90, daily("alpha"))],
        must=[must("ops", 10, 14, "alpha", severity="critical"), must("ops", 90, 106, "alpha", severity="over")],
        at_most=[most("ops", 2)],
        config={
            **config(),
            "sources": [{"name": "phantom", "kind": "phantom", "database": "CASE", "expect": ["alpha"]}],
        },
    ),
    "what gets worse while it is silenced is not over": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(60, given_up("alpha", 60)), changed(200, daily("alpha"))],
        must=[must("ops", 140, 145, "alpha", severity="critical"), must("ops", 200, 216, "alpha", severity="over")],
        at_most=[most("ops", 0, 20, 139), most("ops", 3)],
        operator=[silence(20, "alpha", "2h")],
    ),
    "of a storm that is silenced in part the end of the rest is told": Case(
        [daily("alpha"), daily("beta")],
        [
            changed(10, given_up("alpha", 10), given_up("beta", 10)),
            changed(100, daily("beta")),
            changed(300, daily("alpha")),
        ],
        must=[
            must("ops", 100, 106, "beta", severity="over", not_about=["alpha"]),
            must("ops", 300, 306, "alpha", severity="over", not_about=["beta"]),
        ],
        at_most=[most("ops", 3)],
        operator=[silence(30, "alpha", "9h")],
    ),
    "who was called already hears at once that it is worse, and never that it is over": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(60, given_up("alpha", 60)), changed(200, daily("alpha"))],
        must=[
            must("boss", 40, 43, "alpha", severity="warning"),
            must("boss", 60, 63, "alpha", severity="critical"),
            must("boss", 200, 216, "alpha", severity="over"),
        ],
        at_most=[most("boss", 3), most("ops", 3)],
        config=CALLED,
    ),
    "who was called is not called at once for what gets worse with somebody on it": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(60, given_up("alpha", 60))],
        must=[must("boss", 40, 43, "alpha", severity="warning"), must("boss", 90, 93, "alpha", severity="critical")],
        at_most=[most("boss", 2)],
        operator=[does(50, "ack", 1)],
        config=CALLED,
    ),
    "who is called for one owner's jobs has jobs too": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, given_up("alpha", 10), given_up("beta", 10))],
        must=[
            must("ann", 10, 13, "alpha", severity="critical", not_about=["beta"]),
            must("ops", 10, 13, "beta", severity="critical", not_about=["alpha"]),
            must("ops", 40, 43, "alpha", matching="Not acknowledged"),
        ],
        at_most=[most("ops", 2), most("ann", 1)],
        config=config(
            [
                {"match": {"job": "a*"}, "notify": ["ann"], "escalate": {"after": "30m", "notify": ["ops"]}},
                {"match": {}, "notify": ["ops"]},
            ],
            ("ann", "ops"),
        ),
    ),
    "two owners call the same one, each after its own time": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, given_up("alpha", 10), given_up("beta", 10))],
        must=[
            must("boss", 30, 33, "beta", matching="Not acknowledged", not_about=["alpha"]),
            must("boss", 70, 73, "alpha", matching="Not acknowledged"),
        ],
        at_most=[most("boss", 2)],
        config=config(
            [
                {"match": {"job": "a*"}, "notify": ["ann"], "escalate": {"after": "1h", "notify": ["boss"]}},
                {"match": {}, "notify": ["ops"], "escalate": {"after": "20m", "notify": ["boss"]}},
            ],
            ("ann", "ops", "boss"),
        ),
    ),
    "quiet hours of one of two owners with the same channel": Case(
        [daily("alpha"), daily("beta")],
        [changed(70, failing("alpha"), failing("beta"))],
        must=[
            must("ops", 70, 73, "beta", not_about=["alpha"]),
            must("ops", 240, 245, "alpha", matching="More of it"),
        ],
        at_most=[most("ops", 2)],
        config=shared({"quiet_hours": {"from": "9:00", "to": "12:00"}}, {}),
    ),
    "quiet hours of the other of two owners with the same channel": Case(
        [daily("alpha"), daily("beta")],
        [changed(70, failing("alpha"), failing("beta"))],
        must=[must("ops", 70, 73, "alpha", not_about=["beta"]), must("ops", 240, 245, "beta")],
        at_most=[most("ops", 2)],
        config=shared({}, {"quiet_hours": {"from": "9:00", "to": "12:00"}}),
    ),
    "of two owners with the same channel one wants no reminders": Case(
        [daily("alpha"), daily("beta")],
        [changed(10, failing("alpha"), failing("beta"))],
        must=[must("ops", 10, 13, "alpha", "beta"), must("ops", 130, 133, "beta", not_about=["alpha"])],
        at_most=[most("ops", 1, 120, 240)],
        config=shared({"remind_every": "0s"}, {"remind_every": "2h"}),
    ),
    "an end waits for the end of its owner's own quiet hours": Case(
        [daily("alpha")],
        [changed(10, failing("alpha")), changed(90, daily("alpha"))],
        must=[must("ops", 10, 13, "alpha"), must("ops", 240, 245, "alpha", severity="over")],
        at_most=[most("ops", 2)],
        config=shared({"quiet_hours": {"from": "9:00", "to": "12:00"}}, {}),
    ),
    "the one that would go first is silenced, so another is asked for": Case(
        [daily(f"job-{n:02}") for n in range(3)],
        [changed(10, *(given_up(f"job-{n:02}", 10) for n in range(3)))],
        must=[must("ops", 10, 60, matching=r"(?m)^Proposed.*job-01", severity="critical")],
        at_most=[most("ops", 2)],
        never=[never("*", r"job-00\b")],
        operator=[silence(5, "job-00", "9h")],
        config=config(
            recovery={
                "mode": "propose",
                "policies": [{"match": {"kind": "failed"}, "action": "revive", "via": ["sql"], "after": "1m"}],
            }
        ),
    ),
    "thirty questions are one, and none is asked of what is silenced": Case(
        [daily(f"job-{n:02}") for n in range(30)],
        [changed(10, *(given_up(f"job-{n:02}", 10) for n in range(30)))],
        must=[must("ops", 10, 60, matching=r"approve.* --all", severity="critical")],
        at_most=[most("ops", 2)],
        never=[never("*", r"job-00\b")],
        operator=[silence(5, "job-00", "9h")],
        config=config(
            recovery={
                "mode": "propose",
                "policies": [
                    {"match": {"kind": "failed"}, "action": "revive", "via": ["sql"], "after": "1m", "canary": False}
                ],
            }
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_person_would_expect(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = written(tmp_path / "made.case.jsonl.gz", [header(hours=case.hours), whole(*case.rows), *case.steps])
    told = letters(path, case.world, tmp_path)
    listed = "\n".join(f"{one.at:%H:%M:%S} {one.to} [{one.what}] {one.severity} {one.title}" for one in told)
    assert wrongs(told, case.world) == [], listed
