"""The page: what is wrong, each job, each job's own page, and the forms that change something.

It is made from the posting and the state file's other connection, at most once a second, in a thread; so however many
look at it, neither a tick nor a scrape waits.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

from watchdog.config.file import Config
from watchdog.core.durations import parse_duration
from watchdog.core.instants import iso
from watchdog.core.release import VERSION
from watchdog.state.history import KEPT_RUNS, JobKey
from watchdog.web import incident_view, job_view, view
from watchdog.web.archive import Archive, NoArchiveError
from watchdog.web.auth import COOKIE, LASTS, NOT_THE_TOKEN, Auth, Session, is_own_form, is_same_origin
from watchdog.web.changes import Changes, ConflictError, UnknownError, Who
from watchdog.web.chart import RANGES, USUAL
from watchdog.web.headers import FILE_HEADERS, PAGE_HEADERS
from watchdog.web.listing import wanted
from watchdog.web.operations import RefusedError, read_body
from watchdog.web.parts import Rendered, part, region, shown_text
from watchdog.web.prose import bounded, icon, prose, with_breaks
from watchdog.web.published_state import Posting, PublishedState
from watchdog.web.shown import Known, when
from watchdog.web.wsgi import Request, Response, Route, moved, set_cookie, text

if TYPE_CHECKING:
    from jinja2 import Environment

FRESH = 1.0
"""Seconds for which a page that was made is given again."""

_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
PARTS = "x-parts"
"""The header with which the page's own script asks for what has changed: the marks of what it has."""

AS_OF = "X-As-Of"
"""The header of an answer that says of when the state is, whether it has changed or not."""


_HERE = Path(__file__).parent


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=shown_text,
    )
    environment.globals.update(version=VERSION, asset=_asset, region=region, icon=icon)
    environment.filters.update(prose=prose, bounded=bounded, part=part, with_breaks=with_breaks)
    return environment


@cache
def _file(name: str) -> bytes:
    return (_HERE / "static" / name).read_bytes()


def _asset(name: str) -> str:
    """The address of a file of ours; another one whenever the file is another."""
    return f"/static/{name}?v={hashlib.sha256(_file(name)).hexdigest()[:12]}"


