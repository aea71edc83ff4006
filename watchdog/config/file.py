"""The YAML file as typed values. Every error names the file and the path in it; all are reported in one go."""

import hashlib
import ipaddress
import os
import re
import shlex
import socket
import sys
from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from watchdog.config import kinds, yaml_file
from watchdog.config.fields import FilePath, Name, SecretFile, WebAddress, Zone, read_secret
from watchdog.config.heartbeat import Heartbeat
from watchdog.config.policies import ANYWHERE, Recovery, is_like
from watchdog.config.problems import WHOLE, in_order, problems, without
from watchdog.config.settings import Detect
from watchdog.config.sources import AnySource, Section
from watchdog.core.fields import Duration, Frozen

DEFAULT_LISTEN = "127.0.0.1:9846"
DEFAULT_STATE = Path("/var/lib/watchdog/state.db")


class ConfigError(Exception):
    """The configuration cannot be used. `problems` are complete lines: file, path in it, what is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Address(Frozen):
    """Where the service listens."""

    host: str
    port: Annotated[int, Field(ge=0, le=65535)]

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


class Http(Frozen):
    """The service's own address, and who may change things through it.

    `listen`: address and port of the page, the metrics and the API; `:9846` is all addresses, with port 0 a free one is
    taken. `token_file`: a file with the token, 16 characters or more, that whoever acknowledges, silences or revives
    from elsewhere has to show; without it that is not possible there. `public_url`: where people reach the page, for
    the links in messages. `hosts`: names by which it is reached, beside addresses and names without a dot; `*` stands
    for any part. Requests for others are refused: a page elsewhere could otherwise read here by a name of its own.
    """

    listen: str = DEFAULT_LISTEN
    token_file: SecretFile | None = None
    public_url: WebAddress | None = None
    hosts: tuple[str, ...] = ()

    @field_validator("token_file")
    @classmethod
    def _long_enough(cls, path: Path | None) -> Path | None:
        if path is not None and len(read_secret(path)) < SHORTEST_TOKEN:
            raise ValueError(
                f"the token in {path} is shorter than {SHORTEST_TOKEN} characters and can be guessed; make one with: "
                f"openssl rand -hex 32 > {path}"
            )
        return path

    @field_validator("listen")
    @classmethod
    def _address(cls, text: str) -> str:
        parse_address(text)
        return text

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

    url: SecretStr | None = None
    url_file: SecretFile | None = None
    alertmanager: Annotated[
        tuple[WebAddress, ...],
        BeforeValidator(_members, json_schema_input_type=str | list[str]),
        AfterValidator(_distinct_members),
        Field(repr=False),
    ] = ()

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if sum(bool(way) for way in (self.url is not None, self.url_file is not None, self.alertmanager)) != 1:
            raise ValueError("give one of url, url_file and alertmanager")
        return self


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
    labels: Mapping[str, str] = {}


def _clock_time(text: str) -> str:
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdigit() and len(minutes) == 2 and minutes.isdigit()):
        raise ValueError(f'{text!r} is not a time of day; write it in quotes, like "22:00"')
    time(int(hours), int(minutes))
    return text


ClockTime = Annotated[str, AfterValidator(_clock_time)]


class QuietHours(Frozen):
    """When messages wait.

    `from`: when they begin, a time of day in quotes. `to`: when they end; earlier than `from` is the next morning.
    `timezone`: in which zone that is; else that of `notify`. `except`: which severity does not wait.
    """

    from_: ClockTime = Field(alias="from")
    to: ClockTime
    timezone: Zone | None = None
    except_: Literal["critical", "nothing"] = Field(default="critical", alias="except")


FILLED_IN = ("delivery_target", "created_by", "job", "job_id", "source")
"""What of a job can stand in an owner's address, in braces."""

_PLACE = re.compile(r"\{([^{}]*)\}")


def _fillable(addresses: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted({name for text in addresses for name in _PLACE.findall(text)} - set(FILLED_IN))
    if unknown:
        raise ValueError(f"nothing fills {{{unknown[0]}}} in; known are {', '.join(FILLED_IN)}")
    return addresses


Addresses = Annotated[tuple[str, ...], Field(min_length=1, repr=False), AfterValidator(_fillable)]
"""Channel names, or addresses with `{delivery_target}` and the like, which are filled in for each job."""


class Escalation(Frozen):
    """Who is told besides, if nobody has acknowledged.

    `after`: how long after the first message. `notify`: whom: channels, or addresses with placeholders as an owner's.
    """

    after: Duration
    notify: Addresses


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
    notify: Addresses
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
    deadline: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=30)
    give_up_after: Duration = timedelta(hours=24)
    timezone: Zone = "UTC"
    command_prefix: str = ""


