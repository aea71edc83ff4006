"""Lives of real Hermes gateways, recorded step by step: what is found of each is what was so."""

from pathlib import Path

import pytest

from tests.support.cases import wrongs

FOLDER = Path(__file__).parents[2] / "data" / "hermes"

LIVES = {
    "clean-restart": "a run that an orderly end throws away is broken off, until the job really runs again",
    "cli-killed": "an operator's own run is killed: its row stays open with a dead process, and the gateway is well",
    "crash-loop": "each start ticks at once, so the work is done; one run is broken off",
    "delivery-failing": "the file says ok, and that the delivery failed",
    "edited-running": "what is done to a job while its run is in flight makes neither it nor its run wrong",
    "frozen": "a gateway that stands still is told with the first job that is late; its run is not to blame",
    "hand-edited": "what Hermes mends by itself at its next tick is told less soon than what it never will",
    "hang-alone": "one run hangs and holds nobody up; Hermes ends it",
    "hang-reader": "all wait behind a run without a directory as soon as one with a directory waits for it",
    "hang-serial": "claimed rows wait behind a run that hangs, where one at a time is configured",
    "hang-workdir": "rows that say `running` wait for the lock that a run with a working directory holds",
    "healthy": "edits, a pause, runs by hand, a removal, one-shots and a limit of runs mean nothing",
    "jobs-vanish": "most jobs are gone at once, and no folder shows who took them",
    "killed-midrun": "the gateway is killed with a run in flight, is down for five minutes, and comes back",
    "lost-oneshot": "a one-shot's run is killed: it claims to be scheduled, and is dropped unrun half an hour later",
    "missed-oneshot": "a one-shot is made up after the gateway was down; a paused one stands there for good",
    "oneshot-sigterm": "a one-shot's record goes while its run hangs in a gateway that is to end, and is told after",
    "provider-401": "each run fails, and Hermes counts nothing",
    "removed-running": "a job is removed while it runs, another is paused: both end as if nothing had been",
    "script-fails": "a script and empty answers fail again and again, with no counter",
    "script-long": "a script runs without a session, as a run that waits does, and works",
    "slow-but-well": "runs longer than their cadence, and a lock that is held for a while, are no fault",
    "tick-by-crontab": "no gateway and no heartbeat is no fault, and ticks that stay away are",
    "two-tickers": "two processes that tick one home are no fault",
    "wedged-long": "a run hangs for longer than Hermes' own limit: it is the cause of all that wait",
    "zero-tokens": "runs end well, with an answer, and without a token where there were some before",
}


@pytest.mark.parametrize("name", LIVES)
def test_what_is_found_is_what_was_so(name: str) -> None:
    """Each finding stands while it is so, and at no other time."""
    assert wrongs(FOLDER / f"{name}.case.jsonl.gz") == []


def test_every_life_is_there_with_its_reason() -> None:
    assert {path.name.removesuffix(".case.jsonl.gz") for path in FOLDER.glob("*.case.jsonl.gz")} == set(LIVES)
