"""The served description against what is served: schemathesis asks whatever it allows, and some that it does not."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.support.amounts import amount
from tests.support.site import ACTS, TOKEN, Site, client_of, serving
from watchdog.web.published_state import PublishedState

QUICK = settings(
    max_examples=amount(few=8, many=60),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
OPERATIONS = 13

# what a match or a duration may be is more than a schema can say; and whoever looks by wrong tokens whether a token is
# asked for is soon heard no more, with the right one neither
EXCLUDED = [positive_data_acceptance, ignored_auth]


def ask_everything(site: Site, headers: dict[str, str]) -> dict[str, set[int]]:
    """Ask each operation for what its description allows, and for what it does not; the statuses by address."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.app)
    statuses: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        ask = _asker(statuses.setdefault(operation.path, set()), headers)
        for mode in schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE:
            # where there is nothing to ask, nothing can be asked wrongly
            with contextlib.suppress(Unsatisfiable):
                QUICK(given(case=operation.as_strategy(generation_mode=mode))(ask))()
    return statuses


def _asker(seen: set[int], headers: dict[str, str]) -> Callable[[schemathesis.Case[Any]], None]:
    def ask(case: schemathesis.Case[Any]) -> None:
        asked = {**headers, "Accept-Encoding": "identity"}  # without a server its client unpacks nothing
        answer = case.call_and_validate(headers=asked, excluded_checks=EXCLUDED)
        seen.add(answer.status_code)

    return ask


@pytest.mark.deep
@pytest.mark.filterwarnings("ignore")  # of schemathesis' own
def test_no_answer_is_a_server_error_or_undocumented(tmp_path: Path) -> None:
    with serving(tmp_path, recovery=ACTS) as site:
        statuses = ask_everything(site, {"Authorization": f"Bearer {TOKEN}"})
    assert len(statuses) == OPERATIONS
    assert 200 in statuses["/api/v1/jobs"]
    assert {422, 415} & statuses["/api/v1/silences"]
    assert all(429 not in seen for seen in statuses.values())


@pytest.mark.deep
@pytest.mark.filterwarnings("ignore")
def test_without_the_token_every_change_that_is_described_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, recovery=ACTS) as site:
        before = site.said()
        statuses = ask_everything(site, {"Authorization": "Bearer wrong"})
        assert site.said() == before
    needing = [
        path for path in statuses if path.endswith(("acknowledge", "silences", "end", "approve", "revive", "audit"))
    ]
    assert len(needing) == 7
    # whoever comes with many wrong tokens is not heard for a while
    assert all(statuses[path] <= {401, 405, 429} for path in needing)


def test_before_the_first_look_every_answer_is_still_described(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        site.published_state._posting = PublishedState(site.config.poll).posting
        described = site.client.get("/api/v1/openapi.json").json()["paths"]
        for path in ("/api/v1/jobs", "/api/v1/findings", "/api/v1/incidents"):
            assert client_of(site.app).get(path).status_code == 503
            assert "503" in described[path]["get"]["responses"]
