"""What `init` writes: a configuration that explains itself, and files for systemd, launchd and Docker Compose."""

from __future__ import annotations

import json
import os
import plistlib
import pwd
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from watchdog.cli.ports import usual_or_free_port
from watchdog.systems import system

if TYPE_CHECKING:
    from watchdog.systems.discovery import Found

CHANNEL = "me"
"""What the one channel is called."""


def zone_of_host(environment: Mapping[str, str] = os.environ) -> str:
    """The IANA name of this machine's time zone; UTC where nothing says it."""
    given = environment.get("TZ", "").lstrip(":")
    link = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    for name in (given, link, _first_line(Path("/etc/timezone"))):
        if name and _is_zone(name):
            return name
    return "UTC"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""


def named(found: Iterable[Found]) -> list[tuple[str, Found]]:
    """Each with a name of its own."""
    names: list[tuple[str, Found]] = []
    taken: set[str] = set()
    for each in found:
        name, number = each.name, 2
        while name in taken:
            name, number = f"{each.name}-{number}", number + 1
        taken.add(name)
        names.append((name, each))
    return names


def configuration(
    watched: Sequence[tuple[str, Found]],
    left_out: Sequence[tuple[str, Found]],
    state: Path,
    notify: str | None,
    zone: str,
) -> str:
    """The text of watchdog.yaml."""
    lines = [
        "# What the scheduler watchdog watches, whom it tells, and what it may do. `scheduler-watchdog init` wrote it;",
        "# from here on it is yours. `scheduler-watchdog validate -c FILE` finds its errors; SIGHUP reads it again.",
        # no line names the schema: it has no address of its own, and an editor complains of a file that is not there
        "# For an editor that completes and checks: `scheduler-watchdog validate --schema > watchdog.schema.json`, and",
        "# the first line `# yaml-language-server: $schema=./watchdog.schema.json`.",
        "",
        "sources:",
    ]
    for name, found in watched:
        lines += [f"  # {_jobs(found)}", *_section(name, found, zone, "  ")]
    for name, found in left_out:
        lines += [f"  # Found, and left out: {_line(found.problem or '; '.join(found.harm))}"]
        lines += [f"  # {line}" for line in _section(name, found, zone, "")]
    lines += _rest(watched, state, notify)
    return "\n".join(lines) + "\n"


def _section(name: str, found: Found, zone: str, indent: str) -> list[str]:
    says = {"kind": found.says["kind"], **{key: value for key, value in found.says.items() if key != "kind"}}
    lines = [f"{indent}- name: {scalar(name)}"] + [f"{indent}  {key}: {flow(value)}" for key, value in says.items()]
    if hasattr(system(str(found.says["kind"])).section, "timezone"):
        lines.append(f"{indent}  timezone: {scalar(zone)}    # of the scheduler's host, for cron jobs that name none")
    return lines


def _rest(watched: Sequence[tuple[str, Found]], state: Path, notify: str | None) -> list[str]:
    return [
        "",
        "# The watchdog's own memory: what is wrong since when, who was told, what was done.",
        f"state: {scalar(str(state))}",
        "",
        "# The page, metrics and health, for this machine alone. The page has buttons with `token_file: FILE` in it: a",
        "# file with 16 characters or more that nobody guesses.",
        f'http: {{listen: "127.0.0.1:{usual_or_free_port()}"}}',
        "",
        "# Whom it tells: any address that apprise knows. `scheduler-watchdog notify-test -c FILE` tries it.",
        *_channels(notify),
        "",
        "# It tells when something begins, when it gets worse, once a day while it lasts, and when it is over.",
        "# notify:",
        '#   quiet_hours: {from: "22:00", to: "07:00", except: critical}',
        "",
        "# What it may do about it. In mode `observe` nothing is done: its log says what it would do. `propose`",
        "# asks first, `act` does it, within budgets, and proves that it helped.",
        "recovery:",
        "  mode: observe",
        *_policies(watched),
    ]


def _channels(notify: str | None) -> list[str]:
    if notify is None:
        return ["# channels:", '#   me: "mailtos://user:password@example.com?to=me@example.com"']
    return ["channels:", f"  {CHANNEL}: {scalar(notify)}"]


def _policies(watched: Sequence[tuple[str, Found]]) -> list[str]:
    policies = [
        {**policy, "match": {"source": name, **_mapping(policy["match"])}}
        for name, found in watched
        for policy in system(str(found.says["kind"])).policies
    ]
    return ["  policies:", *(f"    - {flow(policy)}" for policy in policies)] if policies else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _jobs(found: Found) -> str:
    return f"{found.jobs} job{'' if found.jobs == 1 else 's'} when this was written."


def _line(text: str) -> str:
    return " ".join(text.split())


def scalar(value: object) -> str:
    """A value as YAML: plain where that is safe."""
    text = str(value)
    is_plain = (
        text.replace("-", "").replace("_", "").replace("/", "").replace(".", "").isalnum() and not text[0].isdigit()
    )
    return (
        text
        if is_plain and text.lower() not in _WORDS and text[0] not in "-."
        else json.dumps(text, ensure_ascii=False)
    )


_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})


