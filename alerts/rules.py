"""Prometheus' rules, as code: an alert for each kind of the table, and those about the watchdog itself.

`for` is short, since the watchdog has waited for the job's own deadline already. `keep_firing_for` bridges the time
until `WatchdogAbsent` fires, so that a watchdog that is gone ends no alert; and what comes and goes stays one alert.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from watchdog.core.kinds import Concern, Family, Kind, Severity

ABSENT_AFTER = "5m"
KEPT = "10m"
"""Longer than `ABSENT_AFTER` with the scrape that failed and the one that tells: see the module."""

SILENT_AFTER = "1m"
"""Of a host that writes to a Prometheus elsewhere. With the evaluation and Alertmanager's wait under two minutes."""

REMEMBERED = "1d"
"""How long a host that writes is missed."""

HEAD = """\
# Written by `python -m alerts.generate`; the unit tests are in prometheus-rules-test.yaml.
# Rules for Prometheus 2.42 or newer: `rule_files: [prometheus-rules.yaml]`.
#
# The scrape job has to be called `scheduler-watchdog`. Both ways to scrape work, with `honor_labels: true` and without:
# without it Prometheus renames the label `job` of `watchdog_job_info` to `exported_job`, and the first rule takes the
# name from where it is. In every alert `job` is the agent's job, as in the alerts that the watchdog posts itself.
#
# `for` is short: the watchdog has waited for the job's own deadline already. `keep_firing_for` is longer than it takes
# until WatchdogAbsent fires, which then holds the alerts of its instance: so a watchdog that is gone resolves nothing.
# It is also why each alert fires on for that long after its end; what comes and goes meanwhile stays one alert.
# `instance` tells apart sources that bear the same name on different hosts. The runbooks are paths in this repository;
# `python -m alerts.generate --runbooks https://…/` writes them as addresses.
"""

NAMED = "instance_source_job_id:watchdog_job_finding:named"
_OF = "{{ $labels.job }} of {{ $labels.source }}"
_PROCESS = "agent or its gateway"
"""What is to be restarted; which of the two a message says by the source's kind."""
_SOURCE = "{{ $labels.source }}"
_WATCHDOG = "{{ $labels.instance }}"
_OR_DELETED = "{{ if $labels.job }}{{ $labels.job }}{{ else }}a deleted job{{ end }}"
_OR_ALL = "{{ if $labels.job }}{{ $labels.job }} of {{ end }}"
_GONE = "{{ if $labels.instance }}The watchdog {{ $labels.instance }} is gone{{ else }}There is no watchdog{{ end }}"
_ERROR = (
    '{{ with query (printf "watchdog_job_error_info{instance=%q,source=%q,job_id=%q}"'
    " $labels.instance $labels.source $labels.job_id) }}{{ with . | first }}"
    " The error ({{ .Labels.class }}): {{ .Labels.error }}.{{ end }}{{ end }}"
)
"""Asked for when the alert is written, and no label: another error is not another alert."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `holds`: for how long it must be so. `kept`: for how long it fires on. `says`: summary, description."""

    name: str
    expression: str
    says: tuple[str, str]
    runbook: str
    severity: str
    holds: str = "1m"
    kept: str = KEPT
    labels: Mapping[str, str] | None = None

    def rule(self, runbooks: str) -> dict[str, Any]:
        """As Prometheus has it."""
        summary, description = self.says
        waits = {"for": self.holds} if self.holds else {}
        keeps = {"keep_firing_for": self.kept} if self.kept else {}
        return {
            "alert": self.name,
            "expr": self.expression,
            **waits,
            **keeps,
            "labels": {"severity": self.severity, **(self.labels or {})},
            "annotations": {"summary": summary, "description": description, "runbook_url": runbooks + self.runbook},
        }


