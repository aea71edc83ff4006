"""The dashboards, as code: `python -m alerts.generate` writes them. Grafana 10.1 or newer takes them as they are.

They need no recording rule, only the scrape: with `honor_labels` or without, the job's name is found. Sources of one
name on several hosts are told apart by `instance`; whatever is summed is summed over the hosts that are chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from grafana_foundation_sdk.builders import bargauge, common, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus as promql
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as promql_model

HOST = 'instance=~"$instance"'
SOURCE = f'{HOST}, source=~"$source"'
JOB = f'{SOURCE}, job_id=~"$job_id"'
WATCHDOG = f'job="scheduler-watchdog", {HOST}'
RATE = "[$__rate_interval]"
NAMES = (
    "max by (instance, source, job_id, job, owner, schedule) ("
    'label_replace(watchdog_job_info, "job", "$1", "exported_job", "(.+)"))'
)
"""One series for each job with its name in `job`, however it was scraped."""

BAR = "5m"
"""The shortest time that a bar stands for."""

Panel = stat.Panel | table.Panel | timeseries.Panel | statetimeline.Panel | bargauge.Panel


def named(expression: str) -> str:
    """The same, one series for each job, with its name, owner and schedule."""
    return f"({expression}) * on (instance, source, job_id) group_left (job, owner, schedule) {NAMES}"


def spent(counter: str, where: str, time: str = "$__interval") -> str:
    """What a counter has grown by within each `time`: the bars of a graph sum up to what was spent.

    `increase` would not do: it sees nothing of what happens between two windows, and makes up for it by a guess. What
    was not scraped for an hour at the most is counted when it is again; a new series begins with its first value.
    """
    series = f"{counter}{{{where}}}"
    before = f"last_over_time({series}[1h] offset {time}) or min_over_time({series}[{time}])"
    return f"clamp_min({series} - ({before}), 0)"


@dataclass(frozen=True, slots=True)
class Graph:
    """A panel: what it shows, and how wide it is of 24. `queries` gives expressions by their legend.

    `hidden`: a table's columns that are left out. `of_jobs`: each series or row is a job's, and leads to its dashboard.
    """

    title: str
    text: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 8
    height: int = 8
    kind: str = "timeseries"
    steps: Sequence[tuple[float | None, str]] = field(default=((None, "green"),))
    hidden: Sequence[str] = ()
    of_jobs: bool = False


CALM_OR_RED = ((None, "green"), (1.0, "red"))
CALM_OR_ORANGE = ((None, "green"), (1.0, "orange"))
LATE = ((None, "red"), (0.0, "orange"), (600.0, "green"))
TECHNICAL = ("Time", "Value", "__name__", "exported_job")

OVERVIEW: Mapping[str, Sequence[Graph]] = {
    "Now": (
        Graph(
            "Sources that cannot be read",
            "Of all hosts that are chosen. Nothing can be told about their jobs.",
            {"unreadable": f"sum(1 - watchdog_source_up{{{SOURCE}}})"},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_RED,
        ),
        Graph(
            "Critical",
            "Conditions that are true now and need somebody now.",
            {"critical": f'sum(watchdog_findings{{{SOURCE}, severity="critical"}})'},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_RED,
        ),
        Graph(
            "Warnings",
            "Conditions that are true now and can wait for the morning.",
            {"warning": f'sum(watchdog_findings{{{SOURCE}, severity="warning"}})'},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_ORANGE,
        ),
        Graph(
            "Incidents open",
            "Of all sources of the hosts: symptoms are counted under their cause.",
            {"{{severity}}": f"sum by (severity) (watchdog_incidents_open{{{HOST}}})"},
            kind="stat",
            width=4,
            height=4,
            steps=CALM_OR_ORANGE,
        ),
        Graph(
            "Time to the next deadline",
            "Until the next job becomes overdue, if it does not run.",
            {"next": f"min((watchdog_job_deadline_timestamp_seconds{{{SOURCE}}} - time()) > 0)"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            steps=LATE,
        ),
        Graph(
            "Last look",
            "How long ago the loop turned last, of the watchdog that is the furthest behind.",
            {"ago": f"max(time() - watchdog_last_tick_timestamp_seconds{{{HOST}}})"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            steps=((None, "green"), (30.0, "orange"), (60.0, "red")),
        ),
        Graph(
            "What is wrong now",
            "A hundred at the most, what is critical first. A click on the job leads to its history.",
            {
                "wrong": "topk(100, "
                + named(
                    f"2 * max by (instance, source, job_id, kind, severity) (watchdog_job_finding{{{SOURCE}, "
                    'severity="critical"}) or '
                    f"max by (instance, source, job_id, kind, severity) (watchdog_job_finding{{{SOURCE}, "
                    'severity="warning"})'
                )
                + ")"
            },
            kind="table",
            width=14,
            hidden=TECHNICAL,
            of_jobs=True,
        ),
        Graph(
            "By condition",
            "Also those that are about no job: a scheduler that stands still, a database that cannot be read. Summed "
            "over the hosts.",
            {"{{source}}: {{kind}}": f"topk(100, sum by (source, kind, severity) (watchdog_findings{{{SOURCE}}}) > 0)"},
            kind="table",
            width=10,
            hidden=("Time",),
        ),
    ),
    "Fleet": (
        Graph(
            "Hosts",
            "Watchdogs that Prometheus reaches, those that it does not, and hosts that wrote within the last day and "
            "have stopped (behind NAT).",
            {
                "answering": f"sum(up{{{WATCHDOG}}}) or vector(0)",
                "not answering": f"sum(1 - up{{{WATCHDOG}}}) or vector(0)",
                "silent": f'count(present_over_time(up{{{WATCHDOG}, writes="true"}}[1d]) unless on (instance) '
                f'present_over_time(up{{{WATCHDOG}, writes="true"}}[1m])) or vector(0)',
            },
            kind="stat",
            width=6,
        ),
        Graph(
            "Hosts by state",
            "Over time: those that answer; of these, whose loop is late, and those with a source that cannot be read.",
            {
                "answering": f"sum(up{{{WATCHDOG}}})",
                "not answering": f"sum(1 - up{{{WATCHDOG}}})",
                "loop late": f"count(timestamp(watchdog_last_tick_timestamp_seconds{{{HOST}}}) - "
                f"watchdog_last_tick_timestamp_seconds{{{HOST}}} > 60) or vector(0)",
                "cannot read a source": f"count(min by (instance) (watchdog_source_up{{{HOST}}}) == 0) or vector(0)",
            },
            width=6,
        ),
        Graph(
            "Oldest read",
            "How long ago a source was last known to be current: the ten furthest behind.",
            {
                "{{instance}} {{source}}": "topk(10, time() - min by (instance, source) "
                f"(watchdog_source_last_read_timestamp_seconds{{{SOURCE}}}))"
            },
            unit="s",
            kind="bargauge",
            width=6,
            steps=((None, "green"), (60.0, "orange"), (300.0, "red")),
        ),
        Graph(
            "Versions",
            "Which versions run, and on how many hosts.",
            {"version": f"count by (version) (watchdog_build_info{{{HOST}}})"},
            kind="table",
            width=3,
            hidden=("Time",),
        ),
        Graph(
            "Critical by host",
            "The ten hosts with the most that needs somebody now.",
            {"{{instance}}": f'topk(10, sum by (instance) (watchdog_findings{{{SOURCE}, severity="critical"}}) > 0)'},
            kind="bargauge",
            width=3,
            steps=CALM_OR_RED,
        ),
    ),
    "Jobs": (
        Graph(
            "Jobs by state",
            "Summed over the hosts.",
            {"{{status}}": f"sum by (status) (watchdog_source_jobs{{{SOURCE}}})"},
        ),
        Graph(
            "Conditions over time",
            "By kind, summed over the hosts.",
            {"{{kind}}": f"sum by (kind) (watchdog_findings{{{SOURCE}}}) > 0"},
        ),
        Graph(
            "Run in flight",
            "How long the run has gone on: the ten longest. Where a scheduler has one slot, the others wait for it.",
            {
                "{{instance}} {{source}}: {{job}}": named(
                    f"topk(10, time() - watchdog_job_in_flight_since_timestamp_seconds{{{SOURCE}}})"
                )
            },
            unit="s",
            of_jobs=True,
        ),
        Graph(
            "Next deadlines",
            "When a job becomes overdue if it does not run; below zero it is. The fifteen next.",
            {
                "{{instance}} {{source}}: {{job}}": named(
                    f"bottomk(15, watchdog_job_deadline_timestamp_seconds{{{SOURCE}}} - time())"
                )
            },
            unit="s",
            kind="bargauge",
            width=12,
            steps=LATE,
            of_jobs=True,
        ),
        Graph(
            "Failed rows: time to the sweep",
            "From then on a restart of the scheduler deletes the row and the job's definition. The fifteen next.",
            {
                "{{instance}} {{source}}: {{job}}": named(
                    f"bottomk(15, watchdog_job_sweep_timestamp_seconds{{{SOURCE}}} - time())"
                )
            },
            unit="s",
            kind="bargauge",
            width=12,
            steps=((None, "red"), (86400.0, "orange"), (604800.0, "green")),
            of_jobs=True,
        ),
    ),
    "Tokens and cost": (
        Graph(
            "Tokens",
            "The bars sum up to what was used in the time shown.",
            {"{{direction}}": f"sum by (direction) ({spent('watchdog_job_tokens_total', SOURCE)})"},
            kind="bars",
        ),
        Graph(
            "Cost",
            "The bars sum up to what was spent in the time shown. Sources of one name are summed over the hosts.",
            {"{{source}}": f"sum by (source) ({spent('watchdog_job_cost_usd_total', SOURCE)})"},
            unit="currencyUSD",
            kind="bars",
        ),
        Graph(
            "Cost in the time shown",
            "The ten jobs that cost the most.",
            {
                "{{instance}} {{source}}: {{job}}": named(
                    f"topk(10, {spent('watchdog_job_cost_usd_total', SOURCE, '$__range')})"
                )
            },
            unit="currencyUSD",
            kind="bargauge",
            of_jobs=True,
        ),
    ),
    "The watchdogs themselves": (
        Graph(
            "A tick",
            "How long a turn of the loop takes: the ten slowest watchdogs.",
            {
                "p99 {{instance}}": "topk(10, histogram_quantile(0.99, sum by (instance, le) "
                f"(rate(watchdog_tick_duration_seconds_bucket{{{HOST}}}{RATE}))))",
                "mean {{instance}}": "topk(10, sum by (instance) "
                f"(rate(watchdog_tick_duration_seconds_sum{{{HOST}}}{RATE})) / "
                f"sum by (instance) (rate(watchdog_tick_duration_seconds_count{{{HOST}}}{RATE})))",
            },
            unit="s",
        ),
        Graph(
            "Reading a source, p99",
            "How long a read takes, when something had changed: the ten slowest.",
            {
                "{{instance}} {{source}}": "topk(10, histogram_quantile(0.99, sum by (instance, source, le) "
                f"(rate(watchdog_source_read_duration_seconds_bucket{{{SOURCE}}}{RATE}))))"
            },
            unit="s",
        ),
        Graph(
            "Since a source was read",
            "Rises where a source cannot be read or its watchdog stands still: the ten furthest behind.",
            {
                "{{instance}} {{source}}": "topk(10, time() - min by (instance, source) "
                f"(watchdog_source_last_read_timestamp_seconds{{{SOURCE}}}))",
            },
            unit="s",
        ),
        Graph(
            "Messages",
            "Attempts to tell somebody, summed over the hosts, and how many wait.",
            {
                "{{channel}}: {{outcome}}": "sum by (channel, outcome) "
                f"(increase(watchdog_notifications_total{{{HOST}}}{RATE}))",
                "waiting": f"sum(watchdog_outbox_messages{{{HOST}}})",
            },
        ),
        Graph(
            "The oldest message waits for",
            "Zero while all are sent: the ten that wait longest.",
            {
                "{{instance}}": "topk(10, max by (instance) "
                f"(time() - watchdog_outbox_oldest_timestamp_seconds{{{HOST}}}) "
                f"or on (instance) 0 * sum by (instance) (watchdog_outbox_messages{{{HOST}}}))"
            },
            unit="s",
        ),
        Graph(
            "Recoveries and reloads",
            "Since the watchdogs were started, summed over the hosts.",
            {
                "{{action}}: {{outcome}}": f"sum by (action, outcome) (watchdog_recoveries_total{{{HOST}}}) "
                "or on () vector(0)",
                "configuration not taken": f'sum(watchdog_config_reloads_total{{{HOST}, outcome="error"}})',
            },
        ),
        Graph(
            "Memory",
            "Resident: the ten largest.",
            {"{{instance}}": f"topk(10, process_resident_memory_bytes{{{WATCHDOG}}})"},
            unit="bytes",
            width=12,
        ),
        Graph(
            "CPU",
            "Of one core: the ten busiest.",
            {"{{instance}}": f"topk(10, rate(process_cpu_seconds_total{{{WATCHDOG}}}{RATE}))"},
            unit="percentunit",
            width=12,
        ),
    ),
}

HISTORY: Mapping[str, Sequence[Graph]] = {
    "The job": (
        Graph(
            "Job",
            "Its name, its schedule in words, and who is told of it.",
            {"job": f"{NAMES} and on (instance, source, job_id) watchdog_job_info{{{JOB}}}"},
            kind="table",
            width=12,
            height=4,
            hidden=("Time", "Value"),
        ),
        Graph(
            "Last run",
            "How long ago its newest run started.",
            {"ago": f"time() - max(watchdog_job_last_run_timestamp_seconds{{{JOB}}})"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
        ),
        Graph(
            "Next run",
            "When the scheduler means to run it. Below zero it is due.",
            {"in": f"min(watchdog_job_next_run_timestamp_seconds{{{JOB}}}) - time()"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
        ),
        Graph(
            "Deadline",
            "When it becomes overdue if it does not run.",
            {"in": f"min(watchdog_job_deadline_timestamp_seconds{{{JOB}}}) - time()"},
            unit="s",
            kind="stat",
            width=4,
            height=4,
            steps=LATE,
        ),
        Graph(
            "State",
            "The state that its scheduler has it in.",
            {"{{state}}": f"max by (state) (watchdog_job_state{{{JOB}}})"},
            kind="timeline",
            width=12,
        ),
        Graph(
            "What was wrong",
            "Each condition, while it was true.",
            {"{{kind}} ({{severity}})": f"max by (kind, severity) (watchdog_job_finding{{{JOB}}})"},
            kind="timeline",
            width=12,
            steps=((None, "red"),),
        ),
        Graph(
            "The error behind it",
            "Its class and first words, where a condition that is true now rests on an error.",
            {"error": f"max by (class, error) (watchdog_job_error_info{{{JOB}}})"},
            kind="table",
            width=24,
            height=4,
            hidden=("Time", "Value"),
        ),
    ),
    "Its history": (
        Graph(
            "Runs",
            "The bars sum up to the runs that were recorded in the time shown.",
            {"runs": f"sum({spent('watchdog_job_runs_total', JOB)})"},
            kind="bars",
        ),
        Graph(
            "Errors and empty runs in a row",
            "A scheduler with a breaker gives the job up after some errors in a row; its page says how many are left.",
            {
                "errors": f"max(watchdog_job_consecutive_errors{{{JOB}}})",
                "without tokens": f"max(watchdog_job_zero_token_streak{{{JOB}}})",
            },
        ),
        Graph(
            "How long a run takes",
            "The last that was recorded, and the one in flight so far.",
            {
                "recorded": f"max(watchdog_job_last_run_duration_seconds{{{JOB}}})",
                "in flight": f"time() - max(watchdog_job_in_flight_since_timestamp_seconds{{{JOB}}})",
            },
            unit="s",
        ),
        Graph(
            "Tokens",
            "The bars sum up to what was used in the time shown.",
            {"{{direction}}": f"sum by (direction) ({spent('watchdog_job_tokens_total', JOB)})"},
            kind="bars",
        ),
        Graph(
            "Cost",
            "The bars sum up to what was spent in the time shown.",
            {"cost": f"sum({spent('watchdog_job_cost_usd_total', JOB)})"},
            unit="currencyUSD",
            kind="bars",
        ),
        Graph(
            "Time to the sweep",
            "Of a failed row: from then on a restart of the scheduler deletes it.",
            {"sweep": f"min(watchdog_job_sweep_timestamp_seconds{{{JOB}}}) - time()"},
            unit="s",
        ),
    ),
}

JOB_UID = "watchdog-job"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def _steps(graph: Graph) -> build.ThresholdsConfig:
    steps = [model.Threshold(value=value, color=colour) for value, colour in graph.steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _query(graph: Graph, number: int, legend: str, expression: str) -> promql.Dataquery:
    query = promql.Dataquery().expr(expression).legend_format(legend).ref_id("ABCDEFGH"[number])
    if graph.kind == "table":
        return query.instant().format(promql_model.PromQueryFormat.TABLE)
    if graph.kind == "bars":
        return query.range().interval(BAR)
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
    shown = table.Panel().with_transformation(model.DataTransformerConfig(id_val="organize", options=hide))
    if not graph.of_jobs:
        return shown
    # hidden, and not left out: the link is made of it
    shown = shown.override_by_name("job_id", [model.DynamicConfigValue(id_val="custom.hidden", value=True)])
    return shown.override_by_name(
        "job", [model.DynamicConfigValue(id_val="links", value=[_to_the_job("__data.fields")])]
    )


def _to_the_job(labels: str) -> dict[str, object]:
    """A link to the job's own dashboard; `labels` is where Grafana finds the labels of what was clicked."""
    chosen = "&".join(f"var-{name}=${{{labels}.{name}}}" for name in ("instance", "source", "job_id"))
    url = f"/d/{JOB_UID}?var-datasource=${{datasource}}&{chosen}&${{__url_time_range}}"
    return {"title": f"The history of ${{{labels}.job}}", "url": url, "targetBlank": False}


