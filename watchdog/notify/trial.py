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
    """Send a test message to each channel of the configuration, one after another, in the voice of all others."""
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
        for place, url in enumerate(channel.alertmanager):
            shown = name if len(channel.alertmanager) == 1 else f"{name}[{place}]"
            yield shown, _post(config, url, now)
        if not channel.alertmanager:
            yield name, _try(config, name, message)


def _post(config: Config, url: str, now: datetime) -> Result:
    """Each member of a cluster is tried: that one takes it says nothing of the others."""
    order = {"do": "post", "url": url.rstrip("/") + alertmanager.PATH, "body": [_alert(now)]}
    return finish(Child(SENDER, order, config.notify.deadline))


def _try(config: Config, name: str, message: dict[str, str]) -> Result:
    try:
        address = address_of(Target(name), config.channels, {})
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
    for index, owner in enumerate(config.owners):
        for address in [*owner.notify, *(owner.escalate.notify if owner.escalate else ())]:
            if is_address(address):
                yield from _bad(f"owners[{index}]", _sample(address), config)


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