RECORDED = (
    {
        "record": "instance_source_job_id:watchdog_job_info:named",
        "expr": "max by (instance, source, job_id, job, owner, schedule) (\n"
        '  label_replace(watchdog_job_info, "job", "$1", "exported_job", "(.+)")\n)',
    },
    {
        "record": NAMED,
        "expr": "max by (instance, source, job_id, kind, severity) (watchdog_job_finding)\n"
        "  * on (instance, source, job_id) group_left (job, owner, schedule)\n"
        "instance_source_job_id:watchdog_job_info:named",
    },
)

SAID: Mapping[Kind, str] = {
    Kind.OVERDUE: "It ({{ $labels.schedule }}) has missed two fires and is not running, and no other run is known "
    "to keep it waiting.",
    Kind.WEDGED: "Either its run lasts longer than a run may, or it is passed over as if it still ran.",
    Kind.LONG_RUN: "Its run takes far longer than those before it. Where the scheduler has one slot, all others wait.",
    Kind.ZERO_TOKENS: "Its newest runs ended without a token in or out: the agent runs, and no model answers.",
    Kind.FAILING: "Its newest runs ended in errors. A scheduler with a breaker gives it up after a few more.",
    Kind.FAILED: "Its scheduler has set it aside after its errors.",
    Kind.EXPIRING: "The row of the failed job is due for the scheduler's sweep, and its definition goes with it.",
    Kind.STRANDED: "It is active and has no next run, or one further ahead than its schedule allows.",
    Kind.INVALID: "The scheduler cannot run it as it stands; some such jobs it skips, some it runs without end.",
    Kind.UNDELIVERED: "It runs, and its last result was dropped or could not be delivered.",
    Kind.UNRECORDED: "Its newest run ended without an outcome on record, and the next restart runs it again.",
    Kind.INTERRUPTED: "Its run was broken off. It may run, and be delivered, again, or nobody makes up for it.",
    Kind.SKIPPING: "Its newest runs were recorded as skipped, for a reason that nobody wanted, so no work was done.",
    Kind.DUPLICATE: "Its last run repeated a slot that had been done, and nobody asked for it.",
    Kind.RUNAWAY: "It runs far more often than its schedule ({{ $labels.schedule }}) allows, and each run is paid for.",
    Kind.OVERSPEND: "What was paid within the last 24 hours is over the budget; critical at twice as much.",
    Kind.STALLED: "Jobs are late, nothing is running and nothing starts: its process is down, or no timer is armed.",
    Kind.UNREACHABLE: "Nothing can be told about its jobs until it can.",
    Kind.SWEPT: "They were failed jobs. The watchdog keeps the definitions of those that it saw.",
    Kind.VANISHED: "They were there, or are expected, and nothing on record says why they are not there or not on.",
    Kind.UNSAVED: "People are told from memory; a restart would forget who was told what. Nothing is recovered.",
    Kind.BLIND: "Something without which a condition cannot be judged cannot be seen.",
}
"""What is so, of any system. What is known of the one in question stands in the watchdog's own messages."""

COUNTED = frozenset({Kind.SWEPT, Kind.VANISHED})
"""What is gone has no name: such jobs are counted."""

SLOW = frozenset({Kind.OVERDUE, Kind.BLIND})
"""What often passes by itself in five minutes."""


def of_kind(kind: Kind) -> Alert:
    """The alert about one condition."""
    description = f"{SAID.get(kind, '')} What helps: {kind.row.remedy.format(process=_PROCESS)}."
    if kind.row.family is Family.ERRORS and _has_jobs(kind):
        description += _ERROR
    return Alert(
        kind.alert,
        _expression(kind),
        (_summary(kind), description.strip()),
        kind.runbook,
        _severity(kind),
        holds="5m" if kind in SLOW else "1m",
        labels={"kind": kind.value},
    )


def _severity(kind: Kind) -> str:
    if kind.row.concern is Concern.WATCHDOG or len(kind.row.severities) == 1:
        return kind.row.severities[-1].value
    return "{{ $labels.severity }}"


def _has_jobs(kind: Kind) -> bool:
    return kind not in COUNTED and (kind.row.concern is Concern.JOB or kind is Kind.OVERSPEND)


