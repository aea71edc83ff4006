"""The fleet lab in small: real servers, an outage of all agents, a killed Alertmanager, a lost host."""

from pathlib import Path

import pytest

from bench import fleet
from tests.support.command import needs


@pytest.mark.slow
def test_an_outage_of_all_agents_is_told_once_whichever_alertmanager_dies_and_a_lost_host_is_not_resolved(
    tmp_path: Path,
) -> None:
    needs("prometheus")
    needs("prometheus-alertmanager")
    size = fleet.Size(hosts=3, sources_each=2, jobs_each=4, lost=1)
    seen = fleet.measure(print, size, tmp_path / "lab")
    once = dict.fromkeys(fleet.OWNERS, 1)
    assert (seen.team, seen.owners) == (1, once)
    assert seen.team_after_kill == 1
    assert (seen.team_killed_before, seen.owners_killed_before) == (1, once)
    assert len(seen.lost_told) == size.lost
    assert seen.lost_resolved == 0
