"""Something that recovery has to tell beside an incident: a question, or what became of an action."""

from dataclasses import dataclass
from datetime import datetime

from watchdog.core.action import Action
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding

PROPOSED = "Proposed"
VERIFIED = "Verified"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of one action. `matter`: its first words, by which notices that are alike are gathered; `what`: the
    rest of its title. `finding`: what it is about, by which its owner is found. `action`: the number of the action that
    is asked for. `told`: the targets that have been told; `fires_since`: since when an Alertmanager is told of it.
    `incident`: the number of the one that it is about, where there is one."""

    at: datetime
    matter: str
    what: str
    finding: Finding
    lead: str
    facts: tuple[tuple[str, str], ...]
    action: int | None = None
    kind: str = ""
    told: tuple[str, ...] = ()
    fires_since: datetime | None = None
    incident: int | None = None


def about(action: Action) -> Finding:
    """The finding that an action was about, by which its owner is found."""
    kind = Kind(action.about) if action.about in set(Kind) else Kind.FAILED  # a newer version may know others
    return Finding(action.source, kind, kind.row.severities[-1], action.job_id, action.job, None, action.why)
