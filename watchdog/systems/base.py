"""What every system says of itself, in one small object."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from watchdog.config.sources import Section
from watchdog.core.kinds import Kind
from watchdog.core.model import Snapshot

if TYPE_CHECKING:
    from watchdog.systems.shared.acting import Acting
    from watchdog.systems.shared.host import Host
    from watchdog.systems.shared.past import SourcePast
    from watchdog.systems.shared.recordable import Recordable

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look gave. `is_new` is False if nothing has changed since the last one; `seconds` is None then."""

    snapshot: Snapshot
    is_new: bool
    seconds: float | None = None


class Source(Protocol):
    """One watched scheduler. It remembers what must be remembered from look to look, and holds nothing open."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""

    @property
    def kind(self) -> str:
        """The system that it is of."""

    def look(self, now: datetime) -> Look:
        """The state now. What cannot be read becomes the snapshot's `problem`; no exception comes out of this."""

    def warnings(self) -> list[str]:
        """What the operator should know before it starts: ways in which reading as this user could do harm."""


CAUSE_GONE = "once its cause is gone"
BRING_BACK = f"bring it back {CAUSE_GONE}"
"""What `scheduler-watchdog revive` does for a job that was given up."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What asking a source once has shown: what is wrong with its section, and why it could not be asked."""

    wrong: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()


class System(Generic[S]):
    """One kind of scheduler. What it does not say is as for one that can be read, and nothing more.

    `process`: what is restarted; `restart`: the usual way to, as an example; `log`: the same to see what its process
    does; `aborts`: after how long that itself ends a run. `remedies`: what `scheduler-watchdog revive` does there
    against which findings. `usual_places`: where it lies where nobody has moved it, to be expanded; `usual_folders`:
    the same, of folders to look through. `marks`: names of files, or patterns, that may be of such a scheduler;
    `commands`: words in the command lines of its processes; `common_ids`: those of jobs that each such scheduler has,
    so that they tell no copy from another; `policies`: what may sensibly be done there, as written in the
    configuration. `place`: the key of its section that names its store, a file or, with `is_folder`, a folder.
    `tells_all_at_once`: whether a first look shows all that a later one would. `joins_health`: whether its source
    itself makes use of what its health address tells.
    """

    section: type[S]
    process: str = "scheduler"
    restart: str = ""
    log: str = ""
    aborts: str = ""
    remedies: Mapping[Kind, str] = {}
    usual_places: tuple[str, ...] = ()
    usual_folders: tuple[str, ...] = ()
    common_ids: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    policies: tuple[Mapping[str, object], ...] = ()
    place: str = "database"
    is_folder: bool = False
    tells_all_at_once: bool = True
    joins_health: bool = False

    def open(self, section: S, host: "Host") -> Source:
        """What reads it, where it runs."""
        raise NotImplementedError

    def recognised(self, file: Path) -> Mapping[str, object] | None:
        """What its section says where this file, whose name is one of `marks`, is of such a scheduler; else None. It is
        opened as harmlessly as any, and nothing is raised."""
        return None

    def whole(self, place: Path) -> Path:
        """The store that this one is a part of and is watched with; itself where it is of none."""
        return place

    def folders(self, section: S) -> tuple[Path, ...]:
        """The folders that must be there to read it: what a container mounts."""
        store = getattr(section, self.place, None)
        if not isinstance(store, Path):
            return ()
        return (store if self.is_folder else store.parent,)

    def try_out(self, section: S, now: datetime) -> Trial:
        """Ask it once, for what can be wrong with a section beside its form."""
        return Trial()

    def recordable(self, section: S) -> "Recordable | None":
        """What a recording of its store may hold, where one can be made."""
        return None

    @property
    def acting(self) -> "Acting[S] | None":
        """What can be done about its jobs, where something can."""
        return None

    def past(self, section: S, state: Path | None, since: datetime, until: datetime) -> "SourcePast | None":
        """What it keeps of its own past; None for one of which only the watchdog's own record tells.

        Raises PastError if it cannot be read.
        """
        return None
