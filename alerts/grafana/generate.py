"""Writes the dashboards beside it: `python -m alerts.grafana.generate`. Grafana 10.1 or newer takes them as they are.

They need no recording rule, only the scrape: with `honor_labels` or without, the job's name is found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import bargauge, common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus as promql
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as promql_model

HERE = Path(__file__).resolve().parent

SOURCE = 'source=~"$source"'
JOB = 'source=~"$source", job_id=~"$job_id"'
RATE = "[$__rate_interval]"
NAMES = (
    "max by (instance, source, job_id, job, owner, schedule) ("
    'label_replace(watchdog_job_info, "job", "$1", "exported_job", "(.+)"))'
)
"""One series for each job with its name in `job`, however it was scraped."""

Panel = stat.Panel | table.Panel | timeseries.Panel | statetimeline.Panel | bargauge.Panel


def named(expression: str) -> str:
    """The same, one series for each job, with its name, owner and schedule."""
    return f"({expression}) * on (instance, source, job_id) group_left (job, owner, schedule) {NAMES}"


@dataclass(frozen=True, slots=True)
class Graph:
    """A panel: what it shows, and how wide it is of 24. `query` gives expressions by their legend."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 8
    height: int = 8
    kind: str = "timeseries"
    text: str = ""
    steps: Sequence[tuple[float | None, str]] = field(default=((None, "green"),))
    hidden: Sequence[str] = ()


CALM_OR_RED = ((None, "green"), (1.0, "red"))
CALM_OR_ORANGE = ((None, "green"), (1.0, "orange"))
LATE = ((None, "red"), (0.0, "orange"), (600.0, "green"))
TECHNICAL = ("Time", "Value", "__name__", "instance", "exported_job", "job_id")