def _counted(kind: Kind) -> str:
    own = ", severity" if len(kind.row.severities) > 1 else ""
    return f'max by (instance, source, kind{own}) (watchdog_findings{{kind="{kind.value}"}}) > 0'


def _expression(kind: Kind) -> str:
    found = f'{NAMED}{{kind="{kind.value}"}}'
    match kind:
        case Kind.UNREACHABLE:
            return "max by (instance, source) (watchdog_source_up) == 0"
        case Kind.UNSAVED:
            return "max by (instance) (watchdog_state_up) == 0"
        case Kind.OVERDUE:
            return f"{found}\n  unless on (instance, source, job_id)\nwatchdog_job_held_up"
        case Kind.WEDGED | Kind.OVERSPEND:
            # a run whose job was deleted has no name, and what all jobs have cost together is about none
            return f"{found}\n  or on (instance, source)\n{_counted(kind)}"
    return found if _has_jobs(kind) else _counted(kind)


def _summary(kind: Kind) -> str:
    if kind is Kind.WEDGED:
        return f"{_OR_DELETED} of {_SOURCE} {kind.row.one}"
    if kind is Kind.OVERSPEND:
        return f"{_OR_ALL}{_SOURCE} {kind.row.one}"
    if kind in COUNTED:
        return f"{{{{ $value }}}} job(s) of {_SOURCE} {kind.row.many}"
    if _has_jobs(kind):
        return f"{_OF} {kind.row.one}"
    if kind.row.concern is Concern.WATCHDOG:
        return f"The watchdog {_WATCHDOG} {kind.row.one}"
    whose = {Concern.SCHEDULER: "The scheduler ", Concern.SOURCE: "The source "}[kind.row.concern]
    return f"{whose}{_SOURCE} {kind.row.one}"


# To wait is no fault of a job, but there is one if it goes on for hours. Between two runs nobody waits for a moment.
OVERLOADED = Alert(
    "SchedulerOverloaded",
    'count by (instance, source) (max_over_time(watchdog_job_held_up{cause="in_flight"}[10m]))',
    (
        f"{{{{ $value }}}} job(s) of {_SOURCE} wait for other runs, for hours now",
        "There is more work than its scheduler gets done. What helps: see which runs take so long, or plan fewer.",
    ),
    Kind.OVERDUE.runbook,
    Severity.WARNING.value,
    holds="4h",
    labels={"kind": Kind.OVERDUE.value},
)

