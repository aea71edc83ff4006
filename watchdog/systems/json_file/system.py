"""Schedulers whose jobs stand in a JSON file, as the rest of the program knows them."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.systems.base import Source, System, Trial
from watchdog.systems.json_file.presets import NAMES
from watchdog.systems.json_file.section import JsonFile

if TYPE_CHECKING:
    from watchdog.systems.shared.host import Host


class JsonSystem(System[JsonFile]):
    """Any scheduler that keeps its jobs in a JSON file (docs/json.md). What was owed before a restart is known only to
    whoever has looked before."""

    section = JsonFile
    place = "file"
    joins_health = True
    marks = ("jobs.json", "cron_jobs.json", "schedule.json", "schedules.json", "tasks.json", "config.json")
    commands = NAMES
    usual_folders = (
        "${PICOCLAW_HOME}",
        "${OPENFANG_HOME}",
        "${LIBREFANG_HOME}",
        "${GOOSE_PATH_ROOT}",
        "${XDG_DATA_HOME}/goose",
    )
    common_ids = frozenset(("dream", "heartbeat"))
    tells_all_at_once = False

    def open(self, section: JsonFile, host: "Host") -> Source:
        """The file, and the runs that are on record beside it."""
        from watchdog.systems.json_file.source import open_json

        return open_json(section, host)

    def try_out(self, section: JsonFile, now: datetime) -> Trial:
        """Whether anything stands where its paths lead."""
        from watchdog.systems.json_file.trial import try_paths

        return try_paths(section, now)

    def folders(self, section: JsonFile) -> tuple[Path, ...]:
        """Those of the jobs and of what lies beside them."""
        calls = section.model_calls.database if section.model_calls else ()
        files = [*calls, *(path for each in section.runs for path in (each.database, each.log) if path)]
        beside = [section.beside(path).parent for path in files]
        beside += [section.beside(each.folder) for each in section.runs if each.folder]
        first = section.folder or section.store.parent
        # of several places for one file some are not there, and to mount the root would show a container all there is
        found = [each for each in beside if each != Path("/") and (each == first or not each.is_relative_to(first))]
        return tuple(dict.fromkeys([first, *found]))

    def recognised(self, file: Path) -> Mapping[str, object] | None:
        """By what its jobs look like; where it has none, by where it lies."""
        from watchdog.systems.json_file.recognised import section_of

        return section_of(file)


SYSTEM = JsonSystem()
