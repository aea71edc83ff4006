"""The operator's own commands, which may do anything."""

from datetime import timedelta

import pytest

from watchdog.systems.shared import command

MINUTE = timedelta(minutes=1)


def test_a_command_that_does_not_stop_to_say_something_is_ended_before_it_fills_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "MOST_WRITTEN", 1 << 20)
    ran = command.run(["sh", "-c", "yes >&2"], {}, 10 * MINUTE)
    assert ran.problem == "sh said more than 1 MiB and was ended"
    assert ran.was_cut_off
    assert ran.err.startswith("y\n")


def test_one_that_takes_too_long_is_ended_at_its_deadline() -> None:
    ran = command.run(["sh", "-c", "echo begun; sleep 600"], {}, timedelta(seconds=0.3))
    assert ran.problem.startswith("sh took longer than")
    assert ran.was_cut_off


def test_what_one_said_and_how_it_ended_is_known() -> None:
    ran = command.run(["sh", "-c", "echo a; echo b >&2; exit 3"], {"A": "x"}, MINUTE)
    assert (ran.problem, ran.out, ran.err) == ("sh ended with 3: b", "a\n", "b\n")
    assert command.run(["/nowhere"], {}, MINUTE).never_began
