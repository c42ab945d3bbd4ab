"""Many clients read and change tables while their server is killed, twice: nothing is lost, repeated or wrong.

A short run; `make bench-clients` is the long one.
"""
import pytest
from support import servers, soak

CLIENTS, SECONDS = 24, 25


@pytest.mark.timeout(SECONDS + 300)
def test_changes_of_many_clients_outlive_killed_servers(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRESTEEL_BINARY", str(servers.binary()))
    run = soak.Soak(tmp_path, CLIENTS, SECONDS)
    faults = run.run()
    print(run.counts.report(run.service.kills, faults))
    assert faults == []
    assert run.service.kills == 2 and run.counts.changes > CLIENTS and run.counts.reads > CLIENTS
