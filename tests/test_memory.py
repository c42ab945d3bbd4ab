"""The server gives memory back: after a burst of sessions, and when what it held for a session goes."""
import sys
import threading
import time

import pytest
from support import servers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MEGABYTE = 2**20
SESSIONS = 8
ROUNDS = 6
SETTLES_SECONDS = 20


@pytest.fixture
def server():
    server = servers.start_firesteel()
    yield server
    server.close()


def data_bytes(server):
    """Resident memory without the program's own code, which comes in as it is first used."""
    return server.memory_bytes("RssAnon")


def settles_below(server, limit):
    deadline = time.monotonic() + SETTLES_SECONDS
    while data_bytes(server) > limit and time.monotonic() < deadline:
        time.sleep(0.2)
    return data_bytes(server) <= limit


def work(remote, folder):
    session = servers.connect(remote)
    session.addTag("burst")
    for number in range(ROUNDS):
        interrupt = threading.Timer(0.1, lambda: session.interruptTag("burst"))
        if number % 3 == 2:
            interrupt.start()
        try:
            frame = session.range(300_000).selectExpr("id", "id % 1000 AS k", "cast(id AS string) AS s")
            frame.groupBy("k").count().orderBy("k").collect()
            frame.toArrow()
            frame.limit(1000).write.mode("overwrite").partitionBy("k").parquet(f"{folder}/{number}")
        except Exception as error:
            assert "OPERATION_CANCELED" in str(error)
        interrupt.cancel()
    session.stop()


def burst(server, folder):
    threads = [threading.Thread(target=work, args=[server.remote, folder / str(n)]) for n in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_after_a_burst_of_sessions(server, tmp_path):
    session = servers.connect(server.remote)
    session.range(1000).count()
    before = data_bytes(server)
    burst(server, tmp_path / "first")
    assert settles_below(server, before + 60 * MEGABYTE)
    after_one = data_bytes(server)
    burst(server, tmp_path / "second")
    assert settles_below(server, after_one + 20 * MEGABYTE)


def test_a_persisted_table_goes_with_its_session(server):
    session = servers.connect(server.remote)
    session.range(1000).count()
    before = data_bytes(server)
    table = session.range(20_000_000).persist()
    assert table.count() == 20_000_000
    held = data_bytes(server)
    assert held > before + 100 * MEGABYTE
    # No job follows that could lead to a look at the memory.
    time.sleep(3)
    session.stop()
    assert settles_below(server, before + 50 * MEGABYTE)
