"""The operations of the JSON API. Without a token in the configuration those that change something are not there."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import quote

from watchdog.config.file import Config
from watchdog.config.policies import is_like
from watchdog.core.action import Action
from watchdog.core.durations import parse_duration
from watchdog.core.fields import Frozen
from watchdog.core.incident import Incident, unproved_of
from watchdog.core.instants import iso, parse_instant
from watchdog.core.model import Finding, Job
from watchdog.core.plain_json import Json
from watchdog.core.silences import Silence
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents import wire
from watchdog.incidents.silencing import NoSuchJobError, quiet_until
from watchdog.notify.wire import message
from watchdog.recovery import brought_back, by_hand
from watchdog.state.history import Run, runs_of
from watchdog.web import advice, described, questions, whole
from watchdog.web.archive import Archive, Notes
from watchdog.web.auth import Auth
from watchdog.web.changes import Changes, UnknownError
from watchdog.web.listing import every_job, marks_of
from watchdog.web.operations import Asked, Operation, RefusedError, as_json, route
from watchdog.web.problems import system_of
from watchdog.web.published_state import Posting, PublishedState
from watchdog.web.strip import missed
from watchdog.web.wsgi import Request, Response, Route


@dataclass(frozen=True)
class Api:
    """What the operations are made over."""

    published_state: PublishedState
    archive: Archive
    changes: Changes | None = None
    auth: Auth | None = None
    config: Callable[[], Config] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def instance(self) -> str:
        """The name of this watchdog among several."""
        return self.config().called if self.config else socket.gethostname()

    def routes(self) -> list[Route]:
        """All addresses."""
        operations = self.operations()
        has_changes = any(operation.needs_token for operation in operations)

        def description(request: Request) -> Response:
            return as_json(described.document(with_changes=has_changes))

        return [
            *(route(operation, self.auth) for operation in operations),
            Route("/api/v1/openapi.json", description),
        ]

    def operations(self) -> list[Operation]:
        """All of them, as data."""
        return self.all_operations(self.changes) if self.changes and self.auth else self._reading()

    def all_operations(self, changes: Changes) -> list[Operation]:
        """Those that change something with them."""
        return [*self._reading(), *self._changing(changes)]

    def _reading(self) -> list[Operation]:
        return [
            _get("/jobs", "jobs", "The jobs of every source", "Jobs", self._jobs, questions.WhichJobs),
            _get(
                "/findings",
                "findings",
                "All that is true now",
                "Findings",
                self._findings,
                questions.WhichFindings,
            ),
            _get(
                "/incidents",
                "incidents",
                "What is wrong since when, and who is on it",
                "Incidents",
                self._incidents,
                questions.WhichIncidents,
            ),
            Operation(
                "GET",
                "/api/v1/history",
                "history",
                "A job's past runs",
                "Past",
                self._history,
                query=questions.WhichRuns,
                names_job=True,
            ),
            _get(
                "/incidents/{number}",
                "incident",
                "An incident whole: who was told, and what was done",
                "WholeIncident",
                self._incident,
            ),
            _get("/recoveries", "recoveries", "What was done, or is proposed", "Recoveries", self._recoveries),
        ]

    def _changing(self, changes: Changes) -> list[Operation]:
        def post(path: str, name: str, summary: str, answer: str, do: Any, body: type[Frozen]) -> Operation:
            status = 202 if answer == "Recovery" else 200
            is_new = name == "silence"
            return Operation(
                "POST",
                f"/api/v1{path}",
                name,
                summary,
                answer,
                do,
                body=body,
                status=201 if is_new else status,
                needs_token=True,
                conflicts=not is_new,
                names_job=name == "revive",
            )

        def acknowledge(asked: Asked) -> Mapping[str, Any]:
            changes.acknowledge(asked.number, asked.who)
            return self._taken(asked.number)

        def unacknowledge(asked: Asked) -> Mapping[str, Any]:
            changes.unacknowledge(asked.number, asked.who)
            return self._taken(asked.number)

        def end_silence(asked: Asked) -> Mapping[str, Any]:
            return _silence(changes.end_silence(asked.number, asked.who))

        def silence(asked: Asked) -> Mapping[str, Any]:
            body = asked.body
            try:
                made = changes.silence(body.match, parse_duration(body.length), asked.who, ahead=body.ahead)
            except NoSuchJobError as error:
                hint = '("ahead": true silences jobs that are to come)'
                raise RefusedError(422, f"{str(error)[:300]} {hint}") from error
            except ValueError as error:
                raise RefusedError(422, str(error)[:300]) from error
            return _silence(made)

        def approve(asked: Asked) -> Mapping[str, Any]:
            return _recovery(changes.approve(asked.number, asked.who))

        def revive(asked: Asked) -> Mapping[str, Any]:
            source, job_id = asked.body.source, asked.body.job_id
            self._job(source, job_id)
            return _recovery(changes.revive(source, job_id, asked.who))

        def plan(asked: Asked) -> Mapping[str, Any]:
            self._job(asked.query.source, asked.query.job_id)
            return self._answer({"would": changes.plan(asked.query.source, asked.query.job_id)})

        def audit(asked: Asked) -> Mapping[str, Any]:
            return {
                "entries": [
                    {"id": one.id, "at": iso(one.at), "by": one.by, "address": one.address, "what": one.what}
                    for one in changes.audit(asked.query.limit)
                ]
            }

        return [
            post(
                "/incidents/{number}/acknowledge",
                "acknowledge",
                "Take an incident on",
                "Incident",
                acknowledge,
                questions.Named,
            ),
            post(
                "/incidents/{number}/unacknowledge",
                "unacknowledge",
                "Give an incident back that was taken on",
                "Incident",
                unacknowledge,
                questions.Named,
            ),
            post("/silences", "silence", "Tell nobody of what matches", "Silence", silence, questions.NewSilence),
            post(
                "/silences/{number}/end",
                "end_silence",
                "End a silence now",
                "Silence",
                end_silence,
                questions.Named,
            ),
            post(
                "/recoveries/{number}/approve",
                "approve",
                "Allow a proposed recovery",
                "Recovery",
                approve,
                questions.Named,
            ),
            post("/revive", "revive", "Have a failed job brought back", "Recovery", revive, questions.WhichJob),
            Operation(
                "GET",
                "/api/v1/revive",
                "plan",
                "What a revival would do; nothing is done",
                "Plan",
                plan,
                query=questions.WhichOne,
                needs_token=True,
                conflicts=True,
                names_job=True,
            ),
            Operation(
                "GET",
                "/api/v1/audit",
                "audit",
                "Who changed what over HTTP, when and from where",
                "Audit",
                audit,
                query=questions.HowMany,
                needs_token=True,
            ),
        ]

    def _taken(self, number: int) -> Mapping[str, Any]:
        notes = self.archive.notes()
        found = next(incident for incident in notes.incidents if incident.id == number)
        return _incident(found, notes, self._hold, self.now())

    @property
    def _hold(self) -> timedelta | None:
        """How long an incident has to stay clear to be over."""
        return self.config().notify.hold if self.config else None

    # what is read

    def _posting(self) -> Posting:
        posting = self.published_state.posting
        if posting is None:
            raise RefusedError(503, "the first look is still going on")
        return posting

    def _told(self, posting: Posting) -> Published:
        """What was found, with what is said of jobs that were brought back."""
        return brought_back.told(
            posting.published, posting.at, self.archive.notes().brought_back, unproved_of(posting.incidents)
        )

    def _answer(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"instance": self.instance(), **document}

    def _jobs(self, asked: Asked) -> Mapping[str, Any]:
        posting, query = self._posting(), asked.query
        published = self._told(posting)
        chosen = [one for one in every_job(published) if _is_wanted(*one, query)]
        if query.limit is not None or query.cursor is not None:
            chosen = sorted((one for one in chosen if _place(one) > (query.cursor or "")), key=_place)
        shown = chosen[: query.limit]
        return self._answer(
            {
                "now": iso(posting.at),
                "sources": [wire.source(state) for state in posting.published.sources],
                "jobs": [wire.job(*one) for one in shown],
                "next_cursor": _place(shown[-1]) if len(shown) < len(chosen) else None,
            }
        )

    def _findings(self, asked: Asked) -> Mapping[str, Any]:
        posting = self._posting()
        published = self._told(posting)
        source, kind = asked.query.source, asked.query.kind
        wanted = [
            finding
            for finding in published.findings
            if source in ("", finding.source) and kind in ("", finding.kind.value)
        ]
        return self._answer(wire.findings_document(published, posting.at, wanted))

    def _incidents(self, asked: Asked) -> Mapping[str, Any]:
        posting, notes, now = self._posting(), self.archive.notes(), self.now()
        shown = {incident.id: incident for incident in (notes.incidents if asked.query.all else ())}
        shown |= {incident.id: incident for incident in posting.incidents}
        return self._answer(
            {
                "now": iso(posting.at),
                "incidents": [_incident(shown[id_], notes, self._hold, now) for id_ in sorted(shown, reverse=True)],
                "silences": [_silence(one) for one in notes.silences if one.ends_at > now],
            }
        )

    def _incident(self, asked: Asked) -> Mapping[str, Any]:
        posting, notes = self._posting(), self.archive.notes()
        known = {incident.id: incident for incident in (*notes.incidents, *posting.incidents)}
        found = known.get(asked.number)
        if found is None:
            raise UnknownError(f"there is no incident {asked.number}")
        _, by = notes.acknowledged.get(found.id, (None, None))
        config = self.config() if self.config else None
        to_do = advice.of_incident(found, config, system_of(posting, found.source), notes.begun).pasted(config)
        handovers, messages = self.archive.handovers(found.id), self.archive.messages(found.id)
        told = (found, by, handovers, messages, notes.actions, quiet_until(found, notes.silences, self.now()))
        return self._answer(whole.document(*told, posting.at, to_do, config))

    def _history(self, asked: Asked) -> Mapping[str, Any]:
        posting, query = self._posting(), asked.query
        before = None
        if query.before is not None:
            try:
                before = parse_instant(query.before)
            except ValueError as error:
                raise RefusedError(422, f"before: {str(error)[:200]}") from error
        job = self._job(query.source, query.job_id)
        runs: list[Run] = list(runs_of(query.source, job))
        if self.archive.path is not None:
            runs = self.archive.page((query.source, query.job_id), query.limit, before)
        runs = [run for run in runs if before is None or run.ended_at < before][-query.limit :]
        states = self.archive.states([(query.source, query.job_id)]).get((query.source, query.job_id), [])
        until = posting.at if before is None else min(before, posting.at)
        gone = missed(job, runs, until, states, query.limit) if runs else []
        return self._answer(
            {
                "source": query.source,
                "job_id": query.job_id,
                "runs": [_run(run) for run in runs],
                "missed": [iso(at) for at in gone],
            }
        )

    def _job(self, source: str, job_id: str) -> Job:
        for state in self._posting().published.sources:
            for job in state.snapshot.jobs if state.snapshot.source == source else ():
                if job.id == job_id:
                    return job
        raise UnknownError("there is no such job now")

    def _recoveries(self, asked: Asked) -> Mapping[str, Any]:
        return self._answer(by_hand.document(self.archive.notes().actions))


def _is_wanted(state: SourceState, job: Job, found: Sequence[Finding], query: questions.WhichJobs) -> bool:
    """Whether a job is among those that are asked for."""
    return (
        query.source in (None, state.snapshot.source)
        and (query.state is None or query.state in marks_of(job, found))
        and (query.match is None or any(is_like(text, query.match) for text in (job.name, job.id)))
    )


def _place(one: tuple[SourceState, Job, Sequence[Finding]]) -> str:
    """A job's place in the order of pages, which stays its own whatever comes or goes."""
    return f"{quote(one[0].snapshot.source, safe='')}/{quote(one[1].id, safe='')}"