ITSELF = (
    # The age at the time of the scrape: one that cannot be scraped is another alert's matter.
    Alert(
        "WatchdogLoopLate",
        "max by (instance) (\n"
        "  timestamp(watchdog_last_tick_timestamp_seconds) - watchdog_last_tick_timestamp_seconds\n) > 60",
        (
            f"The watchdog {_WATCHDOG} has not looked for {{{{ $value | humanizeDuration }}}}",
            "It answers, but its loop stands still, so what it says is old.",
        ),
        "alerts/runbooks/loop-late.md",
        "critical",
    ),
    Alert(
        "WatchdogAbsent",
        'max by (instance) (up{job="scheduler-watchdog"}) == 0\n'
        "  or\n"
        "absent(watchdog_build_info)\n"
        '  unless on () up{job="scheduler-watchdog"}\n'
        f'  unless on () present_over_time(up{{job="scheduler-watchdog", writes="true"}}[{REMEMBERED}])',
        (
            _GONE,
            "Nobody looks after the agent's jobs.",
        ),
        "alerts/runbooks/absent.md",
        "critical",
        holds=ABSENT_AFTER,
        kept="",
    ),
    # `writes` is a label of what is written from behind NAT (config/stack/agent.yaml): nobody scrapes those hosts.
    Alert(
        "WatchdogHostSilent",
        f'max by (instance) (present_over_time(up{{job="scheduler-watchdog", writes="true"}}[{REMEMBERED}]))\n'
        "  unless on (instance)\n"
        f'max by (instance) (present_over_time(up{{job="scheduler-watchdog", writes="true"}}[{SILENT_AFTER}]))',
        (
            f"The host of the watchdog {_WATCHDOG} has stopped writing",
            "It, its Prometheus agent or the way from there is gone. Nobody hears of its jobs.",
        ),
        "alerts/runbooks/absent.md",
        "critical",
        holds="",
        kept="5m",
    ),
    # A counter that appears with its first event shows no increase; so one that was not there before counts too.
    Alert(
        "WatchdogNotificationsFailing",
        "max by (instance, channel) (\n"
        '  increase(watchdog_notifications_total{outcome="failed"}[15m]) > 0\n'
        "    or\n"
        '  (watchdog_notifications_total{outcome="failed"} unless watchdog_notifications_total offset 15m)\n)',
        (
            f"The watchdog {_WATCHDOG} cannot send on {{{{ $labels.channel }}}}",
            "It goes on trying for a day, and then gives the message up.",
        ),
        "alerts/runbooks/notifications.md",
        "warning",
        holds="5m",
    ),
    Alert(
        "WatchdogNotificationsGivenUp",
        "max by (instance, channel) (\n"
        '  increase(watchdog_notifications_total{outcome="given_up"}[1h]) > 0\n'
        "    or\n"
        '  (watchdog_notifications_total{outcome="given_up"} unless watchdog_notifications_total offset 1h)\n)',
        (
            f"The watchdog {_WATCHDOG} has given up a message on {{{{ $labels.channel }}}}",
            "Somebody was not told of something.",
        ),
        "alerts/runbooks/notifications.md",
        "critical",
        holds="",
    ),
    Alert(
        "WatchdogOutboxOld",
        "time() - max by (instance) (watchdog_outbox_oldest_timestamp_seconds) > 900",
        (
            f"A message of the watchdog {_WATCHDOG} waits for {{{{ $value | humanizeDuration }}}}",
            "It was written down and could not be sent yet.",
        ),
        "alerts/runbooks/notifications.md",
        "warning",
    ),
    # Always fires. To be sent to something outside that calls when it stays away.
    Alert(
        "WatchdogDeadMansSwitch",
        "vector(1)",
        ("Prometheus and Alertmanager are alive", "If this stays away, nothing else can be told either."),
        "alerts/runbooks/dead-mans-switch.md",
        "none",
        holds="",
        kept="",
    ),
)


def groups(runbooks: str = "") -> Sequence[tuple[str, Sequence[Mapping[str, Any]]]]:
    """The groups by name. `runbooks` goes before each page's path: an address that ends with a slash."""
    of_jobs = [kind for kind in Kind if _has_jobs(kind)]
    own = [kind for kind in Kind if kind.row.concern is Concern.WATCHDOG]
    others = [kind for kind in Kind if kind not in (*of_jobs, *own)]
    return (
        # One group, as groups are evaluated independently: the alerts see the names of the same instant.
        ("scheduler-watchdog-jobs", (*RECORDED, *[of_kind(kind).rule(runbooks) for kind in of_jobs])),
        ("scheduler-watchdog-schedulers", [alert.rule(runbooks) for alert in (*map(of_kind, others), OVERLOADED)]),
        ("scheduler-watchdog-itself", [alert.rule(runbooks) for alert in (*map(of_kind, own), *ITSELF)]),
    )


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else ">" if len(text) > 90 else None
    )


_Dumper.add_representer(str, _text)


def _lines(runbooks: str) -> Iterator[str]:
    yield HEAD + "groups:"
    for name, rules in groups(runbooks):
        yield f"  - name: {name}\n    rules:"
        for rule in rules:
            dumped = yaml.dump([dict(rule)], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
            yield "\n".join(f"      {line}".rstrip() for line in dumped.splitlines()) + "\n"


def text(runbooks: str = "") -> str:
    """The file's text."""
    return "\n".join(_lines(runbooks)).rstrip("\n") + "\n"
