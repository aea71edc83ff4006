"""How the house is built: what stands where, beside what import-linter holds."""

import re
from pathlib import Path

import watchdog
from watchdog.config.policies import ANYWHERE, Policy
from watchdog.core.fields import keys
from watchdog.systems import KINDS, folder, system

HOUSE = Path(watchdog.__file__).parent
NAMES = re.compile(
    "phantom|openclaw|hermes|apscheduler|pg_cron|nanobot|picoclaw|(?:open|libre)fang|goose|agent.zero", re.IGNORECASE
)


def test_no_system_is_named_outside_its_folder_and_the_demo() -> None:
    rooms = (HOUSE / "systems", HOUSE / "demo")
    named = [
        f"{path.relative_to(HOUSE)}:{number}: {line}"
        for path in HOUSE.rglob("*.py")
        if not any(path.is_relative_to(room) for room in rooms)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if NAMES.search(line)
    ]
    assert not named, "\n".join(named)


def test_every_folder_of_a_system_is_in_the_list_of_them() -> None:
    folders = {path.parent.name for path in (HOUSE / "systems").glob("*/system.py")}
    assert folders == set(map(folder, KINDS))


def test_every_system_has_a_section_of_its_kind_and_can_do_what_that_says() -> None:
    for kind in KINDS:
        known = system(kind)
        assert keys(known.section)["kind"].annotation.__args__ == (kind,)
        assert set(known.section.actions) == set(known.acting.kinds if known.acting else ())


def test_the_keys_that_say_which_jobs_are_meant_and_where_the_store_is_are_keys_of_the_section() -> None:
    for kind in KINDS:
        known = system(kind)
        assert {*known.section.names_jobs, known.place} <= set(keys(known.section))


def test_every_action_of_a_policy_is_one_for_some_system_or_for_any() -> None:
    deeds = set(keys(Policy)["action"].annotation.__args__)
    assert deeds == {*ANYWHERE, *(action for kind in KINDS for action in system(kind).section.actions)}
