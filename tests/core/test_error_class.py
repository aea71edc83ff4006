"""An error text is classed by what it says, never by a number that only happens to stand in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.error_class import LONGEST, classify
from watchdog.core.model import ErrorClass

TEXTS = [
    (text.replace("\\n", "\n"), ErrorClass(kind))
    for line in (Path(__file__).parents[1] / "data" / "error_texts.tsv").read_text().splitlines()
    if not line.startswith("#")
    for text, _, kind in [line.rpartition("\t")]
]
UNKNOWN = [text for text, kind in TEXTS if kind is ErrorClass.UNKNOWN]


@pytest.mark.parametrize(("text", "kind"), TEXTS)
def test_a_text_that_was_seen_is_classed_rightly(text: str, kind: ErrorClass) -> None:
    assert classify(text) is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Error: 529 overloaded_error: Overloaded", "transient"),
        ("Error: 429 rate_limit_error: This request would exceed your organization's rate limit", "transient"),
        ("Error: 500 api_error: Internal server error", "transient"),
        ("503 Service Unavailable", "transient"),
        ("Request timed out", "transient"),
        ("Run exceeded the deadline: AbortError", "transient"),
        ("connect ECONNREFUSED 10.0.0.1:443", "transient"),
        ("getaddrinfo EAI_AGAIN api.example.org", "transient"),
        ("TypeError: fetch failed", "transient"),
        ("socket hang up", "transient"),
        ("Error: 401 authentication_error: invalid x-api-key", "permanent"),
        ("403 Forbidden", "permanent"),
        ("Your credit balance is too low to access the API", "permanent"),
        ("400 invalid_request_error: prompt is too long", "permanent"),
        ("OAuth token has expired", "permanent"),
        ("404 not_found_error: model: claude-9", "permanent"),
        ("insufficient_quota", "permanent"),
        ("TypeError: undefined is not a function", "unknown"),
        ("the model said no", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_error_is_classed_by_whether_trying_again_can_help(text: str | None, kind: str) -> None:
    assert classify(text) is ErrorClass(kind)


def test_what_needs_a_person_wins_over_what_passes() -> None:
    assert classify("429 Too Many Requests: quota_exceeded, see billing") is ErrorClass.PERMANENT


@given(st.text(max_size=500))
def test_any_text_has_a_class(text: str) -> None:
    assert isinstance(classify(text), ErrorClass)


codes = st.integers(100, 599).map(str)
paddings = st.one_of(
    codes.map("(request id req_{})".format),
    codes.map("[job-{}]".format),
    codes.map("#{}".format),
    codes.map("at 10.0.0.1:{}".format),
    codes.map("on port {}".format),
    codes.map("took {} ms".format),
    codes.map("after {}s".format),
    codes.map("for {} seconds".format),
    codes.map("line {}".format),
    codes.map("index.js:{}:7".format),
    codes.map("wrote {} rows,".format),
    codes.map("{} of 600 steps,".format),
    codes.map("pid {}".format),
    codes.map("https://example.org/v1/{}/x".format),
    codes.map("v5.0.{}".format),
    codes.map("exited with code {}".format),
    st.uuids().map(str),
    st.uuids().map("trace={}".format),
)


@given(text=st.sampled_from(UNKNOWN), before=st.lists(paddings, max_size=3), after=st.lists(paddings, max_size=3))
def test_ids_ports_durations_and_counts_never_make_a_class(text: str, before: list[str], after: list[str]) -> None:
    assert classify(" ".join([*before, text, *after])) is ErrorClass.UNKNOWN


@given(case=st.sampled_from([case for case in TEXTS if case[1] is not ErrorClass.UNKNOWN]), after=st.lists(paddings))
def test_ids_ports_durations_and_counts_never_change_a_class(case: tuple[str, ErrorClass], after: list[str]) -> None:
    text, kind = case
    assert classify("\n".join([text, *after])) is kind


@given(case=st.sampled_from(TEXTS), name=st.sampled_from(["morning-brief", "agent main", "Error", "job 429", "step 3"]))
def test_a_name_before_it_never_changes_a_class(case: tuple[str, ErrorClass], name: str) -> None:
    text, kind = case
    assert classify(f"{name}: {text}") is kind


@pytest.mark.parametrize("piece", [" ", "a", "invalid ", "model ", "error: ", "status code ", "retry (", "verbindung "])
def test_a_very_long_text_is_looked_at_in_part(piece: str) -> None:
    assert classify(piece * LONGEST + "\n503 Service Unavailable") is not ErrorClass.PERMANENT
    assert classify(piece * 10 * LONGEST) is ErrorClass.UNKNOWN
