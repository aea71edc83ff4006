"""The YAML file as typed values. Every error names the file and the path in it; all are reported in one go."""

import difflib
import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from watchdog.config import yaml_file
from watchdog.config.policies import MEANT_FOR, Recovery, is_like
from watchdog.config.settings import Detect
from watchdog.core.durations import say_duration
from watchdog.core.fields import Duration, Frozen
from watchdog.core.model import CronRules

DEFAULT_LISTEN = "127.0.0.1:9846"
DEFAULT_STATE = Path("/var/lib/watchdog/state.db")


class ConfigError(Exception):
    """The configuration cannot be used. `problems` are complete lines: file, path in it, what is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write a name like UTC or Europe/Berlin") from None
    return name


Zone = Annotated[str, AfterValidator(_zone)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


def read_secret(path: Path) -> str:
    """The first line of a secret's file; raises ValueError with the path, never with what stands in it."""
    try:
        lines = path.read_text(encoding="utf-8").strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ValueError(f"the file {path} cannot be read: {reason}") from None
    if not lines:
        raise ValueError(f"the file {path} is empty")
    return lines[0].strip()


def _readable(path: Path | None) -> Path | None:
    if path is not None:
        read_secret(path)
    return path


SecretFile = Annotated[Path, AfterValidator(_readable)]


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    return url


class Api(Frozen):
    """The scheduler's own web API, where it has one that may be used."""

    url: Annotated[str, AfterValidator(_web_address)]
    token_file: SecretFile | None = None


def _possible(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("not a path: there is a NUL in it")
    return path


FilePath = Annotated[Path, AfterValidator(_possible)]


class Phantom(Frozen):
    """A Phantom agent's database file."""

    kind: Literal["phantom"] = "phantom"
    name: Name = "phantom"
    database: FilePath
    timezone: Zone = "UTC"
    look_back: Duration = timedelta(days=7)
    labels: Mapping[str, str] = {}
    api: Api | None = None


def _one_select(text: str) -> str:
    query = text.strip().rstrip(";").rstrip()
    if not _SELECT.match(query):
        raise ValueError("must be one SELECT statement (or WITH ... SELECT)")
    return query


_SELECT = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with)\b", re.IGNORECASE | re.DOTALL)

Query = Annotated[str, AfterValidator(_one_select)]
"""A query of the operator's own. It can only read: the database is opened for nothing else."""


def _after_an_id(query: str) -> str:
    if not re.search(r"(?<![:\w]):after\b", query):
        raise ValueError("must ask for the runs after the last id seen: WHERE id > :after")
    return query


def _between(least: timedelta, most: timedelta) -> AfterValidator:
    def check(length: timedelta) -> timedelta:
        if not least <= length <= most:
            raise ValueError(f"must lie between {say_duration(least)} and {say_duration(most)}")
        return length

    return AfterValidator(check)


_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


class Sql(Frozen):
    """Any scheduler with its jobs in SQLite or PostgreSQL, read by two queries of the operator's own (docs/sql.md).

    `every`: how often a PostgreSQL server is asked. `deadline`: when a read is cut off, whatever it hangs in.
    `look_back`: how many of the newest runs the first look reads.
    """

    kind: Literal["sql"]
    name: Name = "sql"
    database: FilePath | None = None
    dsn: SecretStr | None = None
    dsn_file: SecretFile | None = None
    jobs: Query
    runs: Annotated[Query, AfterValidator(_after_an_id)] | None = None
    cron: CronRules = "classic"
    timezone: Zone = "UTC"
    every: Annotated[Duration, _between(_SECOND, _DAY)] = timedelta(seconds=15)
    deadline: Annotated[Duration, _between(_SECOND, 60 * _SECOND)] = timedelta(seconds=5)
    max_run: Annotated[Duration, _between(_SECOND, 365 * _DAY)] | None = None
    look_back: Annotated[int, Field(ge=1000, le=1_000_000, strict=True)] = 10_000
    labels: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if sum(way is not None for way in (self.database, self.dsn, self.dsn_file)) != 1:
            raise ValueError("give one of database (an SQLite file), dsn and dsn_file (PostgreSQL)")
        return self


class OpenClaw(Frozen):
    """An OpenClaw gateway's state folder, or the one file in it that holds the jobs (docs/openclaw.md).

    `lock`: the gateway's lock file, or the folder that it lies in: it tells restarts. `grace`: how long after its due
    time a job may start; the gateway never sleeps longer than a minute. `cli`: how its own command is called where
    recovery may use it, for example `[docker, exec, gateway, openclaw]`.
    """

    kind: Literal["openclaw"]
    name: Name = "openclaw"
    state_dir: FilePath | None = None
    store: FilePath | None = None
    lock: FilePath | None = None
    timezone: Zone = "UTC"
    grace: Annotated[Duration, _between(timedelta(), _DAY)] = timedelta(minutes=1)
    cli: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] = ("openclaw",)
    labels: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.state_dir is None) == (self.store is None):
            raise ValueError(
                "give one of state_dir (the folder, often ~/.openclaw) and store (its jobs.json or database)"
            )
        return self


KINDS = ("phantom", "openclaw", "sql")


def _kind(source: object) -> str | None:
    """Which class a source is of; phantom where nothing is said."""
    kind = source.get("kind", "phantom") if isinstance(source, Mapping) else getattr(source, "kind", "phantom")
    return kind if isinstance(kind, str) else None


