"""Many clients read and change one Delta table while their server is killed, twice: nothing is lost, repeated or wrong.

A short run; FIRESTEEL_FAULT_CLIENTS=200 FIRESTEEL_FAULT_SECONDS=600 make it the long one.
"""
import os
import random
import signal
import threading
import time

import deltalake
import pytest
from support import servers

import firesteel

CLIENTS = int(os.environ.get("FIRESTEEL_FAULT_CLIENTS", "24"))
SECONDS = float(os.environ.get("FIRESTEEL_FAULT_SECONDS", "25"))
KILLS = 2
# What asks to try again: nobody answered, or not now.
AGAIN = (firesteel.ServerUnreachableError, firesteel.UnavailableError, firesteel.TooManyRequestsError)


class Service:
    """A server that is killed and started again, on the same data; its address changes."""

    def __init__(self, folder):
        self.folder = folder
        self.start()

    def start(self):
        self.server = firesteel.EmbeddedServer(data_dir=self.folder)
        self.client = firesteel.Client(self.server.rest, retries=0, timeout=120)

    def kill(self):
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.guard.wait(20)
        self.server.stop()
        self.start()


class Worker(threading.Thread):
    """Counts up the number in its own row, and looks at it in between. Nobody else changes that row."""

    def __init__(self, number, service, path, until):
        super().__init__(daemon=True)
        self.number, self.service, self.path, self.until = number, service, path, until
        self.random = random.Random(number)
        self.done = self.reads = self.replays = 0
        self.failure = None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.random.choice((self.change, self.read, self.read, self.compute))()
        except BaseException as error:
            self.failure = error

    def until_it_works(self, call):
        while True:
            try:
                return call(self.service.client)
            except AGAIN:
                time.sleep(0.1)

    def change(self):
        key, attempt = f"{self.number}-{self.done}", 0
        while True:
            try:
                job = self.until_it_works(
                    lambda client: client.delta(self.path).update(
                        {"n": "n + 1"}, f"client = {self.number}", idempotency_key=f"{key}-{attempt}"
                    )
                )
                assert job.metrics["version"] is not None
                break
            except (firesteel.JobInterruptedError, firesteel.ConflictError):
                # The server says that it did not happen: a new attempt, under a new key.
                attempt += 1
                self.replays += 1
        self.done += 1

    def read(self):
        data = self.until_it_works(
            lambda client: client.dataset(self.path, format="delta").query(["n"], {"client": self.number}).data
        )
        assert data == [{"n": self.done}], (self.number, data, self.done)
        self.reads += 1

    def compute(self):
        top = self.random.randrange(1, 1000)
        asked = {"top": top}
        statement = self.until_it_works(lambda client: self.sum_up_to(client, asked))
        assert statement == top * (top - 1) // 2

    def sum_up_to(self, client, asked):
        try:
            return client.sql("SELECT coalesce(sum(id), 0) AS total FROM range(:top)", asked).fetch()[0]["total"]
        except (firesteel.JobInterruptedError, firesteel.NotFoundError, firesteel.ExpiredError) as error:
            # The rows of a statement do not outlive the server that had them.
            raise firesteel.UnavailableError(str(error)) from error


@pytest.mark.timeout(SECONDS + 300)
def test_changes_of_many_clients_outlive_killed_servers(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRESTEEL_BINARY", str(servers.binary()))
    service, path = Service(tmp_path / "data"), str(tmp_path / "table")
    try:
        service.client.sql(f"CREATE TABLE delta.`{path}` (client INT, n BIGINT) USING delta PARTITIONED BY (client)")
        service.client.sql(f"INSERT INTO delta.`{path}` SELECT CAST(id AS INT), 0L FROM range({CLIENTS})")
        begun = deltalake.DeltaTable(path).version()
        until = time.monotonic() + SECONDS
        workers = [Worker(number, service, path, until) for number in range(CLIENTS)]
        for worker in workers:
            worker.start()
        for _ in range(KILLS):
            time.sleep(SECONDS / (KILLS + 1))
            service.kill()
        for worker in workers:
            worker.join(SECONDS + 120)
    finally:
        service.server.stop()
    assert [repr(worker.failure) for worker in workers if worker.failure] == []
    assert not any(worker.is_alive() for worker in workers)
    table = deltalake.DeltaTable(path)
    counted = {row["client"]: row["n"] for row in table.to_pyarrow_table().to_pylist()}
    assert counted == {worker.number: worker.done for worker in workers}
    # Each change is one version, and there is no other.
    assert table.version() - begun == sum(worker.done for worker in workers)
    done, reads, vain = (sum(getattr(worker, name) for worker in workers) for name in ("done", "reads", "replays"))
    print(f"{done} changes, {reads} reads, {vain} attempts in vain")
    assert done > CLIENTS and reads > CLIENTS
