"""What an operator can say, as values. What must be so of them stands beside them as marks (`core.fields`)."""

import hashlib
import ipaddress
import os
import re
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from watchdog.config import kinds
from watchdog.config.fields import FilePath, Name, SecretFile, WebAddress, Zone, read_secret
from watchdog.config.heartbeat import Heartbeat
from watchdog.config.policies import ANYWHERE, Recovery, is_like
from watchdog.config.settings import Detect
from watchdog.config.sources import AnySource, Section
from watchdog.core.fields import Duration, Frozen, Secret, bounds, checked, rewritten

DEFAULT_LISTEN = "127.0.0.1:9846"
DEFAULT_STATE = Path("/var/lib/watchdog/state.db")


class ConfigError(Exception):
    """The configuration cannot be used. `problems` are complete lines: file, path in it, what is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)


class Address(Frozen):
    """Where the service listens."""

    host: str
    port: Annotated[int, bounds(ge=0, le=65535)]

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """`127.0.0.1:9846`, `[::1]:9846` or `:9846` (all addresses); raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address with a port; write it like {DEFAULT_LISTEN}")
    return Address(host=host or "0.0.0.0", port=int(port))  # noqa: S104 - what `:9846` means everywhere


SHORTEST_TOKEN = 16
"""Characters."""


def _listening(text: str) -> str:
    parse_address(text)
    return text


def _long_enough(path: Path) -> Path:
    if len(read_secret(path)) < SHORTEST_TOKEN:
        raise ValueError(
            f"the token in {path} is shorter than {SHORTEST_TOKEN} characters and can be guessed; make one with: "
            f"openssl rand -hex 32 > {path}"
        )
    return path


class Http(Frozen):
    """The service's own address, and who may change things through it.

    `listen`: address and port of the page, the metrics and the API; `:9846` is all addresses, with port 0 a free one is
    taken. `token_file`: a file with the token, 16 characters or more, that whoever acknowledges, silences or revives
    from elsewhere has to show; without it that is not possible there. `public_url`: where people reach the page, for
    the links in messages. `hosts`: names by which it is reached, beside addresses and names without a dot; `*` stands
    for any part. Requests for others are refused: a page elsewhere could otherwise read here by a name of its own.
    """

    listen: Annotated[str, checked(_listening)] = DEFAULT_LISTEN
    token_file: Annotated[SecretFile, checked(_long_enough)] | None = None
    public_url: WebAddress | None = None
    hosts: tuple[str, ...] = ()

    @property
    def address(self) -> Address:
        """The address as host and port."""
        return parse_address(self.listen)


def _members(value: object) -> object:
    if value == []:
        raise ValueError("name at least one address, like http://127.0.0.1:9093")
    return [value] if isinstance(value, str) else value or ()


def _distinct_members(urls: tuple[str, ...]) -> tuple[str, ...]:
    bare = [url.rstrip("/") for url in urls]
    twice = next((place for place, url in enumerate(bare) if url in bare[:place]), None)
    if twice is not None:
        raise ValueError(f"the address at [{twice}] is there already; name each member of the cluster once")
    return urls


class Channel(Frozen):
    """One way to reach people; just one of the three keys. A text alone is the `url`.

    `url`: an address that apprise knows, such as `ntfys://topic`; it is a secret. `url_file`: a file in whose first
    line the address stands. `alertmanager`: the address of an Alertmanager, which is told of all that is wrong; of a
    cluster a list of all members.
    """

    url: Secret | None = None
    url_file: SecretFile | None = None
    alertmanager: Annotated[
        tuple[WebAddress, ...],
        rewritten(_members, str | list[str]),
        checked(_distinct_members),
    ] = field(default=(), repr=False)

    def fits_together(self) -> None:
        """One way."""
        if sum(bool(way) for way in (self.url is not None, self.url_file is not None, self.alertmanager)) != 1:
            raise ValueError("give one of url, url_file and alertmanager")


def _channel(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class OwnerMatch(Frozen):
    """Which findings an owner gets: patterns like `heartbeat*`. Nothing said matches everything.

    `job`: the job's name. `created_by`: who made the job, where its scheduler notes it. `delivery_target`: where the
    job's results go. `source`: the name of the source. `labels`: labels of the source, each with a pattern for its
    value.
    """

    job: str | None = None
    created_by: str | None = None
    delivery_target: str | None = None
    source: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def _clock_time(text: str) -> str:
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdigit() and len(minutes) == 2 and minutes.isdigit()):
        raise ValueError(f'{text!r} is not a time of day; write it in quotes, like "22:00"')
    time(int(hours), int(minutes))
    return text


