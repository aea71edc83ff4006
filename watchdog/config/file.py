"""The YAML file as typed values. Every error names the file and the path in it; all are reported in one go."""

import difflib
import hashlib
import ipaddress
import os
import re
import shlex
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from watchdog.config import kinds, yaml_file
from watchdog.config.fields import FilePath, Name, SecretFile, WebAddress, Zone
from watchdog.config.policies import ANYWHERE, Recovery, is_like
from watchdog.config.settings import Detect
from watchdog.config.sources import AnySource, Section, kind_of
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


class Http(Frozen):
    """The service's own address, and who may change things through it.

    `public_url`: where people reach the page, for the links in messages.
    `hosts`: names by which it is reached, beside addresses and names without a dot; `*` stands for any part. Requests
    for others are refused: a page elsewhere could otherwise read here by a name of its own.
    """

    listen: str = DEFAULT_LISTEN
    token_file: SecretFile | None = None
    public_url: WebAddress | None = None
    hosts: tuple[str, ...] = ()

    @field_validator("listen")
    @classmethod
    def _address(cls, text: str) -> str:
        parse_address(text)
        return text

    @property
    def address(self) -> Address:
        """The address as host and port."""
        return parse_address(self.listen)


class Channel(Frozen):
    """One way to reach people: an apprise address, the file that it stands in, or an Alertmanager."""

    url: SecretStr | None = None
    url_file: SecretFile | None = None
    alertmanager: WebAddress | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if sum(way is not None for way in (self.url, self.url_file, self.alertmanager)) != 1:
            raise ValueError("give one of url, url_file and alertmanager")
        return self


def _channel(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class OwnerMatch(Frozen):
    """Which findings an owner gets: patterns like `heartbeat*`. Nothing said matches everything."""

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
    """When messages wait; `except` says which severity does not. `timezone`: else that of `notify`."""

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
    """Who is told besides, if nobody has acknowledged."""

    after: Duration
    notify: Addresses


class Owner(Frozen):
    """Who is told, and how; what is not said here is as in `notify`."""

    name: Name | None = None
    match: OwnerMatch = OwnerMatch()
    notify: Addresses
    remind_every: Duration | None = None
    quiet_hours: QuietHours | None = None
    escalate: Escalation | None = None


class Notify(Frozen):
    """When people are told, and how often.

    `group_wait`: how long the first message waits for what belongs to it. `hold`: how long a condition must stay
    clear before it is over. `gather`: how close together jobs must begin to fail alike to be told as one storm.
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

    `instance`: what this watchdog is called among several; else its machine's name.
    """

    sources: tuple[AnySource, ...]
    instance: Name | None = None
    state: FilePath = DEFAULT_STATE
    http: Http = Http()
    poll: Annotated[Duration, AfterValidator(_sane_poll)] = timedelta(seconds=2)
    detect: Detect = Detect()
    channels: Mapping[Name, Annotated[Channel, BeforeValidator(_channel)]] = {}
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
        for index, owner in enumerate(self.owners):
            for target in [*owner.notify, *(owner.escalate.notify if owner.escalate else ())]:
                if "://" not in target and target not in self.channels:
                    known = ", ".join(self.channels) or "none"
                    raise ValueError(
                        f"owners[{index}] names the channel {target!r}, which is not there; known: {known}"
                    )
        return self

    @model_validator(mode="after")
    def _doable(self) -> Self:
        for index, policy in enumerate(self.recovery.policies):
            pattern = policy.match.source
            meant = [source for source in self.sources if pattern is None or is_like(source.name, pattern)]
            if not meant or policy.action in ANYWHERE or any(policy.action in source.actions for source in meant):
                continue
            raise ValueError(
                f"recovery.policies[{index}] is {policy.action}, an action for a source of kind "
                f"{kinds.that_can(policy.action)}; {meant[0].name} is of kind {meant[0].kind}, {_instead(meant[0])}"
            )
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
    """Where state goes that no configuration places: systemd's folder, or the user's own."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "scheduler-watchdog"


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in a file. Raises ConfigError with every problem in it."""
    data, unset = read(path, environment)
    return checked(data, str(path), unset).meant_by("-c", path)


def read(path: Path, environment: Mapping[str, str] = os.environ) -> tuple[dict[str, object], list[yaml_file.Problem]]:
    """What stands in a file, and the variables in it that are not set. Raises ConfigError."""
    try:
        data, unset = yaml_file.load(path, environment)
    except yaml_file.YamlError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None
    if not isinstance(data, dict):
        raise ConfigError([f"{path}: it must be a mapping that begins with `sources:`"])
    return data, unset


def checked(data: Mapping[str, object], where: str, unset: Iterable[yaml_file.Problem] = ()) -> Config:
    """What was read as typed values. Raises ConfigError with every problem, each of which begins with `where`."""
    problems = {place: f"{where}: {place}: {what}" for place, what in unset}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            place, what = _problem(detail, data)
            problems.setdefault(place, f"{where}: {place}: {what}")
    if problems:
        raise ConfigError(list(problems.values()))
    return config


def _problem(detail: ErrorDetails, data: Mapping[str, object]) -> tuple[str, str]:
    parts = [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    place = [*parts, "kind"] if detail["type"] == "kind" else parts
    return _place(place), _what(detail, parts, data)


def _place(parts: list[int | str]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _what(detail: ErrorDetails, place: list[int | str], data: Mapping[str, object]) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key" + _meant(str(place[-1]), _fields_at(place[:-1], data))
    if detail["type"] == "missing":
        return "is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _meant(key: str, fields: list[str]) -> str:
    near = difflib.get_close_matches(key, fields, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(sorted(fields))}" if fields else ""


def _fields_at(parents: list[int | str], data: Mapping[str, object]) -> list[str]:
    """The keys that may be written at this place."""
    annotation: object = Config
    if parents[:1] == ["sources"] and len(parents) > 1:
        annotation, parents = _section_at(parents[1], data), parents[2:]
    for part in parents:
        annotation = _inside(annotation, part)
    model = _find_model(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _section_at(place: int | str, data: Mapping[str, object]) -> type[Section] | None:
    sources = data.get("sources")
    if not isinstance(sources, Sequence) or not isinstance(place, int):
        return None
    kind = kind_of(sources[place])
    return kinds.section_of(kind) if kind in kinds.known() else None


def _inside(annotation: object, part: int | str) -> object:
    """What stands under a key of a model, or under any key or index of a collection."""
    origin = getattr(annotation, "__origin__", None)
    if isinstance(origin, type) and issubclass(origin, Mapping | tuple):
        arguments = annotation.__args__  # type: ignore[attr-defined]
        return arguments[1] if issubclass(origin, Mapping) else arguments[0]
    model = _find_model(annotation)
    fields = model.model_fields if model else {}
    named = next((field for name, field in fields.items() if part in (name, field.alias)), None)
    return named.annotation if named else None


def _find_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((found for part in inner if (found := _find_model(part))), None)