AnySource = Annotated[
    Annotated[Phantom, Tag("phantom")] | Annotated[OpenClaw, Tag("openclaw")] | Annotated[Sql, Tag("sql")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="should be " + ", ".join(map(repr, KINDS[:-1])) + f" or {KINDS[-1]!r}",
    ),
]
"""One watched scheduler. `kind` says which class it is of."""


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
    """The service's own address, and who may change things through it."""

    listen: str = DEFAULT_LISTEN
    token_file: SecretFile | None = None

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
    alertmanager: Annotated[str, AfterValidator(_web_address)] | None = None

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
    """When messages wait; `except` says which severity does not."""

    from_: ClockTime = Field(alias="from")
    to: ClockTime
    timezone: Zone = "UTC"
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
    """

    remind_every: Duration = timedelta(hours=24)
    resolved: bool = True
    quiet_hours: QuietHours | None = None
    group_wait: Duration = timedelta(seconds=20)
    hold: Duration = timedelta(minutes=5)
    gather: Duration = timedelta(hours=1)
    deadline: Annotated[Duration, Field(gt=timedelta())] = timedelta(seconds=30)
    give_up_after: Duration = timedelta(hours=24)


def _sane_poll(poll: timedelta) -> timedelta:
    if not timedelta(milliseconds=50) <= poll <= timedelta(hours=1):
        raise ValueError("must lie between 50ms and 1h")
    return poll


class Config(Frozen):
    """All that an operator can say."""

    sources: tuple[AnySource, ...]
    state: FilePath = DEFAULT_STATE
    http: Http = Http()
    poll: Annotated[Duration, AfterValidator(_sane_poll)] = timedelta(seconds=2)
    detect: Detect = Detect()
    channels: Mapping[Name, Annotated[Channel, BeforeValidator(_channel)]] = {}
    owners: tuple[Owner, ...] = ()
    notify: Notify = Notify()
    recovery: Recovery = Recovery()

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
            wanted, pattern = MEANT_FOR.get(policy.action), policy.match.source
            meant = [source for source in self.sources if pattern is None or is_like(source.name, pattern)]
            if wanted and meant and all(source.kind != wanted for source in meant):
                raise ValueError(
                    f"recovery.policies[{index}] is {policy.action}, an action for a source of kind {wanted}; "
                    f"{meant[0].name} is of kind {meant[0].kind}, {_instead(meant[0].kind)}"
                )
        return self

    @property
    def phantoms(self) -> tuple[Phantom, ...]:
        """The sources whose jobs recovery knows how to bring back."""
        return tuple(source for source in self.sources if isinstance(source, Phantom))

    @property
    def people(self) -> tuple[Owner, ...]:
        """The owners; where none is named, everybody is told of everything on every channel."""
        if self.owners or not self.channels:
            return self.owners
        return (Owner(notify=tuple(self.channels)),)


def _instead(kind: str) -> str:
    known = [action for action, meant in MEANT_FOR.items() if meant == kind]
    return f"where it can be {', '.join([*known, 'command'])} or restart"


def for_database(path: Path) -> Config:
    """What holds when there is no file: this database, with all defaults and a state file of its own."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]
    return Config(sources=(Phantom(database=path),), state=state_folder() / f"{name}.db")


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
    return checked(data, str(path), unset)


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
        for place, what in map(_problem, error.errors(include_input=False, include_url=False)):
            problems.setdefault(place, f"{where}: {place}: {what}")
    if problems:
        raise ConfigError(list(problems.values()))
    return config


def _problem(detail: ErrorDetails) -> tuple[str, str]:
    parts = [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    place = [*parts, "kind"] if detail["type"] == "kind" else parts
    return _place(place), _what(detail, parts)


def _place(parts: list[int | str]) -> str:
    text = ""
    for part in _without_tag(parts):
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def _without_tag(parts: list[int | str]) -> list[int | str]:
    """Without the kind of the source, which pydantic puts in the path and which does not stand there in the file."""
    has_tag = parts[:1] == ["sources"] and len(parts) > 2 and parts[2] in KINDS
    return [*parts[:2], *parts[3:]] if has_tag else parts


def _what(detail: ErrorDetails, place: list[int | str]) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key" + _meant(str(place[-1]), place[:-1])
    if detail["type"] == "missing":
        return "is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _meant(key: str, parents: list[int | str]) -> str:
    fields = _fields_at(parents)
    near = difflib.get_close_matches(key, fields, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(sorted(fields))}" if fields else ""


def _fields_at(parents: list[int | str]) -> list[str]:
    """The keys that may be written at this place."""
    annotation: object = Config
    for part in parents:
        annotation = _inside(annotation, part)
    model = _find_model(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _inside(annotation: object, part: int | str) -> object:
    """What stands under a key of a model, or under any key or index of a collection."""
    origin = getattr(annotation, "__origin__", None)
    if (tagged := _tagged(origin, part)) is not None:
        return tagged
    if isinstance(origin, type) and issubclass(origin, Mapping | tuple):
        arguments = annotation.__args__  # type: ignore[attr-defined]
        return arguments[1] if issubclass(origin, Mapping) else arguments[0]
    model = _find_model(annotation)
    fields = model.model_fields if model else {}
    named = next((field for name, field in fields.items() if part in (name, field.alias)), None)
    return named.annotation if named else None


def _tagged(union: object, tag: int | str) -> object:
    """The member of a union that has this tag."""
    members = getattr(union, "__args__", ())
    return next((one for one in members if Tag(str(tag)) in getattr(one, "__metadata__", ())), None)


def _find_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((found for part in inner if (found := _find_model(part))), None)
