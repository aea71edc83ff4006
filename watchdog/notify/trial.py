"""`notify-test` and the check of addresses: each channel is tried, and each outcome told."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from watchdog.config.file import FILLED_IN, Config
from watchdog.core.children import Child, Result, finish
from watchdog.core.instants import iso
from watchdog.notify import alertmanager
from watchdog.notify.child import MODULE as SENDER
from watchdog.notify.dispatch import open_book
from watchdog.notify.render import rendered
from watchdog.notify.targets import NoAddressError, Target, address_of, is_address, template_name
from watchdog.notify.voice import voice_of
from watchdog.notify.words import Message


def try_channels(config: Config, now: datetime) -> Iterator[tuple[str, Result]]:
    """Send a test message to each channel, and each whole address of an owner, one after another, in the voice of all
    others."""
    voice = voice_of(config)
    tested = Message(
        title="Test: the scheduler watchdog can reach you",
        lead="This is a test. Nothing is wrong.",
        facts=(("Sent", voice.say(now)),),
        jobs=(),
        command="",
        foot="scheduler-watchdog",
    )
    message = rendered(voice.completed(tested), "info")
    for name, channel in config.channels.items():
        for number, url in enumerate(channel.alertmanager):
            shown = name if len(channel.alertmanager) == 1 else f"{name}[{number}]"
            yield shown, _post(config, url, now)
        if not channel.alertmanager:
            yield name, _try(config, Target(name), message)
    for place, address in _of_owners(config):
        if not _is_filled_in(address):
            yield place, _try(config, _sample(address), message)


def untried(config: Config) -> list[str]:
    """The places of addresses to which nothing can be sent for a trial: each job fills something of its own in."""
    return [place for place, address in _of_owners(config) if _is_filled_in(address)]


def _is_filled_in(address: str) -> bool:
    return any(f"{{{name}}}" in address for name in FILLED_IN)


def _of_owners(config: Config) -> Iterator[tuple[str, str]]:
    """Each address that stands with an owner, not under a name in `channels`, where it stands first."""
    places: dict[str, str] = {}
    for index, owner in enumerate(config.owners):
        named = {"notify": owner.notify, "escalate.notify": owner.escalate.notify if owner.escalate else ()}
        for key, addresses in named.items():
            for number, address in enumerate(addresses):
                if is_address(address):
                    places.setdefault(address, f"owners[{index}].{key}[{number}]")
    yield from ((place, address) for address, place in places.items())


def _post(config: Config, url: str, now: datetime) -> Result:
    """Each member of a cluster is tried: that one takes it says nothing of the others."""
    order = {"do": "post", "url": url.rstrip("/") + alertmanager.PATH, "body": [_alert(now)]}
    return finish(Child(SENDER, order, config.notify.deadline))


def _try(config: Config, target: Target, message: dict[str, str]) -> Result:
    try:
        address = address_of(target, config.channels, open_book(config).templates)
    except NoAddressError as error:
        return Result(False, str(error))
    return finish(Child(SENDER, {"do": "send", "address": address, "message": message}, config.notify.deadline))


def _alert(now: datetime) -> dict[str, object]:
    return {
        "labels": {"alertname": "WatchdogTest", "severity": "info"},
        "annotations": {"summary": "This is a test. Nothing is wrong."},
        "startsAt": iso(now),
        "endsAt": iso(now + timedelta(minutes=1)),
    }


def bad_addresses(config: Config) -> Iterator[tuple[str, str]]:
    """The channels and owners whose addresses apprise does not know: it would drop them without an error."""
    for name, channel in config.channels.items():
        if not channel.alertmanager:
            yield from _bad(f"channels.{name}", Target(name), config)
    for place, address in _of_owners(config):
        yield from _bad(place, _sample(address), config)


def _sample(address: str) -> Target:
    """An owner's address with something filled in, as a job's facts would be."""
    return Target(template_name(address), tuple((name, "U0SAMPLE") for name in FILLED_IN))


def _bad(place: str, target: Target, config: Config) -> Iterator[tuple[str, str]]:
    try:
        address = address_of(target, config.channels, open_book(config).templates)
        outcome = finish(Child(SENDER, {"do": "check", "address": address}, config.notify.deadline))
    except NoAddressError as error:
        outcome = Result(False, str(error))
    if not outcome.ok:
        yield place, outcome.error
