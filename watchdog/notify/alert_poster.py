"""Keeps Alertmanager up to date: one server, or all members of a cluster.

Members of a cluster tell each other what they have sent, and not what fires: so each is posted everything, as
Prometheus does, and they send it once. None waits for another, and one that is down is no failure while another takes
what is posted.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from watchdog.core import faults
from watchdog.core.children import Child, Result
from watchdog.core.logs import log
from watchdog.notify import alertmanager
from watchdog.notify.alertmanager import Alert
from watchdog.notify.child import MODULE as SENDER
from watchdog.state.store import Store

Count = Callable[[str, str], None]
"""Told of each attempt's channel and outcome."""

RETRY = timedelta(seconds=15)
"""After which one that did not take what was posted is tried again."""


class AlertPoster:
    """Hands over the whole picture each time, so nothing is queued.

    What is over is remembered until every member has taken its end, or has ended it by itself where one took it.
    """

    def __init__(self, channel: str, urls: Sequence[str], store: Store, deadline: timedelta, count: Count) -> None:
        self.channel = channel
        self._like = (tuple(urls), deadline)
        self._store = store
        self._count = count
        self._members = [_Member(channel, url, deadline) for url in urls]

    def is_like(self, other: "AlertPoster") -> bool:
        """Whether it does what the other would."""
        return self._like == other._like

    def turn(self, firing: Mapping[str, Alert], now: datetime) -> bool:
        """Post if it is time, or if something has begun or ended; whether a post is under way."""
        alerts: Mapping[str, Alert] | None = None
        for member in self._members:
            if not member.is_busy and self._is_time(member, firing, now):
                alerts = self._written(firing, now) if alerts is None else alerts
                member.begin(alerts, firing, now)
            if member.step(now):
                self._settle(member, now)
        self._judge()
        return any(member.is_busy for member in self._members)

    def _is_time(self, member: "_Member", firing: Mapping[str, Alert], now: datetime) -> bool:
        if member.next is None:
            return bool(firing) or bool(self._store.alerts(self.channel))
        is_put_back = member.next - now > alertmanager.EVERY
        return now >= member.next or is_put_back or frozenset(firing) != member.last

    def _written(self, firing: Mapping[str, Alert], now: datetime) -> Mapping[str, Alert]:
        """What is to be posted, written down before: so an end is told even after a crash."""
        ended = set().union(*(member.ended for member in self._members))
        alerts = alertmanager.posting(self._store.alerts(self.channel), firing, now, ended)
        done = self._done(alerts, now)
        with self._store.transaction():
            self._store.save_alerts(self.channel, {**alerts, **alertmanager.kept(done)})
        faults.point("alerts-written")
        return {print_: alert for print_, alert in alerts.items() if print_ not in done}

    def _settle(self, member: "_Member", now: datetime) -> None:
        """A member has taken it all."""
        faults.point("alerts-before-settle")
        known = self._store.alerts(self.channel)
        member.took(known)
        with self._store.transaction():
            self._store.save_alerts(self.channel, alertmanager.kept(self._done(known, now)))
        faults.point("alerts-settled")
        self._count(self.channel, "sent")

    def _done(self, alerts: Mapping[str, Alert], now: datetime) -> dict[str, Alert]:
        """Those of which nobody has to be told the end any more."""
        over = {print_: alert for print_, alert in alerts.items() if "over" in alert}
        takers = {print_: sum(print_ in member.ended for member in self._members) for print_ in over}
        return {
            print_: alert
            for print_, alert in over.items()
            if takers[print_] == len(self._members) or (takers[print_] and alertmanager.has_ended_by_itself(alert, now))
        }

    def _judge(self) -> None:
        """Say of those that failed what it means, once it is known of the others."""
        for member in self._members:
            others = [other for other in self._members if other is not member]
            is_partial = any(other.is_well and not other.is_busy for other in others)
            if member.failure is not None and (is_partial or not any(other.is_busy for other in others)):
                self._count(self.channel, "member_failed" if is_partial else "failed")
                member.complain(is_partial=is_partial)

    def close(self) -> None:
        """End what is under way."""
        for member in self._members:
            member.close()