def _get(path: str, name: str, summary: str, answer: str, do: Any, query: type[Frozen] | None = None) -> Operation:
    return Operation("GET", f"/api/v1{path}", name, summary, answer, do, query=query)


def _incident(found: Incident, notes: Notes, hold: timedelta | None, now: datetime) -> dict[str, Any]:
    """An incident with who has taken it on, and whom it has not reached."""
    _, by = notes.acknowledged.get(found.id, (None, None))
    return wire.incident(found, by, _untold(notes, found.id), hold, quiet_until(found, notes.silences, now))


def _silence(silence: Silence) -> dict[str, Any]:
    return {"id": silence.id, "match": silence.match, "ends_at": iso(silence.ends_at), "by": silence.by}


def _recovery(action: Action) -> Mapping[str, Any]:
    return cast(list[Mapping[str, Any]], by_hand.document([action])["recoveries"])[0]


def _run(run: Run) -> dict[str, Any]:
    return {
        "ended_at": iso(run.ended_at),
        "started_at": wire.value(run.started_at),
        "outcome": run.outcome,
        "status": run.status,
        "duration_seconds": wire.value(run.duration),
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": run.cost_usd,
        "error": run.error,
    }


def _untold(notes: Notes, number: int) -> list[Json]:
    """The messages about an incident that have not arrived."""
    return [message(entry) for entry in notes.untold_of(number)]