ClockTime = Annotated[str, checked(_clock_time)]


class QuietHours(Frozen):
    """When messages wait.

    `from`: when they begin, a time of day in quotes. `to`: when they end; earlier than `from` is the next morning,
    and the same time is the next day, so that it is always quiet. `timezone`: in which zone that is; else that of
    `notify`. `except`: which severity does not wait.
    """

    from_: ClockTime
    to: ClockTime
    timezone: Zone | None = None
    except_: Literal["critical", "nothing"] = "critical"


FILLED_IN = ("delivery_target", "created_by", "job", "job_id", "source")
"""What of a job can stand in an owner's address, in braces."""

_PLACE = re.compile(r"\{([^{}]*)\}")


def _fillable(addresses: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted({name for text in addresses for name in _PLACE.findall(text)} - set(FILLED_IN))
    if unknown:
        raise ValueError(f"nothing fills {{{unknown[0]}}} in; known are {', '.join(FILLED_IN)}")
    return addresses


Addresses = Annotated[tuple[str, ...], bounds(min_length=1), checked(_fillable)]
"""Channel names, or addresses with `{delivery_target}` and the like, which are filled in for each job."""


class Escalation(Frozen):
    """Who is told besides, if nobody has acknowledged.

    `after`: how long after the first message. `notify`: whom: channels, or addresses with placeholders as an owner's.
    """

    after: Duration
    notify: Addresses = field(repr=False)


class Owner(Frozen):
    """Who is told, and how; what is not said here is as in `notify`.

    `name`: what the owner is called in metrics and policies; else as the channels are. `match`: which findings are the
    owner's; of several owners the first that fits is told. `notify`: names of channels, or addresses in which
    `{delivery_target}`, `{created_by}`, `{job}`, `{job_id}` and `{source}` are filled in. `remind_every`: how often it
    is said again while nobody has acknowledged. `quiet_hours`: when messages wait. `escalate`: who is told besides, if
    nobody acknowledges.
    """

    name: Name | None = None
    match: OwnerMatch = OwnerMatch()
    notify: Addresses = field(repr=False)
    remind_every: Duration | None = None
    quiet_hours: QuietHours | None = None
    escalate: Escalation | None = None


class Notify(Frozen):
    """When people are told, and how often.

    `remind_every`: how often it is said again what still is so and nobody has acknowledged. `resolved`: whether it is
    told when it is over. `quiet_hours`: when messages wait, for all owners that have none of their own. `group_wait`:
    how long the first message waits for what belongs to it. `hold`: how long a condition must stay clear before it is
    over. `gather`: how close together jobs must begin to fail alike to be told as one storm. `deadline`: how long
    sending one message may take. `give_up_after`: for how long a message that cannot be sent is tried again.
    `timezone`: in which messages give times. `command_prefix`: what has to stand before `scheduler-watchdog` for a
    command to run where messages are read, such as `docker exec watchdog` or `sudo -u watchdog`.
    """

    remind_every: Duration = timedelta(hours=24)
    resolved: bool = True
    quiet_hours: QuietHours | None = None
    group_wait: Duration = timedelta(seconds=20)
    hold: Duration = timedelta(minutes=5)
    gather: Duration = timedelta(hours=1)
    deadline: Annotated[Duration, bounds(gt=timedelta())] = timedelta(seconds=30)
    give_up_after: Duration = timedelta(hours=24)
    timezone: Zone = "UTC"
    command_prefix: str = ""


def _sane_poll(poll: timedelta) -> timedelta:
    if not timedelta(milliseconds=50) <= poll <= timedelta(hours=1):
        raise ValueError("must lie between 50ms and 1h")
    return poll


def _distinct(sources: tuple[AnySource, ...]) -> tuple[AnySource, ...]:
    if not sources:
        raise ValueError("name at least one source to watch")
    if twice := [*given_twice([source.name for source in sources])]:
        raise ValueError("\n".join(twice))
    return sources


def given_twice(names: Sequence[str]) -> Iterator[str]:
    """What is said of each name that more than one source has."""
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the name {name!r} is given to {names.count(name)} sources; names must differ"


class Config(Frozen):
    """All that an operator can say.

    `sources`: the schedulers to watch, at least one; `kind` says which further keys an entry has. `instance`: what this
    watchdog is called among several; else its machine's name. `state`: the watchdog's own file: incidents, messages,
    history. `http`: where it answers, and who may change things. `heartbeat`: an address that is called while all
    turns, so that somebody outside hears of a silence. `poll`: how often each source is looked at, from 50ms to 1h.
    `detect`: the thresholds of the conditions. `channels`: the ways to reach people, by name. `owners`: who is told of
    what; where none is named, every channel is told of everything. `notify`: when people are told, and how often.
    `recovery`: what may be done about it.
    """

    sources: Annotated[tuple[AnySource, ...], checked(_distinct)]
    instance: Name | None = None
    state: FilePath = DEFAULT_STATE
    http: Http = Http()
    heartbeat: Heartbeat | None = None
    poll: Annotated[Duration, checked(_sane_poll)] = timedelta(seconds=2)
    detect: Detect = Detect()
    channels: Mapping[Name, Annotated[Channel, rewritten(_channel, str | Channel)]] = field(default_factory=dict)
    owners: tuple[Owner, ...] = ()
    notify: Notify = Notify()
    recovery: Recovery = Recovery()
    _invocation: ClassVar[str] = ""

    @property
    def invocation(self) -> str:
        """The options that mean this watchdog on the command line; empty where it was not read from anywhere."""
        return self._invocation

    def meant_by(self, option: str, path: Path) -> Self:
        """The same, meant on the command line by this option and path."""
        return self.but(_invocation=shlex.join([option, str(path.absolute())]))

    @property
    def called(self) -> str:
        """The name of this watchdog among several."""
        return self.instance or socket.gethostname()

    def fits_together(self) -> None:
        """Every channel is there, and every policy can be carried out somewhere."""
        if wrong := [*self._unknown_channels()] or [*self._undoable()]:
            raise ValueError("\n".join(wrong))

    def _unknown_channels(self) -> Iterator[str]:
        known = ", ".join(self.channels) or "none"
        for index, owner in enumerate(self.owners):
            for target in [*owner.notify, *(owner.escalate.notify if owner.escalate else ())]:
                if "://" not in target and target not in self.channels:
                    yield f"owners[{index}] names the channel {target!r}, which is not there; known: {known}"

    def _undoable(self) -> Iterator[str]:
        for index, policy in enumerate(self.recovery.policies):
            pattern = policy.match.source
            meant = [source for source in self.sources if pattern is None or is_like(source.name, pattern)]
            if not meant or policy.action in ANYWHERE or any(policy.action in source.actions for source in meant):
                continue
            yield (
                f"recovery.policies[{index}] is {policy.action}, an action for a source of kind "
                f"{kinds.that_can(policy.action)}; {meant[0].name} is of kind {meant[0].kind}, {_instead(meant[0])}"
            )

    def restart_of(self, source: str) -> str:
        """The command by which the operator has this source's agent restarted; empty where none is named. Of several
        sources a policy that does not say for which it is names nobody's."""
        policies = [policy for policy in self.recovery.policies if policy.action == "restart"]
        any_source = "*" if len(self.sources) == 1 else ""
        fitting = [policy for policy in policies if is_like(source, policy.match.source or any_source)]
        return next((shlex.join(policy.run) for policy in fitting if policy.run), "")

    @property
    def people(self) -> tuple[Owner, ...]:
        """The owners; where none is named, everybody is told of everything on every channel."""
        if self.owners or not self.channels:
            return self.owners
        return (Owner(notify=tuple(self.channels)),)


def _instead(source: Section) -> str:
    return f"where it can be {', '.join([*source.actions, 'command'])} or restart"


def for_database(path: Path) -> Config:
    """What holds when there is no file: this database, with all defaults and a state file of its own."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    config = Config.validated({"sources": [{"database": path}], "state": state_folder() / f"{name}.db"})
    return config.meant_by("--database", path)


def state_folder() -> Path:
    """Where state goes that no configuration places: systemd's folder, or the user's own, as the system has it."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    usual = Path.home().joinpath(
        *(("Library", "Application Support") if sys.platform == "darwin" else (".local", "state"))
    )
    return Path(os.environ.get("XDG_STATE_HOME") or usual) / "scheduler-watchdog"
