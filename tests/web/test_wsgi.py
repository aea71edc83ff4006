"""Addresses, requests and answers over plain WSGI."""

from collections.abc import Mapping

import pytest
from httpx2 import Client

from tests.support.site import client_of
from watchdog.web.app import Application
from watchdog.web.wsgi import Request, Response, Route, Routes, TooBigError, text


def _told(request: Request) -> Response:
    return text(repr(dict(request.path_params)))


def _not_so(request: Request, status: int, headers: Mapping[str, str]) -> Response:
    return text(f"{status}\n", status, headers)


def _serving(*routes: Route, follow_redirects: bool = True) -> Client:
    return client_of(Application(Routes(routes, _not_so)), follow_redirects=follow_redirects)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/jobs/agent/one", {"source": "agent", "job_id": "one"}),
        ("/jobs/agent/a/b", {"source": "agent", "job_id": "a/b"}),
        ("/jobs/a.b/%C3%BC%3Fx=1%23y", {"source": "a.b", "job_id": "ü?x=1#y"}),
        ("/jobs/agent/", {"source": "agent", "job_id": ""}),
    ],
)
def test_a_route_takes_its_path_apart_and_the_rest_may_have_slashes(path: str, parts: dict[str, str]) -> None:
    assert _serving(Route("/jobs/{source}/{job_id:path}", _told)).get(path).text == repr(parts)


def test_what_is_no_place_in_a_path_is_meant_as_it_stands() -> None:
    client = _serving(Route("/page.css", _told))
    assert client.get("/page.css").status_code == 200
    assert client.get("/pagexcss").status_code == 404
    assert client.get("/page.css%0A").status_code == 404


def test_a_method_that_no_route_of_the_path_has_is_refused_with_those_it_has() -> None:
    client = _serving(Route("/login", _told), Route("/login", _told, "POST"))
    assert client.get("/login").status_code == client.post("/login").status_code == 200
    refused = client.delete("/login")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_head_is_told_all_but_the_body() -> None:
    client = _serving(Route("/", lambda request: text("words")))
    got, head = client.get("/"), client.head("/")
    assert (head.content, head.headers["content-length"]) == (b"", got.headers["content-length"])


def test_a_slash_too_many_leads_to_the_address_without_it_and_nowhere_else() -> None:
    client = _serving(Route("/metrics", _told), follow_redirects=False)
    moved = client.get("/metrics/?a=%20b")
    assert (moved.status_code, moved.headers["location"]) == (307, "/metrics?a=%20b")
    assert client.get("/nothing/").status_code == 404


@pytest.mark.parametrize("sent", ["session=mine; other=x", 'other="x";session="mine"', "a; session=mine; =; b=c=d"])
def test_a_cookie_is_found_among_others_and_among_rubbish(sent: str) -> None:
    client = _serving(Route("/", lambda request: text(request.cookies.get("session", "none"))))
    assert client.get("/", headers={"Cookie": sent}).text == "mine"


@pytest.mark.parametrize(
    ("taken", "is_packed"),
    [("gzip", True), ("br;q=1.0, GZIP; q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.00, *", False), ("br", False)],
)
def test_an_answer_is_packed_for_who_takes_it_so(taken: str, is_packed: bool) -> None:
    answer = _serving(Route("/", lambda request: text("words " * 200))).get("/", headers={"Accept-Encoding": taken})
    assert (answer.headers.get("content-encoding") == "gzip") is is_packed
    assert answer.text == "words " * 200


def test_what_is_known_already_is_said_to_vary_as_the_answer_itself() -> None:
    client = _serving(Route("/", lambda request: text("words " * 200, headers={"Vary": "Cookie"})))
    whole = client.get("/")
    known = client.get("/", headers={"If-None-Match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["vary"] == whole.headers["vary"] == "Cookie, Accept-Encoding"


def test_of_a_body_no_more_is_read_than_may_come() -> None:
    def read(request: Request) -> Response:
        try:
            return text(str(len(request.body(10))))
        except TooBigError as error:
            return text(str(error), 413)

    client = _serving(Route("/", read, "POST"))
    assert client.post("/", content=b"x" * 10).text == "10"
    assert client.post("/", content=b"x" * 11).status_code == 413


def test_what_breaks_on_the_way_is_told_as_such_and_the_next_one_is_answered(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchdog.core.logs.log.propagate", True)

    def breaks(request: Request) -> Response:
        raise RuntimeError("not today")

    client = _serving(Route("/", breaks), Route("/api/v1/jobs", breaks), Route("/healthz", _told))
    assert (client.get("/").status_code, client.get("/").text) == (500, "Internal Server Error\n")
    assert client.get("/api/v1/jobs").json() == {"error": "Internal Server Error"}
    assert client.get("/healthz").status_code == 200
    assert "GET /api/v1/jobs was not answered" in caplog.messages


def test_what_was_sent_is_asked_for_by_its_name() -> None:
    def told(request: Request) -> Response:
        return text(f"{request.header('x-parts')!r} {request.has_header('x-parts')} {dict(request.query_params)}")

    client = _serving(Route("/", told))
    assert client.get("/?a=1&a=2&b=", headers={"X-Parts": ""}).text == "'' True {'a': '2', 'b': ''}"
    assert client.get("/").text == "'' False {}"