@dataclass
class Pages:
    """Makes the pages, and remembers the ones just made."""

    published_state: PublishedState
    archive: Archive
    config: Callable[[], Config] | None = None
    changes: Changes | None = None
    auth: Auth | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _made: dict[tuple[object, ...], tuple[float, object, Rendered]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def routes(self) -> list[Route]:
        """The addresses beside `/`."""
        found: list[Route] = [
            Route("/jobs/{source}/{job_id:path}", self.job),
            Route("/incidents/{number}", self.incident),
            Route("/static/{name}", _static),
        ]
        if self.auth is not None and self.changes is not None:
            forms = Forms(self, self.auth, self.changes)
            found += forms.routes()
        return found

    def front(self, request: Request) -> Response:
        """The first page."""
        posting = self.published_state.posting
        if posting is None:
            return self._page(request, "wait.html", None, status=503)
        asked = wanted(request.query_params)

        def make() -> tuple[str, dict[str, Any]]:
            return "front.html", {"page": view.front(posting, asked, self._known_of)}

        return self._kept(request, ("front", asked), posting, make)

    def _known_of(self, keys: Sequence[JobKey]) -> Known:
        return self._known(self.archive.runs(keys), self.archive.states(keys))

    def job(self, request: Request) -> Response:
        """A job's own page."""
        posting = self.published_state.posting
        if posting is None:
            return self._page(request, "wait.html", None, status=503)
        source, job_id = request.path_params["source"], request.path_params["job_id"]
        shows_all = bool(request.query_params.get("all"))
        limit = KEPT_RUNS if shows_all else job_view.TIMELINE
        span = request.query_params.get("range", USUAL)
        span = span if span in RANGES else USUAL
        key = (source, job_id)
        if not any(
            s.snapshot.source == source and any(j.id == job_id for j in s.snapshot.jobs)
            for s in posting.published.sources
        ):
            return self.missing(request, "There is no such job now", "Its row may have been deleted.")

        def make() -> tuple[str, dict[str, Any]]:
            known = self._known(self.archive.runs([key], KEPT_RUNS), self.archive.states([key]))
            page = job_view.job_page(posting, source, job_id, known, limit, span)
            return "job.html", {"page": page, "shows_all": shows_all, "ranges": list(RANGES)}

        return self._kept(request, ("job", source, job_id, limit, span), posting, make)

    def incident(self, request: Request) -> Response:
        """An incident's own page."""
        posting = self.published_state.posting
        if posting is None:
            return self._page(request, "wait.html", None, status=503)
        number, notes = request.path_params["number"], self.archive.notes()
        known = {str(incident.id): incident for incident in (*notes.incidents, *posting.incidents)}
        incident = known.get(number)
        if incident is None:
            return self.missing(request, "There is no such incident", "It may be older than what is kept.")
        text = request.query_params.get("page", "")
        page = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1

        def make() -> tuple[str, dict[str, Any]]:
            entries, handovers = self.archive.messages(incident.id), self.archive.handovers(incident.id)
            found = incident_view.incident_page(incident, posting, self._known_of(()), entries, handovers, page)
            return "incident.html", {"page": found}

        return self._kept(request, ("incident", number, page), posting, make)

    def missing(self, request: Request, what: str, why: str) -> Response:
        """Says that there is nothing at this address, and leads on."""
        return self._page(request, "missing.html", self.session(request), {"what": what, "why": why}, status=404)

    def _known(self, runs: Any, states: Any) -> Known:
        config = self.config() if self.config else None
        notes, now = self.archive.notes(), self.now()
        # one that was ended by hand is over at once, and not only when the scheduler is looked at again
        notes = replace(notes, silences=tuple(silence for silence in notes.silences if silence.ends_at > now))
        return Known(notes, runs, states, config, bool(self.changes and self.changes.can_revive))

    def session(self, request: Request) -> Session | None:
        """The session of the request, where there can be any."""
        return self.auth.session(request) if self.auth else None

    def _kept(
        self,
        request: Request,
        name: tuple[object, ...],
        posting: Posting,
        make: Callable[[], tuple[str, dict[str, Any]]],
    ) -> Response:
        """The page as it was just made, if nothing has changed since; only one is being made at a time."""
        session = self.session(request)
        is_news = request.has_header(PARTS)
        said = session.said[:] if session and not is_news else []
        if session and said:
            session.said.clear()
        with self._lock:
            key = (*name, session.id if session else "")
            state = (posting.published.version, self.archive.version)
            made = self._made.get(key)
            now = time.monotonic()
            if made is None or now - made[0] > FRESH or made[1] != state or said:
                template, values = make()
                rendered = self._rendered(request, template, session, {**values, "said": said, "as_of": posting.at})
                made = (now, state, rendered)
                self._made = {k: kept for k, kept in self._made.items() if now - kept[0] <= FRESH}
                if not said:
                    self._made[key] = made
        page = made[2]
        headers = {**PAGE_HEADERS, AS_OF: iso(posting.at), "ETag": f'W/"{page.mark}"'}
        if is_news:
            return Response(page.news(request.header(PARTS).split(",")), headers=headers, media_type="application/json")
        return Response(page.whole, headers=headers, media_type="text/html; charset=utf-8")

    def _page(
        self,
        request: Request,
        template: str,
        session: Session | None,
        values: Mapping[str, Any] | None = None,
        status: int = 200,
    ) -> Response:
        rendered = self._rendered(request, template, session, {"said": [], "as_of": None, **(values or {})})
        return Response(rendered.whole, status, PAGE_HEADERS, "text/html; charset=utf-8")

    def _rendered(
        self, request: Request, template: str, session: Session | None, values: Mapping[str, Any]
    ) -> Rendered:
        found = _environment().get_template(template)
        query = f"?{request.query}" if request.query else ""
        own = {"session": session, "can_sign_in": self.auth is not None, "here": quote(request.path) + query}
        as_of = values["as_of"]
        return Rendered(found.render(**own, **{**values, "as_of": when(as_of, as_of) if as_of else None}))

    def login(self, request: Request, wrong: str, back: str, status: int = 200) -> Response:
        """The form that asks for the token."""
        return self._page(request, "login.html", None, {"wrong": wrong, "back": back}, status)

    def refused(self, request: Request, status: int, why: str) -> Response:
        """Says why a form was not taken."""
        return self._page(request, "refused.html", self.session(request), {"why": why}, status)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _FILES:
        return text("there is no such file\n", 404, FILE_HEADERS)
    return Response(_file(name), headers=FILE_HEADERS, media_type=_FILES[name])


@dataclass(frozen=True)
class Forms:
    """What the page's buttons send: a session's cookie, the session's own mark in the form, and our own origin."""

    pages: Pages
    auth: Auth
    changes: Changes

    def routes(self) -> list[Route]:
        """Their addresses."""
        return [
            Route("/login", self.ask),
            Route("/login", self.enter, "POST"),
            Route("/logout", self.leave, "POST"),
            Route("/act/{what}", self.act, "POST"),
        ]

    def ask(self, request: Request) -> Response:
        """Ask for the token."""
        return self.pages.login(request, "", _own_path(request.query_params.get("back", "/")))

    def enter(self, request: Request) -> Response:
        """Take the token, and give a cookie for it."""
        try:
            form = _form(request)
        except RefusedError as error:
            return self.pages.refused(request, error.status, str(error))
        back = _own_path(form.get("back", "/"))
        if not is_same_origin(request):
            self.auth.refused(request, "from another origin")
            return self.pages.refused(request, 403, "The form did not come from this page.")
        if self.auth.too_many_guesses(request):
            return self.pages.refused(request, 429, "Too many wrong tokens; try again in a minute.")
        if not self.auth.is_right(form.get("token", "")):
            self.auth.refused(request, NOT_THE_TOKEN)
            return self.pages.login(request, "That is not the token.", back, 403)
        session = self.auth.enter(form.get("name", "")[:60])
        cookie = set_cookie(COOKIE, session.id, int(LASTS), is_secure=request.is_secure)
        return moved(back, 303, PAGE_HEADERS, cookie)

    def leave(self, request: Request) -> Response:
        """End the session."""
        try:
            session, _ = self._trusted(request)
        except RefusedError as error:
            return self.pages.refused(request, error.status, str(error))
        self.auth.leave(session)
        return moved("/", 303, PAGE_HEADERS, set_cookie(COOKIE, "", 0))

    def act(self, request: Request) -> Response:
        """Do what a button says, and show the page again with what came of it."""
        try:
            session, form = self._trusted(request)
            who = Who(session.name or "somebody", "page", request.address)
            said = self._do(request.path_params["what"], form, who)
        except RefusedError as error:
            return self.pages.refused(request, error.status, str(error))
        session.said.append(said)
        return moved(_own_path(form.get("back", "/")), 303, PAGE_HEADERS)

    def _trusted(self, request: Request) -> tuple[Session, Mapping[str, str]]:
        """The session and the form, if the form is the session's own and came from our own page."""
        session = self.auth.session(request)
        if session is None:
            self.auth.refused(request, "no session")
            raise RefusedError(403, "Your session is over. Enter the token again.")
        form = _form(request)
        if not is_same_origin(request) or not is_own_form(session, form.get("csrf", "")):
            self.auth.refused(request, "not this session's own form")
            raise RefusedError(403, "The form did not come from this page.")
        return session, form

    def _do(self, what: str, form: Mapping[str, str], who: Who) -> tuple[str, str]:
        """What came of it: `ok` or `problem`, and a sentence."""
        acts: Mapping[str, Callable[[Mapping[str, str], Who], str]] = {
            "acknowledge": self._acknowledge,
            "silence": self._silence,
            "approve": self._approve,
            "revive": self._revive,
            "revive-all": self._revive_all,
            "unacknowledge": self._unacknowledge,
            "unsilence": self._unsilence,
        }
        if what not in acts:
            raise RefusedError(404, "There is no such button.")
        try:
            return "ok", acts[what](form, who)
        except (UnknownError, ConflictError, NoArchiveError, ValueError) as error:
            return "problem", f"Not done: {error}"

    def _acknowledge(self, form: Mapping[str, str], who: Who) -> str:
        number = _number(form)
        self.changes.acknowledge(number, who)
        return f"Incident {number} is yours."

    def _unacknowledge(self, form: Mapping[str, str], who: Who) -> str:
        number = _number(form)
        self.changes.unacknowledge(number, who)
        return f"Incident {number} is nobody's."

    def _unsilence(self, form: Mapping[str, str], who: Who) -> str:
        ended = self.changes.end_silence(_number(form), who)
        return f"People are told of {ended.match} again."

    def _silence(self, form: Mapping[str, str], who: Who) -> str:
        made = self.changes.silence(form.get("match", ""), parse_duration(form.get("length", "2h")), who)
        posting = self.pages.published_state.posting
        whom = view.silenced_job(made.match, posting.published) if posting else ""
        return f"Nobody is told of {whom or made.match} for {form.get('length', '2h')}."

    def _approve(self, form: Mapping[str, str], who: Who) -> str:
        self.changes.approve(_number(form), who)
        return "Approved; it is done at once."

    def _revive(self, form: Mapping[str, str], who: Who) -> str:
        action = self.changes.revive(form.get("source", ""), form.get("job_id", ""), who)
        return f"{action.job} is being brought back; its next run is the proof."

    def _revive_all(self, form: Mapping[str, str], who: Who) -> str:
        begun, refused = self.changes.revive_all(_number(form), who)
        said = f"{begun} {'job is' if begun == 1 else 'jobs are'} being brought back; the next runs are the proof."
        return f"{said} {len(refused)} not: {refused[0]}" if refused else said


def _form(request: Request) -> dict[str, str]:
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RefusedError(415, "Send the page's own form.")
    text = read_body(request).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50))


def _number(form: Mapping[str, str]) -> int:
    text = form.get("number", "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError("there is nothing with this number")
    return int(text)


def _own_path(text: str) -> str:
    """Where to go back to: a path of ours, never another address."""
    try:
        parts = urlsplit(text[:2000])
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_own and text.isascii() and text.isprintable() else "/"
