"""Where a job's id may stand in a command of the operator's: it comes from a model, and is never a word of a program.

It may be an argument of its own, or follow `NAME=`; not the program, nothing that is read as code, no part of a path or
of a sentence. Whatever else a command wants to know stands in its environment, as data.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath

PLACE = "{job_id}"
"""Where the job's id goes."""

_WHOLE = re.compile(r"(?:[^\s={}]+=)?\{job_id\}")

_CODE = re.compile(r"-[A-Za-z]*[ce]|--?(?:eval|exec|command|code|script|encodedcommand)=?", re.IGNORECASE)
"""Options whose value is run: of shells, of interpreters, of `su` and the like."""

_WRAPPERS = {
    *("bash", "busybox", "dash", "fish", "ksh", "pwsh", "sh", "zsh"),
    *("node", "perl", "php", "python", "python3", "ruby"),
    *("chroot", "command", "doas", "env", "eval", "exec", "flock", "ionice", "nice", "nohup", "nsenter", "parallel"),
    *("run", "runuser", "script", "setpriv", "setsid", "stdbuf", "strace", "su", "sudo", "systemd-run", "time"),
    *("timeout", "unshare", "watch", "xargs"),
    *("docker", "kubectl", "nerdctl", "podman"),
    *("mosh", "remsh", "rsh", "ssh"),
}
"""Programs that run what follows them, and their verbs for it."""

_INTO = {"chroot", "exec", "flock", "mosh", "nsenter", "remsh", "rsh", "run", "runuser", "script", "ssh", "su"}
"""Those that are first told where to."""

_REMOTE = {"eval", "mosh", "parallel", "remsh", "rsh", "ssh", "watch", "xargs"}
"""Those that hand all their words to a shell."""

INSTEAD = "the id is in its environment as WATCHDOG_JOB_ID"

_SAFE = re.compile(r"[A-Za-z0-9._:@-]+")


def misplaced(run: Sequence[str]) -> list[str]:
    """What is wrong with where the id stands in a command, a line each; none if all is well."""
    there = [index for index, argument in enumerate(run) if PLACE in argument]
    return [f"argument {index} ({run[index]!r:.60}): {why}" for index in there if (why := _why(run, index))]


def _why(run: Sequence[str], index: int) -> str:
    before = [PurePath(argument).name.lower() for argument in run[:index]]
    if not _WHOLE.fullmatch(run[index]):
        return f'{PLACE} must be an argument of its own or follow "NAME="; {INSTEAD}'
    if by := next((word for word in before if word in _REMOTE), ""):
        return f"a shell reads what {by} is given; call a script of your own, where {INSTEAD}"
    if _is_code(before, run[index]):
        return f"it would be run as code; {INSTEAD}"
    if run[index] == PLACE and _is_program(before):
        return f"it would be the program that is run; {INSTEAD}"
    return ""


def _is_code(before: Sequence[str], argument: str) -> bool:
    option = before[-1] if before else ""
    if argument != PLACE and not option.endswith("c"):
        option = argument.removesuffix(PLACE)
    return _CODE.fullmatch(option) is not None


def _is_program(before: Sequence[str]) -> bool:
    """Whether nothing that comes before is a program by itself: wrappers, their options, settings and numbers only."""
    plain = [word for word in before if word not in _WRAPPERS and not re.match(r"-|\w+=|[\d.]+[a-z]?$", word)]
    return len(plain) < 1 + bool(_INTO & set(before))


def unfit(job_id: str) -> str:
    """Why an id may not be put into a command; empty if it may."""
    if job_id.startswith("-"):
        return "the job's id begins with a dash and would be taken for an option"
    if not _SAFE.fullmatch(job_id):
        return "the job's id holds other characters than letters, digits and . _ : @ -"
    if job_id in (".", ".."):
        return "the job's id is a folder's name"
    return ""