class _Member:
    """One Alertmanager, and what it is being told.

    `next`: when it is posted again; `last`: what fired then; `ended`: alerts of which it has taken the end; `failure`:
    of its last post, until somebody has said it.
    """

    def __init__(self, channel: str, url: str, deadline: timedelta) -> None:
        self.next: datetime | None = None
        self.last: frozenset[str] = frozenset()
        self.ended: set[str] = set()
        self.is_well = False
        self.failure: Result | None = None
        self._facts = {"action": "notify_failed", "channel": channel}
        self._url = url.rstrip("/") + alertmanager.PATH
        self._deadline = deadline
        self._child: Child | None = None
        self._bodies: list[Sequence[Alert]] = []
        self._body: Sequence[Alert] = ()
        self._over: frozenset[str] = frozenset()
        self._is_under_way = False
        self._is_missed = False

    @property
    def is_busy(self) -> bool:
        """Whether a post is under way."""
        return self._is_under_way

    def begin(self, alerts: Mapping[str, Alert], firing: Collection[str], now: datetime) -> None:
        """Post these; what it knows to be over is left out."""
        self.ended.difference_update(firing)
        alerts = {print_: alert for print_, alert in alerts.items() if print_ not in self.ended}
        self._over = frozenset(print_ for print_, alert in alerts.items() if "over" in alert)
        self.last, self.next = frozenset(firing), now + alertmanager.EVERY
        self._bodies = list(alertmanager.bodies(alerts))
        self._is_under_way = bool(self._bodies)

    def step(self, now: datetime) -> bool:
        """Go on with the batches, the next one when the one before was taken; whether it has just taken the last."""
        if self._child is not None:
            outcome = self._child.outcome()
            if outcome is None:
                return False
            self._child = None
            if not outcome.ok and not self._is_split(outcome):
                self._fail(outcome, now)
                return False
        if self._bodies:
            self._body = self._bodies.pop(0)
            self._child = Child(SENDER, {"do": "post", "url": self._url, "body": self._body}, self._deadline)
            faults.point("alerts-handed-over")
            return False
        is_over, self._is_under_way = self._is_under_way, False
        return is_over

    def took(self, known: Collection[str]) -> None:
        """It has all; of what is `known` no longer there is nothing to remember."""
        self.ended = (self.ended | self._over) & set(known)
        self.is_well, self.failure = True, None
        if self._is_missed:
            log.info(f"alerts are taken again by {self._place}", extra=self._facts | {"action": "notify_sent"})
        self._is_missed = False

    def _is_split(self, outcome: Result) -> bool:
        """Whether the batch was refused for what stands in it. Then its halves are tried, so that one bad alert keeps
        back itself alone."""
        if not 400 <= int(outcome.said.get("status") or 0) < 500:
            return False
        half = len(self._body) // 2
        if half:
            self._bodies[:0] = [self._body[:half], self._body[half:]]
        else:
            log.error(f"an alert was refused: {outcome.error}", extra=self._facts | {"action": "notify_refused"})
        return True

    def _fail(self, outcome: Result, now: datetime) -> None:
        self.next = now + RETRY
        self._bodies, self._is_under_way = [], False
        self.is_well, self.failure = False, outcome

    def complain(self, *, is_partial: bool) -> None:
        """Say that it failed; where another takes what is posted, once."""
        error, self.failure = self.failure.error if self.failure else "", None
        if not is_partial:
            log.warning(f"alerts not taken: {error}", extra=self._facts)
        elif not self._is_missed:
            log.warning(f"alerts not taken by a member of the cluster, another takes them: {error}", extra=self._facts)
        self._is_missed = is_partial

    @property
    def _place(self) -> str:
        """Its host and port; who may post may stand in the rest of the address."""
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def close(self) -> None:
        """End what is under way."""
        if self._child is not None:
            self._child.kill()
