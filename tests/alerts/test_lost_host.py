"""What a host had posted before it was lost, at a real Alertmanager with the committed inhibitions."""

import json
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.alertmanager import Manager
from tests.support.command import PATIENCE, until
from tests.support.stack import routes_for_a_test
from tests.support.told import Inbox
from watchdog.core.instants import iso


def _post(manager: Manager, alerts: Sequence[dict[str, Any]]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{manager.url}/api/v2/alerts", json.dumps(alerts).encode(), headers)
    urllib.request.urlopen(request, timeout=PATIENCE).close()


def _resolved(hooks: Inbox) -> set[str]:
    alerts = [alert for _, body in list(hooks.posts) for alert in body["alerts"]]
    return {alert["labels"]["instance"] for alert in alerts if alert["status"] == "resolved"}


def test_what_a_lost_host_had_posted_ends_without_a_word_that_it_is_over(tmp_path: Path) -> None:
    """Whoever is there and says nothing more is told as resolved: the other host shows that it was time."""
    hooks = Inbox()
    manager = Manager(tmp_path, hooks)
    (tmp_path / "alertmanager.yml").write_text(routes_for_a_test(hooks.port))
    manager.start()
    try:
        failed = {"alertname": "SchedulerJobFailed", "kind": "failed", "source": "agent", "job": "briefing"}
        told = [{"labels": {**failed, "instance": name}} for name in ("lost", "there")]
        _post(manager, told)
        until(lambda: len(hooks.posts) >= len(told), "both are told")
        gone = {"labels": {"alertname": "WatchdogAbsent", "instance": "lost", "severity": "critical"}}
        _post(manager, [gone])
        for seconds, alert in enumerate(told, 1):
            _post(manager, [{**alert, "endsAt": iso(datetime.now(UTC) + timedelta(seconds=seconds))}])
        until(lambda: _resolved(hooks), "the end of the one that is there is told")
        assert _resolved(hooks) == {"there"}
    finally:
        manager.stop()
        hooks.close()