def _linked(graph: Graph, made: Panel) -> Panel:
    if not graph.of_jobs or graph.kind == "table":
        return made
    link = _to_the_job("__field.labels")
    return made.override_by_regexp(".*", [model.DynamicConfigValue(id_val="links", value=[link])])


def _timeline(graph: Graph) -> Panel:
    return statetimeline.Panel().thresholds(_steps(graph)).show_value(common_model.VisibilityMode.NEVER)


def _lines(graph: Graph) -> Panel:
    legend = common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM)
    legend = legend.display_mode(common_model.LegendDisplayMode.LIST)
    return timeseries.Panel().min(0).fill_opacity(10).legend(legend)


def _columns(graph: Graph) -> Panel:
    bars = timeseries.Panel().min(0).draw_style(common_model.GraphDrawStyle.BARS).fill_opacity(60).interval(BAR)
    return bars.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))


_KINDS: Mapping[str, Callable[[Graph], Panel]] = {
    "stat": _stat,
    "bargauge": _bars,
    "table": _table,
    "timeline": _timeline,
    "timeseries": _lines,
    "bars": _columns,
}


def panel(graph: Graph, number: int) -> Panel:
    """The panel as Grafana has it, with an id of its own."""
    made = _KINDS[graph.kind](graph).title(graph.title).datasource(DATASOURCE).unit(graph.unit)
    made = made.span(graph.width).height(graph.height).description(graph.text)
    for place, (legend, expression) in enumerate(graph.queries.items()):
        made = made.with_target(_query(graph, place, legend, expression))
    return _linked(graph, made).id(number)


