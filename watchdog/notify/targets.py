"""Where a message goes: a channel of the configuration, or an address with a job's own facts filled in.

A target has a key that names it and holds no secret; the address is put together when the message is sent.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote, unquote

from watchdog.config.fields import read_secret
from watchdog.config.file import Channel, Owner
from watchdog.core.model import Finding, Job

_PLACE = re.compile(r"\{([a-z_]+)\}")

_HOST = re.compile(r"(?:[\w-]+(?:\.[\w-]+)+|localhost)(?::\d+)?")
"""Where a message goes to, and no credential."""


class NoAddressError(Exception):
    """The target cannot be resolved; one line."""


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is a channel's, or `template:HASH` for an address that stands in an owner's entry."""

    name: str
    values: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Its name, and what is filled in."""
        return self.name + "".join(f" {name}={quote(value, safe='')}" for name, value in self.values)


def is_address(text: str) -> bool:
    """Whether an owner's entry names an address and not a channel."""
    return "://" in text


def template_name(address: str) -> str:
    """What an address is called where it must not be shown."""
    return f"template:{hashlib.sha256(address.encode()).hexdigest()[:12]}"


def names_of(owners: Iterable[Owner]) -> dict[str, str]:
    """What each address that stands in an owner's entry is called where it must not be shown.

    One that is nothing but credentials, and what is filled in, keeps its name when those are renewed: its service and
    what is filled in make it up. Where several are alike in that, each is called after its own text.
    """
    told = {text for owner in owners for text in _all_of(owner) if is_address(text)}
    alike = Counter(_shape(text) for text in told)
    return {text: template_name(_shape(text) if alike[_shape(text)] == 1 else text) for text in told}


def _all_of(owner: Owner) -> tuple[str, ...]:
    return (*owner.notify, *(owner.escalate.notify if owner.escalate else ()))


def _shape(address: str) -> str:
    """The address without its credentials, where it can be told what they are."""
    service, _, rest = address.partition("://")
    places = _PLACE.findall(rest)
    host = re.split(r"[/?]", rest.rpartition("@")[2] if "@" in rest.partition("/")[0] else rest, maxsplit=1)[0]
    return address if not places or _HOST.fullmatch(host) else f"{service}://{' '.join(places)}"


def targets_of(
    notify: Iterable[str], finding: Finding, job: Job | None, names: Mapping[str, str] = MappingProxyType({})
) -> list[Target]:
    """The targets of one finding, an address by its name. One whose facts are not known for it is left out."""
    facts = _facts(finding, job)
    found = [_target(text, facts, names) for text in notify]
    return [target for target in found if target is not None]


def _target(text: str, facts: Mapping[str, str | None], called: Mapping[str, str]) -> Target | None:
    if not is_address(text):
        return Target(text)
    names = sorted(set(_PLACE.findall(text)))
    values = [(name, facts.get(name)) for name in names]
    if any(value is None for _, value in values):
        return None
    name = called.get(text) or template_name(text)
    return Target(name, tuple((place, str(value)[:80]) for place, value in values))


def _facts(finding: Finding, job: Job | None) -> dict[str, str | None]:
    return {
        "delivery_target": job.delivery_target if job else None,
        "created_by": job.created_by if job else None,
        "job": finding.job,
        "job_id": finding.job_id,
        "source": finding.source,
    }


def parse_key(key: str) -> Target:
    """The target that a key names."""
    name, *values = key.split(" ")
    pairs = (value.partition("=") for value in values)
    return Target(name, tuple((left, unquote(right)) for left, _, right in pairs))


def address_of(target: Target, channels: Mapping[str, Channel], templates: Mapping[str, str]) -> str:
    """The address to send to. What is filled in is quoted, so that it can name a target and nothing else.

    Raises NoAddressError.
    """
    if target.name in channels:
        return _channel_address(target.name, channels[target.name])
    template = templates.get(target.name)
    if template is None:
        raise NoAddressError("it is not in the configuration any more")
    values = dict(target.values)
    return _PLACE.sub(lambda match: quote(values.get(match.group(1), ""), safe=""), template)


def _channel_address(name: str, channel: Channel) -> str:
    if channel.url is not None:
        return channel.url.get_secret_value()
    if channel.url_file is None:
        raise NoAddressError(f"the channel {name} has no address")
    try:
        return read_secret(channel.url_file)
    except ValueError as error:
        raise NoAddressError(str(error)) from None
