"""A cluster of two real Alertmanagers as one channel: each is posted everything, and people are told once."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.alertmanager import Cluster, cluster, manager, starts, watchdog
from tests.support.command import command, free_port, until
from tests.support.told import Agent, Inbox, configure, inbox, query, service
from watchdog.config.file import Owner, OwnerMatch
from watchdog.notify import alertmanager
from watchdog.notify.alert_poster import AlertPoster
from watchdog.state.store import Store

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
BOTH = frozenset({"job-0", "job-1"})


def nobody() -> str:
    """An address at which nobody answers."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def now() -> datetime:
    """The instant at which a test's clock starts: Alertmanager judges ends by the real one."""
    return datetime.now(UTC)


def both_fail(agent: Agent) -> datetime:
    """Now: of what began longer ago than it waits for others Alertmanager tells the first that it takes in at once."""
    now = datetime.now(UTC)
    agent.fail(0, 1, at=f"{now:%Y-%m-%d %H:%M:%S}")
    return now


def told_of(run: Cluster) -> list[tuple[str, frozenset[str]]]:
    """What came, once something did."""
    until(run.told, "it is told")
    return run.told()


def test_all_members_are_posted_everything_and_people_are_told_once(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    with cluster(tmp_path) as run, watchdog(agent.path, run.urls) as dog:
        dog.turn(both_fail(agent))
        assert [set(member.alerts("agent")) for member in run.members] == [BOTH, BOTH]
        told_of(run)
        run.have_decided()
        assert run.told() == [("firing", BOTH)]
        agent.mend(0)
        dog.turn(datetime.now(UTC))
        assert [alert["labels"]["job"] for alert in dog.remembered().values()] == ["job-1"], "each has taken the end"
        until(run.ended, "the end is told")
        assert {alert["labels"]["job"] for alert in run.ended()} == {"job-0"}
        assert dog.counts == {"sent": 4}


@pytest.mark.parametrize("killed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_one_is_killed_before_anything_is_told_and_people_are_told_once(tmp_path: Path, killed: int) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    with cluster(tmp_path) as run, watchdog(agent.path, run.urls) as dog:
        dog.turn(both_fail(agent))
        run.members[killed].kill()
        told_of(run)
        run.have_decided(run.members[1 - killed])
        assert run.told() == [("firing", BOTH)]


@pytest.mark.slow
def test_the_one_that_has_told_is_killed_and_nobody_is_told_again_nor_when_it_is_back(
    tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    agent.fail(0, 1)
    with cluster(tmp_path) as run, watchdog(agent.path, run.urls) as dog:
        dog.turn(now - 5 * MINUTE)
        told_of(run)
        run.have_decided()
        speaker, other = sorted(run.members, key=lambda one: -one.metric("alertmanager_notifications_total"))
        speaker.kill()
        dog.turn(now - 4 * MINUTE)
        run.have_decided(other)
        agent.mend(0)
        dog.turn(now - 3 * MINUTE)
        assert len(dog.remembered()) == len(BOTH), "the end is kept for the one that is down"
        until(lambda: dict(dog.counts)["member_failed"] >= 2, "it is known of the one that is down")
        speaker.start()
        run.meet()
        dog.turn(now - 2 * MINUTE)
        run.have_decided()
        assert [set(member.alerts("agent")) for member in run.members] == [{"job-1"}, {"job-1"}]
        # Alertmanager does not wait with what began long ago: the first of the two may have been told alone
        assert run.told()[0][0] == "firing"
        assert [status for status, jobs in run.told() if jobs == BOTH] == ["firing"], "once, by whichever"
        assert "failed" not in dog.counts


def test_one_member_down_is_no_failure_and_all_down_is_one(tmp_path: Path, now: datetime) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0)
    with inbox() as up, watchdog(agent.path, [nobody(), f"http://127.0.0.1:{up.port}"]) as dog:
        dog.turn(now)
        assert dog.counts == {"sent": 1, "member_failed": 1}
        up.status = 500
        dog.turn(now + MINUTE)
        assert dog.counts == {"sent": 1, "member_failed": 1, "failed": 2}
        up.status = 200
        dog.turn(now + MINUTE + 15 * SECOND)
        assert dog.counts == {"sent": 2, "member_failed": 2, "failed": 2}


def test_a_member_that_hangs_delays_no_other(tmp_path: Path, now: datetime) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    agent.fail(0)
    with inbox() as up, inbox() as hung, watchdog(agent.path, [address(hung), address(up)]) as dog:
        hung.answer.clear()
        dog.begin(now)
        until(lambda: len(dog.posted(up)) == 1 and dog.begin(now), "the other is posted")
        agent.fail(1)
        until(lambda: dog.begin(now + SECOND) and BOTH in dog.posted(up), "what is new as well")
        until(lambda: len(dog.posted(hung)) > 0, "the one that hangs has been asked")
        assert len(dog.posted(hung)) == 1
        hung.answer.set()


def address(box: Inbox) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{box.port}"


def test_an_end_is_owed_to_a_member_that_is_down_for_as_long_as_it_could_hold_it_for_true(
    tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0)
    with inbox() as up, inbox() as other, watchdog(agent.path, [address(up), address(other)]) as dog:
        dog.turn(now)
        agent.mend(0)
        other.status = 503
        dog.turn(now + SECOND)
        dog.turn(now + MINUTE + SECOND)
        assert ["over" in alert for alert in dog.remembered().values()] == [True]
        other.status = 200
        dog.turn(now + 2 * MINUTE)
        assert dog.remembered() == {}
        assert {body[0]["endsAt"] for _, body in other.posts[-1:]} == {body[0]["endsAt"] for _, body in up.posts[-1:]}
        assert len(up.posts) == 2, "who has taken an end is not told it again"
        agent.fail(0)
        dog.turn(now + 3 * MINUTE)
        agent.mend(0)
        other.status = 503
        ended = now + 4 * MINUTE
        dog.turn(ended)
        dog.turn(ended + alertmanager.LASTS - SECOND)
        assert len(dog.remembered()) == 1
        agent.fail(0)
        dog.turn(ended + alertmanager.LASTS)
        agent.mend(0)
        dog.turn(ended + alertmanager.LASTS + SECOND)
        dog.turn(ended + 2 * alertmanager.LASTS + MINUTE)
        assert dog.remembered() == {}, "by then it has ended there by itself"


def test_what_fires_again_while_a_member_is_down_has_begun_anew(tmp_path: Path, now: datetime) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0, at="2026-06-11 09:00:00")
    with inbox() as up, watchdog(agent.path, [address(up), nobody()]) as dog:
        dog.turn(now)
        agent.mend(0)
        dog.turn(now + SECOND)
        agent.fail(0, at="2026-06-11 10:00:00")
        dog.turn(now + 2 * SECOND)
        first, _, again = [body[0] for _, body in up.posts]
        assert starts(again) - starts(first) == timedelta(hours=1)


def test_the_same_source_and_job_on_two_hosts_are_two_alerts_and_one_host_ends_only_its_own(
    tmp_path: Path, now: datetime
) -> None:
    """Hosts that are set up alike call their sources and jobs alike."""
    with manager(tmp_path) as server:
        agents = []
        for host in ("garden", "office"):
            (tmp_path / host).mkdir()
            agents.append(Agent(tmp_path / host / "phantom.db", 1))
            agents[-1].fail(0)
        with (
            watchdog(agents[0].path, server.url, instance="garden") as garden,
            watchdog(agents[1].path, server.url, instance="office") as office,
        ):
            garden.turn(now - MINUTE)
            office.turn(now - MINUTE)
            agents[0].mend(0)
            garden.turn(now)
            assert [alert["labels"]["instance"] for alert in server.alerts("agent").values()] == ["office"]


def test_each_alert_bears_the_owner_of_its_own_job_though_one_channel_leads_to_all(
    tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", 3)
    agent.fail(0, 1, 2)
    owners = [
        Owner(name="nights", match=OwnerMatch(job="job-1"), notify=("alerts",)),
        Owner(name="days", match=OwnerMatch(job="job-0"), notify=("alerts",)),
        Owner(notify=("alerts",)),
    ]
    with inbox() as up, watchdog(agent.path, address(up), owners=owners) as dog:
        dog.turn(now)
        ((_, body),) = up.posts
    shown = {alert["labels"]["job"]: alert["labels"]["owner"] for alert in body}
    assert shown == {"job-0": "days", "job-1": "nights", "job-2": "alerts"}


def test_another_list_of_members_is_another_poster_and_the_same_list_goes_on(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "state.db")) as store:

        def poster(*urls: str) -> AlertPoster:
            return AlertPoster("alerts", urls, store, 10 * SECOND, lambda channel, outcome: None)

        assert poster("http://a", "http://b").is_like(poster("http://a", "http://b"))
        assert not poster("http://a", "http://b").is_like(poster("http://a"))


def test_the_service_names_the_member_that_is_down_without_what_may_be_secret(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0)
    port = free_port()
    with inbox() as up:
        down = f"http://watchdog:hunter2hunter2@127.0.0.1:{port}/s3cretpath"
        configure(tmp_path, {"alerts": json.dumps({"alertmanager": [down, address(up)]})})
        with service(tmp_path):
            log = tmp_path / "service.log"
            until(lambda: "a member of the cluster" in log.read_text(), "it is said")
            until(lambda: up.posts, "the other is posted")
        said = log.read_text()
    assert f"127.0.0.1:{port} cannot be reached" in said
    assert "hunter2" not in said
    assert "s3cretpath" not in said
    assert query(tmp_path, "SELECT 1 FROM alerts")
    assert not [row for row in query(tmp_path, "SELECT document FROM alerts") if "hunter2" in row["document"]]


def test_who_may_post_is_told_as_basic_authentication(tmp_path: Path, now: datetime) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0)
    with inbox() as up, watchdog(agent.path, f"http://watch:d%40g@127.0.0.1:{up.port}") as dog:
        dog.turn(now)
        assert dog.counts == {"sent": 1}
        assert up.authorizations == ["Basic d2F0Y2g6ZEBn"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[]", "channels.alerts.alertmanager: name at least one address, like http://127.0.0.1:9093"),
        ("[http://a:9093, ftp://b]", "channels.alerts.alertmanager[1]: must be an http:// or https:// address"),
        ("[http://a:9093, http://a:9093/]", "channels.alerts.alertmanager: the address at [1] is there already"),
        ("{a: b}", "channels.alerts.alertmanager"),
        ("null", "channels.alerts: give one of url, url_file and alertmanager"),
    ],
)
def test_a_list_of_members_that_cannot_be_used_is_refused_at_its_place(tmp_path: Path, value: str, said: str) -> None:
    config = configure(tmp_path, {"alerts": f"{{alertmanager: {value}}}"})
    done = command("validate", "-c", config)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def test_each_member_is_tried_by_the_test_of_channels(tmp_path: Path) -> None:
    with inbox() as up:
        config = configure(tmp_path, {"alerts": json.dumps({"alertmanager": [address(up), nobody()]})})
        done = command("notify-test", "-c", config)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "alerts[0]" in text
    assert "alerts[1]" in text
    assert "cannot be reached" in text