def _sane_poll(poll: timedelta) -> timedelta:
    if not timedelta(milliseconds=50) <= poll <= timedelta(hours=1):
        raise ValueError("must lie between 50ms and 1h")
    return poll


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

    sources: tuple[AnySource, ...]
    instance: Name | None = None
    state: FilePath = DEFAULT_STATE
    http: Http = Http()
    heartbeat: Heartbeat | None = None
    poll: Annotated[Duration, AfterValidator(_sane_poll)] = timedelta(seconds=2)
    detect: Detect = Detect()
    channels: Mapping[Name, Annotated[Channel, BeforeValidator(_channel, json_schema_input_type=str | Channel)]] = {}
    owners: tuple[Owner, ...] = ()
    notify: Notify = Notify()
    recovery: Recovery = Recovery()
    _invocation: str = PrivateAttr("")

    @property
    def invocation(self) -> str:
        """The options that mean this watchdog on the command line; empty where it was not read from anywhere."""
        return self._invocation

    def meant_by(self, option: str, path: Path) -> Self:
        """The same, meant on the command line by this option and path."""
        self._invocation = shlex.join([option, str(path.absolute())])
        return self

    @property
    def called(self) -> str:
        """The name of this watchdog among several."""
        return self.instance or socket.gethostname()

    @field_validator("sources")
    @classmethod
    def _distinct(cls, sources: tuple[AnySource, ...]) -> tuple[AnySource, ...]:
        if not sources:
            raise ValueError("name at least one source to watch")
        names = [source.name for source in sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]!r} is given to {names.count(twice[0])} sources; names must differ")
        return sources

    @model_validator(mode="after")
    def _known_channels(self) -> Self:
        known = ", ".join(self.channels) or "none"
        wrong = [
            f"owners[{index}] names the channel {target!r}, which is not there; known: {known}"
            for index, owner in enumerate(self.owners)
            for target in [*owner.notify, *(owner.escalate.notify if owner.escalate else ())]
            if "://" not in target and target not in self.channels
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @model_validator(mode="after")
    def _doable(self) -> Self:
        wrong = []
        for index, policy in enumerate(self.recovery.policies):
            pattern = policy.match.source
            meant = [source for source in self.sources if pattern is None or is_like(source.name, pattern)]
            if not meant or policy.action in ANYWHERE or any(policy.action in source.actions for source in meant):
                continue
            wrong.append(
                f"recovery.policies[{index}] is {policy.action}, an action for a source of kind "
                f"{kinds.that_can(policy.action)}; {meant[0].name} is of kind {meant[0].kind}, {_instead(meant[0])}"
            )
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

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
    config = Config.model_validate({"sources": [{"database": path}], "state": state_folder() / f"{name}.db"})
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


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in a file. Raises ConfigError with every problem in it."""
    return checked(read(path, environment), str(path)).meant_by("-c", path)


def read(path: Path, environment: Mapping[str, str] = os.environ) -> yaml_file.Document:
    """What stands in a file, which is a mapping. Raises ConfigError."""
    try:
        found = yaml_file.load(path, environment)
    except yaml_file.YamlError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None
    if not isinstance(found.data, dict):
        raise ConfigError([f"{path}: it must be a mapping that begins with `sources:`"])
    return found


def _a_source() -> dict[str, object]:
    """Any, where only what stands beside the sources is looked at."""
    return {"sources": [{"kind": kinds.usual(), "name": "none", "database": "/"}]}


def _of_the_rest(error: ValidationError, data: Mapping[str, object]) -> list[yaml_file.Problem]:
    """What does not fit together in what is left without the values that are wrong by themselves.

    Where what is left is still wrong, as a source without its database is, channels and owners are held together alone.
    """
    rest = without(data, error)
    people: dict[str, object] = {key: rest[key] for key in ("channels", "owners") if key in rest}
    for left in (rest, {**_a_source(), **people}):
        try:
            Config.model_validate(left)
        except ValidationError as further:
            if found := [(place, what) for place, what in problems(further, Config, left) if place == WHOLE]:
                return found
        else:
            break
    return []


def addresses(found: yaml_file.Document) -> Config | None:
    """The channels and owners of a file that is wrong elsewhere, as far as they are right: they can be tried."""
    given: dict[str, object] = {key: found.mapping[key] for key in ("channels", "owners") if key in found.mapping}
    for _ in range(2):  # without what is wrong by itself, then without owners whose channel is not there
        try:
            return Config.model_validate({**_a_source(), **given})
        except ValidationError as error:
            rest = without({**_a_source(), **given}, error)
            given = {key: rest[key] for key in given if key in rest}
    try:
        return Config.model_validate({**_a_source(), "channels": given.get("channels", {})})
    except ValidationError:
        return None


def checked(found: yaml_file.Document, where: str) -> Config:
    """What was read as typed values. Raises ConfigError with every problem, each of which begins with `where`."""
    config, wrong = judged(found)
    if config is None or wrong:
        raise error_of(wrong, found, where)
    return config


def judged(found: yaml_file.Document) -> tuple[Config | None, list[yaml_file.Problem]]:
    """What was read as typed values, where it can be, and all that is wrong with it."""
    data = found.mapping
    wrong = list(found.unset)
    try:
        return Config.model_validate(data), wrong
    except ValidationError as error:
        return None, [*wrong, *problems(error, Config, data), *_of_the_rest(error, data)]


def error_of(wrong: Iterable[yaml_file.Problem], found: yaml_file.Document, where: str) -> ConfigError:
    """What is wrong as an error, in the order of the file; each line of it begins with `where`."""
    return ConfigError([f"{where}: {problem}" for problem in in_order(wrong, found.lines)])
