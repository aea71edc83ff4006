"""What of the configuration is allowed and will not do what it is meant to; `validate` says it, and goes on."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path
from shutil import which

from watchdog.config.file import Config, OwnerMatch
from watchdog.config.policies import BY_API, Policy, is_like
from watchdog.config.sources import Section
from watchdog.config.yaml_file import Problem
from watchdog.core.kinds import Kind
from watchdog.core.nearest import meant, wider
from watchdog.detectors.failing import Failing
from watchdog.detectors.rules import Rules

BREAKER = 10
"""Errors in a row after which a scheduler with a breaker gives a job up."""


def advice(config: Config) -> Iterator[Problem]:
    """Each with its place in the file."""
    yield from _about_paths(config)
    yield from _about_the_state(config)
    yield from _about_thresholds(config)
    yield from _about_owners(config)
    yield from _about_sources_meant(config)
    yield from _about_quiet_hours(config)
    yield from _about_programs(config)
    for index, policy in enumerate(config.recovery.policies):
        yield from ((f"recovery.policies[{index}].{key}", what) for key, what in _about_policy(policy, config))


def patterns(config: Config) -> Iterator[tuple[str, str, str | None]]:
    """Each pattern for jobs' names with its place in the file, and the pattern of their sources."""
    for index, source in enumerate(config.sources):
        for number, pattern in enumerate(source.expect):
            yield f"sources[{index}].expect[{number}]", pattern, escape(source.name)
    for index, owner in enumerate(config.owners):
        if owner.match.job is not None:
            yield f"owners[{index}].match.job", owner.match.job, owner.match.source
    for index, policy in enumerate(config.recovery.policies):
        if policy.match.job is not None:
            yield f"recovery.policies[{index}].match.job", policy.match.job, policy.match.source
    for index, rules in enumerate(config.detect.jobs):
        yield f"detect.jobs[{index}].match", rules.match, None