def flow(value: object) -> str:
    """The same in one line, with what is in it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
    return scalar(value)


# to have it run


def program() -> str:
    """The path of the command: beside the Python that runs it, or as it was called."""
    beside = Path(sys.executable).with_name("scheduler-watchdog")
    return str(beside if beside.exists() else Path(sys.argv[0]).absolute())


def called() -> str:
    """How it is called from a shell: by its name where that finds it, else by its path."""
    found = shutil.which("scheduler-watchdog")
    is_found = found is not None and os.path.realpath(found) == os.path.realpath(program())
    return "scheduler-watchdog" if is_found else shlex.quote(program())


def unit(config: Path, owner: int) -> str:
    """A unit for systemd: the machine's where root writes it, else this user's own."""
    is_system = os.geteuid() == 0
    lines = [
        "[Unit]",
        "Description=Health watchdog for the schedulers of AI agents",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={_for_systemd(program())} run -c {_for_systemd(str(config))}",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=always",
        "RestartSec=5s",
        "# The beat is sent by the loop alone: if it stands still, systemd ends the process and starts it anew.",
        "WatchdogSec=60s",
        "UMask=0077",
        "NoNewPrivileges=true",
    ]
    if is_system and owner != 0:
        lines.append(
            f"# The agent's user: another one could leave files that the agent cannot write.\nUser={_user(owner)}"
        )
    return "\n".join([*lines, "", "[Install]", f"WantedBy={'multi-user' if is_system else 'default'}.target"]) + "\n"


def how_to_install(written: Path) -> list[str]:
    """The commands that make a service of the unit."""
    if os.geteuid() == 0:
        return [f"cp {shlex.quote(str(written))} /etc/systemd/system/ && systemctl enable --now {written.name}"]
    return [
        f"mkdir -p ~/.config/systemd/user && cp {shlex.quote(str(written))} ~/.config/systemd/user/",
        f"systemctl --user enable --now {written.name} && loginctl enable-linger",
    ]


LABEL = "scheduler-watchdog"
"""What launchd calls it."""

_MAC_PATH = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""Where the commands of agents lie on a Mac; launchd's own is without the first two."""


def agent(config: Path, owner: int) -> bytes:
    """A property list for launchd: a daemon of the machine's where root writes it, else an agent of this user's own."""
    is_system = os.geteuid() == 0
    logs = Path("/Library/Logs") if is_system else Path.home() / "Library" / "Logs"
    says: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": [program(), "run", "-c", str(config)],
        "EnvironmentVariables": {"PATH": _MAC_PATH},
        "RunAtLoad": True,
        "KeepAlive": True,
        "ThrottleInterval": 5,
        "ExitTimeOut": 15,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardOutPath": str(logs / f"{LABEL}.log"),
        "StandardErrorPath": str(logs / f"{LABEL}.log"),
    }
    # the agent's user: another one could leave files that the agent cannot write
    return plistlib.dumps(says | ({"UserName": _user(owner)} if is_system and owner != 0 else {}), sort_keys=False)


def how_to_start_agent(written: Path) -> list[str]:
    """The commands that have launchd run it, now and from now on."""
    source, name = shlex.quote(str(written)), written.name
    if os.geteuid() == 0:
        there = f"/Library/LaunchDaemons/{name}"
        return [f"cp {source} {there} && chown root:wheel {there}", f"launchctl bootstrap system {there}"]
    there = f"~/Library/LaunchAgents/{name}"
    return [
        f"mkdir -p ~/Library/LaunchAgents ~/Library/Logs && cp {source} {there}",
        f"launchctl bootstrap gui/$(id -u) {there}",
    ]


def compose(config: Path, state: Path, watched: Sequence[tuple[str, Found]], owner: int) -> str:
    """A file for Docker Compose that mounts what is watched where it lies, read-only."""
    folders = sorted({folder for _, found in watched for folder in found.folders})
    lines = [
        "# docker compose -f FILE up -d: what is watched is mounted, read-only, where it lies.",
        "# Where `revive` writes a row of the store itself, take its `:ro` off to bring jobs back from in here.",
        "services:",
        "  scheduler-watchdog:",
        "    image: scheduler-watchdog    # make image, in a clone of the project",
        "    restart: unless-stopped",
        f'    user: "{owner}"    # the agent\'s: another one could leave files that the agent cannot write',
        "    network_mode: host",
        "    read_only: true",
        "    tmpfs: [/tmp]",
        "    cap_drop: [ALL]",
        '    security_opt: ["no-new-privileges:true"]',
        f"    command: [run, -c, {_for_compose(config)}]",
        "    volumes:",
        f"      - {_mount(config, is_read_only=True)}",
        f"      - {_mount(state.parent, is_read_only=False)}",
        *(f"      - {_mount(folder, is_read_only=True)}" for folder in folders),
    ]
    return "\n".join(lines) + "\n"


def owner_of(watched: Sequence[tuple[str, Found]]) -> int:
    """Whose the first of the stores is: as whom to read them."""
    for _, found in watched:
        try:
            return found.store.stat().st_uid
        except OSError:
            continue
    return os.geteuid()


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _for_systemd(text: str) -> str:
    """A word of a command as a unit has it: `%` and `$` begin something there."""
    plain = text.replace("%", "%%").replace("$", "$$")
    if not set(plain) & set(" \t'\"\\;"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _for_compose(value: object) -> str:
    """A value as Compose reads it: `$` begins a variable there."""
    return scalar(value).replace("$", "$$")


def _mount(folder: Path, *, is_read_only: bool) -> str:
    """A mount of what lies there at the same place."""
    mode = ":ro" if is_read_only else ""
    if ":" not in str(folder):
        return _for_compose(f"{folder}:{folder}{mode}")
    more = ", read_only: true" if is_read_only else ""
    return f"{{type: bind, source: {_for_compose(folder)}, target: {_for_compose(folder)}{more}}}"
