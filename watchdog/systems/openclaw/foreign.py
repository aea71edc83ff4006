"""Other agents' files of jobs that lie at the same place, and look much the same."""

from collections.abc import Mapping

_HERMES = frozenset({"schedule_display", "next_run_at", "last_run_at", "paused_at", "prompt"})
"""Keys of Hermes' jobs; OpenClaw has none of them."""


def whose(value: object) -> str | None:
    """What a file of jobs is, in words, if it is not OpenClaw's."""
    if isinstance(value, list) and value and all(isinstance(each, Mapping) and "job" in each for each in value):
        return _OPENFANG_IS
    jobs = value.get("jobs") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(jobs, list):
        return None
    if not jobs:
        return _HERMES_IS if "updated_at" in value and "version" not in value else None
    first = None
    for job in jobs:
        kind = _of(job) if isinstance(job, Mapping) else first
        if isinstance(job, Mapping) and kind is None:
            return None
        first = first or kind
    return first


_HERMES_IS = "Hermes' (kind: hermes watches it)"
_OPENFANG_IS = "OpenFang's or LibreFang's (kind: json reads such a file)"
_NANOBOT_IS = "nanobot's or picoclaw's (kind: json reads such a file)"


def _of(job: Mapping[str, object]) -> str | None:
    if len(_HERMES & set(job)) >= 2:
        return _HERMES_IS
    payload, state = job.get("payload"), job.get("state")
    # OpenClaw's own kinds are agentTurn and systemEvent
    is_nanobot = isinstance(payload, Mapping) and payload.get("kind") in ("agent_turn", "system_event")
    is_nanobot = is_nanobot or (isinstance(state, Mapping) and "runHistory" in state)
    return _NANOBOT_IS if is_nanobot else None