def unmet(config: Config, names: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """The patterns that no job is like now. `names`: those of the jobs of each source that can be read; what is meant
    for another is not judged."""
    for place, pattern, of in patterns(config):
        sources = [source.name for source in config.sources if of is None or is_like(source.name, of)]
        there = [job for source in sources for job in names.get(source, ())]
        is_met = any(job.casefold() == pattern.casefold() or is_like(job, pattern) for job in there)
        if sources and not is_met and all(source in names for source in sources):
            yield place, f"no job is like {pattern!r} now{wider(pattern, there)}"


def _about_paths(config: Config) -> Iterator[Problem]:
    """A variable without braces stays as it is, which is seldom meant; nor is a store that is not there."""
    places = [("state", config.state)]
    for index, source in enumerate(config.sources):
        places += [(f"sources[{index}].{key}", path) for key, path in source.places.items()]
    for place, path in places:
        if bare := re.search(r"\$([A-Za-z_][A-Za-z0-9_]*)", str(path)):
            yield place, f"a variable is filled in only in braces: ${{{bare.group(1)}}}"
        elif place != "state" and not os.access(path, os.F_OK):
            yield place, f"{path} is not there now, or this user may not see it"


def _about_the_state(config: Config) -> Iterator[Problem]:
    wanted = config.state.absolute().parent
    folder = next(path for path in (wanted, *wanted.parents) if path.exists())  # what is missing is made at the start
    if not folder.is_dir():
        yield "state", f"{folder} is no folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield "state", f"this user may not write in {folder}; the one that runs the service has to"


def _about_thresholds(config: Config) -> Iterator[Problem]:
    places: list[tuple[str, Rules]] = [("detect", config.detect)]
    places += [(f"detect.jobs[{index}]", rules) for index, rules in enumerate(config.detect.jobs)]
    for where, rules in places:
        if rules[Failing].errors >= BREAKER:
            yield (
                f"{where}.failing.errors",
                f"{rules[Failing].errors} is never reached where the scheduler gives a job up at its {BREAKER}th "
                "error; `failed` tells of that",
            )


def _about_owners(config: Config) -> Iterator[Problem]:
    """An owner after one who is told of everything hears of nothing; without one there may be jobs of nobody."""
    everything = (index for index, owner in enumerate(config.owners) if owner.match == OwnerMatch())
    last = next(everything, None)
    if config.owners and not all(_has_owner_for_all(source, config) for source in config.sources):
        name = next(iter(config.channels), "NAME")
        yield (
            "owners",
            f"of a job that fits none of them nobody is told; for those add at the end: - notify: [{name}]",
        )
    for index in range(last + 1 if last is not None else len(config.owners), len(config.owners)):
        yield f"owners[{index}]", f"never reached, for owners[{last}] before it takes everything; put that one last"


def _has_owner_for_all(source: Section, config: Config) -> bool:
    """Whether each job of a source has an owner, whatever is known of it."""
    return any(
        replace(owner.match, job=None, source=None) == OwnerMatch()
        and not (owner.match.job or "").strip("*")
        and is_like(source.name, owner.match.source or "*")
        for owner in config.owners
    )


def _about_sources_meant(config: Config) -> Iterator[Problem]:
    """What is for a source that is not there is for nothing."""
    names = [source.name for source in config.sources]
    matches = [(f"owners[{index}].match.source", owner.match.source) for index, owner in enumerate(config.owners)]
    for index, policy in enumerate(config.recovery.policies):
        matches.append((f"recovery.policies[{index}].match.source", policy.match.source))
    there = f"; there is {', '.join(names)}"
    for place, pattern in matches:
        if pattern is not None and not any(is_like(name, pattern) for name in names):
            yield place, f"no source is like {pattern!r}{meant(pattern, names) or there}"


def _about_quiet_hours(config: Config) -> Iterator[Problem]:
    hours = [("notify.quiet_hours", config.notify.quiet_hours)]
    hours += [(f"owners[{index}].quiet_hours", owner.quiet_hours) for index, owner in enumerate(config.owners)]
    for place, quiet in hours:
        if quiet is not None and quiet.from_ == quiet.to:
            what = "nobody is told of anything, ever" if quiet.except_ == "nothing" else "only what is critical is told"
            yield place, f"they end when they begin, a day later, so that it is always quiet: {what}"


def _about_programs(config: Config) -> Iterator[Problem]:
    """What is to be run and is not there. It may be where the service runs, or for its user."""
    for index, policy in enumerate(config.recovery.policies):
        if policy.run and which(policy.run[0]) is None:
            yield f"recovery.policies[{index}].run", _no_program(policy.run[0])


def _no_program(name: str) -> str:
    words = name.split()
    if len(words) > 1:
        return f"no program is called {name!r}; without a shell each argument stands by itself: {json.dumps(words)}"
    if "/" in name:
        return f"{name} is no program that this user may run; the one that runs the service has to"
    return f"no program {name} is found here by this user's PATH; where the service runs, by its own, it has to be"


def _about_policy(policy: Policy, config: Config) -> Iterator[Problem]:
    sources = [source for source in config.sources if _is_meant(policy, source)]
    by_api = policy.action == "revive" and set(policy.ways) <= set(BY_API)
    without = [source.name for source in sources if hasattr(source, "api") and source.api is None]
    if by_api and without:
        yield "via", f"only ways through the API, and {without[0]} has no `api:` in its section: nothing can be done"
    elif by_api and _is_logged_in(sources):
        yield (
            "via",
            "only ways through the API, whose login ends after 7 days and with every restart of the agent (a token "
            "works once): add `sql`, and `restart` as the last",
        )
    if config.recovery.mode != "observe" and policy.action == "revive" and "sql" in policy.ways:
        yield from _about_writing(sources)
    if policy.run and _restarts(policy) and policy.match.source is None and len(config.sources) > 1:
        names = ", ".join(source.name for source in config.sources)
        yield (
            "run",
            f"this one command would restart whichever of {names} it is for; say under `match` whose it is, like "
            f'`source: {config.sources[0].name}`, or `source: "*"` where it restarts them all',
        )
    if policy.action == "revive" and policy.match.kind not in (None, *_REVIVABLE):
        yield (
            "match.kind",
            f"a job that is {policy.match.kind} is not given up, so there is nothing to revive; "
            f"that fits {', '.join(_REVIVABLE)}",
        )


def _restarts(policy: Policy) -> bool:
    return policy.action == "restart" or (policy.action == "revive" and "restart" in policy.ways)


_REVIVABLE = (Kind.FAILED, Kind.EXPIRING, Kind.STRANDED)


def _about_writing(sources: list[Section]) -> Iterator[Problem]:
    """A store that is mounted read-only, as the shipped Compose file does, is not written by anybody."""
    stores = (getattr(source, "database", None) for source in sources)
    for store in (store for store in stores if isinstance(store, Path) and os.access(store, os.F_OK)):
        if not os.access(store, os.W_OK):
            yield "via", f"`sql` writes {store}, which this user may not, or which is mounted read-only: take `:ro` off"


def _is_meant(policy: Policy, source: Section) -> bool:
    pattern = policy.match.source
    return policy.action in source.actions and (pattern is None or is_like(source.name, pattern))


def _is_logged_in(sources: list[Section]) -> bool:
    """Whether a source that it may be for has a token."""
    return any(getattr(getattr(source, "api", None), "token_file", None) for source in sources)