def _variable(name: str, label: str, query: str) -> build.QueryVariable:
    made = build.QueryVariable(name).label(label).datasource(DATASOURCE).query(query)
    made = made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return made.sort(model.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)


def _dashboard(uid: str, title: str, rows: Mapping[str, Sequence[Graph]]) -> build.Dashboard:
    made = build.Dashboard(title).uid(uid).tags(["scheduler-watchdog"]).refresh("30s").editable()
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


def _hosts() -> build.QueryVariable:
    return _variable("instance", "Host", "label_values(watchdog_build_info, instance)")


def _sources() -> build.QueryVariable:
    return _variable("source", "Scheduler", f"label_values(watchdog_source_up{{{HOST}}}, source)")


def overview() -> build.Dashboard:
    """All hosts and sources at a glance."""
    made = _dashboard("watchdog-overview", "Agent schedulers", OVERVIEW)
    for variable in (_hosts(), _sources()):
        made = made.with_variable(variable.multi(True).include_all(True).all_value(".+"))
    return made


def job() -> build.Dashboard:
    """One job and its history."""
    made = _dashboard(JOB_UID, "Agent job", HISTORY)
    jobs = _variable("job_id", "Job", f"query_result({NAMES} and on (instance, source) watchdog_source_up{{{SOURCE}}})")
    # the labels stand in the order of their names
    jobs = jobs.regex('/job="(?<text>[^"]*)",\\s*job_id="(?<value>[^"]*)"/')
    return made.with_variable(_hosts()).with_variable(_sources()).with_variable(jobs)


FILES: Mapping[str, Callable[[], build.Dashboard]] = {"overview.json": overview, "job.json": job}


def text(make: Callable[[], build.Dashboard]) -> str:
    """The file's text."""
    return JSONEncoder(sort_keys=True, indent=2).encode(make().build()) + "\n"