OVERVIEW: Mapping[str, Sequence[Graph]] = {
    "Now": (
        Graph(
            "Sources that cannot be read",
            {"unreadable": f"sum(1 - watchdog_source_up{{{SOURCE}}})"},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_RED,
        ),
        Graph(
            "Critical",
            {"critical": f'sum(watchdog_findings{{{SOURCE}, severity="critical"}})'},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_RED,
            text="Conditions that are true now and need somebody now.",
        ),
        Graph(
            "Warnings",
            {"warning": f'sum(watchdog_findings{{{SOURCE}, severity="warning"}})'},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_ORANGE,
        ),
        Graph(
            "Incidents open",
            {"{{severity}}": "sum by (severity) (watchdog_incidents_open)"},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_ORANGE,
            text="Of all sources of the watchdogs: symptoms are counted under their cause.",
        ),
        Graph(
            "Time to the next deadline",
            {"next": f"min((watchdog_job_deadline_timestamp_seconds{{{SOURCE}}} - time()) > 0)"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            steps=LATE,
        ),
        Graph(
            "Last look",
            {"{{instance}}": "time() - max by (instance) (watchdog_last_tick_timestamp_seconds)"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            steps=((None, "green"), (30.0, "orange"), (60.0, "red")),
            text="How long ago the watchdog's loop turned.",
        ),
        Graph(
            "What is wrong now",
            {"wrong": named(f"max by (instance, source, job_id, kind, severity) (watchdog_job_finding{{{SOURCE}}})")},
            kind="table",
            width=14,
            hidden=TECHNICAL,
        ),
        Graph(
            "By condition",
            {"{{source}}: {{kind}}": f"max by (source, kind, severity) (watchdog_findings{{{SOURCE}}}) > 0"},
            kind="table",
            width=10,
            hidden=("Time",),
            text="Also those that are about no job: a scheduler that stands still, a database that cannot be read.",
        ),
    ),
    "Jobs": (
        Graph("Jobs by state", {"{{status}}": f"sum by (status) (watchdog_source_jobs{{{SOURCE}}})"}),
        Graph(
            "Conditions over time", {"{{kind}}": f"sum by (kind) (watchdog_findings{{{SOURCE}}}) > 0"}, text="By kind."
        ),
        Graph(
            "Run in flight",
            {"{{source}}: {{job}}": named(f"time() - watchdog_job_in_flight_since_timestamp_seconds{{{SOURCE}}}")},
            unit="s",
            text="How long the run has held its scheduler's only slot. The agent aborts it after 4 hours.",
        ),
        Graph(
            "Next deadlines",
            {
                "{{source}}: {{job}}": named(
                    f"bottomk(15, watchdog_job_deadline_timestamp_seconds{{{SOURCE}}} - time())"
                )
            },
            unit="s",
            kind="bargauge",
            width=12,
            steps=LATE,
            text="When a job becomes overdue if it does not run; below zero it is.",
        ),
        Graph(
            "Failed rows: time to the sweep",
            {"{{source}}: {{job}}": named(f"watchdog_job_sweep_timestamp_seconds{{{SOURCE}}} - time()")},
            unit="s",
            kind="bargauge",
            width=12,
            steps=((None, "red"), (86400.0, "orange"), (604800.0, "green")),
            text="From then on a restart of the scheduler deletes the row, and the job's definition with it.",
        ),
    ),
    "Tokens and cost": (
        Graph(
            "Tokens",
            {"{{direction}}": f"sum by (direction) (increase(watchdog_job_tokens_total{{{SOURCE}}}{RATE}))"},
        ),
        Graph(
            "Cost",
            {"{{source}}": f"sum by (source) (increase(watchdog_job_cost_usd_total{{{SOURCE}}}{RATE}))"},
            unit="currencyUSD",
        ),
        Graph(
            "Cost in the time shown",
            {"{{source}}: {{job}}": named(f"topk(10, increase(watchdog_job_cost_usd_total{{{SOURCE}}}[$__range]))")},
            unit="currencyUSD",
            kind="bargauge",
        ),
    ),
    "The watchdog itself": (
        Graph(
            "A tick",
            {
                "p99 {{instance}}": "histogram_quantile(0.99, sum by (instance, le) "
                f"(rate(watchdog_tick_duration_seconds_bucket{RATE})))",
                "mean {{instance}}": f"sum by (instance) (rate(watchdog_tick_duration_seconds_sum{RATE})) / "
                f"sum by (instance) (rate(watchdog_tick_duration_seconds_count{RATE}))",
            },
            unit="s",
        ),
        Graph(
            "Reading a source, p99",
            {
                "{{source}}": "histogram_quantile(0.99, sum by (source, le) "
                f"(rate(watchdog_source_read_duration_seconds_bucket{{{SOURCE}}}{RATE})))"
            },
            unit="s",
        ),
        Graph(
            "Since a source was read",
            {
                "{{source}}": f"time() - max by (source) (watchdog_source_last_read_timestamp_seconds{{{SOURCE}}})",
            },
            unit="s",
        ),
        Graph(
            "Messages",
            {
                "{{channel}}: {{outcome}}": f"sum by (channel, outcome) (increase(watchdog_notifications_total{RATE}))",
                "waiting": "sum(watchdog_outbox_messages)",
            },
        ),
        Graph(
            "The oldest message waits for",
            {
                "{{instance}}": "max by (instance) (time() - watchdog_outbox_oldest_timestamp_seconds) "
                "or on (instance) 0 * sum by (instance) (watchdog_outbox_messages)"
            },
            unit="s",
        ),
        Graph(
            "Recoveries and reloads",
            {
                "{{action}}: {{outcome}}": "sum by (action, outcome) (watchdog_recoveries_total) or on () vector(0)",
                "configuration not taken": 'sum(watchdog_config_reloads_total{outcome="error"})',
            },
            text="Since the watchdog was started.",
        ),
        Graph(
            "Memory",
            {"{{instance}}": 'process_resident_memory_bytes{job="scheduler-watchdog"}'},
            unit="bytes",
        ),
        Graph(
            "CPU",
            {"{{instance}}": f'rate(process_cpu_seconds_total{{job="scheduler-watchdog"}}{RATE})'},
            unit="percentunit",
        ),
        Graph(
            "Versions",
            {"version": "max by (instance, version) (watchdog_build_info)"},
            kind="table",
            hidden=("Time", "Value"),
        ),
    ),
}

HISTORY: Mapping[str, Sequence[Graph]] = {
    "The job": (
        Graph(
            "Job",
            {"job": f"{NAMES} and on (instance, source, job_id) watchdog_job_info{{{JOB}}}"},
            kind="table",
            width=12,
            height=4,
            hidden=("Time", "Value", "instance"),
        ),
        Graph(
            "Last run",
            {"ago": f"time() - max(watchdog_job_last_run_timestamp_seconds{{{JOB}}})"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
        ),
        Graph(
            "Next run",
            {"in": f"min(watchdog_job_next_run_timestamp_seconds{{{JOB}}}) - time()"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            text="Below zero it is due.",
        ),
        Graph(
            "Deadline",
            {"in": f"min(watchdog_job_deadline_timestamp_seconds{{{JOB}}}) - time()"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            steps=LATE,
            text="When it becomes overdue if it does not run.",
        ),
        Graph(
            "State",
            {"{{state}}": f"max by (state) (watchdog_job_state{{{JOB}}})"},
            kind="timeline",
            width=12,
        ),
        Graph(
            "What was wrong",
            {"{{kind}} ({{severity}})": f"max by (kind, severity) (watchdog_job_finding{{{JOB}}})"},
            kind="timeline",
            width=12,
            steps=((None, "red"),),
        ),
    ),
    "Its history": (
        Graph(
            "Runs",
            {"runs": f"sum(increase(watchdog_job_runs_total{{{JOB}}}{RATE}))"},
        ),
        Graph(
            "Errors and empty runs in a row",
            {
                "errors": f"max(watchdog_job_consecutive_errors{{{JOB}}})",
                "without tokens": f"max(watchdog_job_zero_token_streak{{{JOB}}})",
            },
            text="At the 10th error in a row (the 3rd of a one-shot) the scheduler gives the job up.",
        ),
        Graph(
            "How long a run takes",
            {
                "recorded": f"max(watchdog_job_last_run_duration_seconds{{{JOB}}})",
                "in flight": f"time() - max(watchdog_job_in_flight_since_timestamp_seconds{{{JOB}}})",
            },
            unit="s",
        ),
        Graph(
            "Tokens",
            {"{{direction}}": f"sum by (direction) (increase(watchdog_job_tokens_total{{{JOB}}}{RATE}))"},
        ),
        Graph("Cost", {"cost": f"sum(increase(watchdog_job_cost_usd_total{{{JOB}}}{RATE}))"}, unit="currencyUSD"),
        Graph(
            "Time to the sweep",
            {"sweep": f"min(watchdog_job_sweep_timestamp_seconds{{{JOB}}}) - time()"},
            unit="s",
            text="Of a failed row: from then on a restart of the scheduler deletes it.",
        ),
    ),
}

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def _steps(graph: Graph) -> build.ThresholdsConfig:
    steps = [model.Threshold(value=value, color=colour) for value, colour in graph.steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _query(graph: Graph, number: int, legend: str, expression: str) -> promql.Dataquery:
    query = promql.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEFGH"[number])
    if graph.kind == "table":
        return query.instant().format(promql_model.PromQueryFormat.TABLE)
    return query.instant() if graph.kind in ("stat", "bargauge") else query.range()


def _stat(graph: Graph) -> Panel:
    whole = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    return (
        stat.Panel()
        .reduce_options(whole)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .thresholds(_steps(graph))
        .no_value("–")
    )


def _bars(graph: Graph) -> Panel:
    whole = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel = bargauge.Panel().reduce_options(whole).orientation(common_model.VizOrientation.HORIZONTAL)
    return panel.thresholds(_steps(graph)).no_value("none")


def _table(graph: Graph) -> Panel:
    hide = {"excludeByName": dict.fromkeys(graph.hidden, True), "indexByName": {}, "renameByName": {}}
    return table.Panel().with_transformation(model.DataTransformerConfig(id_val="organize", options=hide))


def _timeline(graph: Graph) -> Panel:
    return statetimeline.Panel().thresholds(_steps(graph)).show_value(common_model.VisibilityMode.NEVER)


def _lines(graph: Graph) -> Panel:
    legend = common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM)
    legend = legend.display_mode(common_model.LegendDisplayMode.LIST)
    return timeseries.Panel().min(0).fill_opacity(10).legend(legend)


_KINDS: Mapping[str, Callable[[Graph], Panel]] = {
    "stat": _stat,
    "bargauge": _bars,
    "table": _table,
    "timeline": _timeline,
    "timeseries": _lines,
}


def panel(graph: Graph, number: int) -> Panel:
    """The panel as Grafana has it, with an id of its own."""
    made = _KINDS[graph.kind](graph).title(graph.title).datasource(DATASOURCE).unit(graph.unit)
    made = made.span(graph.width).height(graph.height).description(graph.text)
    for place, (legend, expression) in enumerate(graph.queries.items()):
        made = made.with_target(_query(graph, place, legend, expression))
    return made.id(number)


def _variable(name: str, label: str, query: str) -> build.QueryVariable:
    made = build.QueryVariable(name).label(label).datasource(DATASOURCE).query(query)
    made = made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return made.sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _dashboard(uid: str, title: str, rows: Mapping[str, Sequence[Graph]]) -> build.Dashboard:
    made = build.Dashboard(title).uid(uid).tags(["scheduler-watchdog"]).refresh("30s").readonly()
    made = made.time("now-24h", "now").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR)
    made = made.with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    link = build.DashboardLink("The others").type(model.DashboardLinkType.DASHBOARDS).tags(["scheduler-watchdog"])
    made = made.link(link.keep_time(True).include_vars(True))
    numbers = count(1)
    for row, graphs in rows.items():
        made = made.with_row(build.Row(row).id(next(numbers)))
        for graph in graphs:
            made = made.with_panel(panel(graph, next(numbers)))
    return made


def overview() -> build.Dashboard:
    """All sources at a glance."""
    made = _dashboard("watchdog-overview", "Agent schedulers", OVERVIEW)
    sources = _variable("source", "Scheduler", "label_values(watchdog_source_up, source)")
    return made.with_variable(sources.multi(True).include_all(True).all_value(".+"))


def job() -> build.Dashboard:
    """One job and its history."""
    made = _dashboard("watchdog-job", "Agent job", HISTORY)
    jobs = _variable("job_id", "Job", f'query_result({NAMES} and on (source) watchdog_source_up{{source=~"$source"}})')
    # the labels stand in the order of their names
    jobs = jobs.regex('/job="(?<text>[^"]*)",\\s*job_id="(?<value>[^"]*)"/')
    sources = _variable("source", "Scheduler", "label_values(watchdog_source_up, source)")
    return made.with_variable(sources).with_variable(jobs)


FILES: Mapping[str, Callable[[], build.Dashboard]] = {"overview.json": overview, "job.json": job}


def text(make: Callable[[], build.Dashboard]) -> str:
    """The file's text."""
    return JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"


if __name__ == "__main__":
    for name, make in FILES.items():
        (HERE / name).write_text(text(make))
        print(f"written: {name}")
