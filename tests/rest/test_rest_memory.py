"""The memory that one user's statements may hold."""
import subprocess
import threading

import pytest
from support import servers
from support.rest import Api

# Rows that no spilling helps: all in one value.
GREEDY = "SELECT size(collect_list(id + 0.5D)) AS n FROM range(30000000)"
# More than a share, which a sort may put on disk.
LARGE_SORT = """SELECT max(n) AS n, count(*) AS c FROM (
    SELECT row_number() OVER (PARTITION BY id % 1000 ORDER BY text) AS n
    FROM (SELECT id, repeat('x', 50) || id AS text FROM range(2000000)))"""


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    data = tmp_path_factory.mktemp("memory") / "data"
    tokens = {}
    for name in ("greedy", "modest"):
        command = [str(servers.binary()), "token", "create", "--data-dir", str(data), "--user", name, "--scope", "write"]
        tokens[name] = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    settings = {"spark.driver.memory": "1g", "firesteel.memory.perUser": "12%", "spark.sql.session.timeZone": "UTC"}
    server = servers.start_firesteel(settings, data, http=True)
    yield server, {name: Api(server.rest, token) for name, token in tokens.items()}
    server.close()


def test_a_user_who_asks_for_too_much_is_told_so(users):
    _, apis = users
    job = apis["greedy"].sql(GREEDY, wait=60)
    assert job["state"] == "failed", job
    assert job["error"]["condition"] == "UNABLE_TO_ACQUIRE_MEMORY" and job["error"]["status"] == 503
    detail = job["error"]["detail"]
    assert 'the user "greedy"' in detail and "firesteel.memory.perUser" in detail and "73.7 MB" in detail, detail
    # What failed holds nothing any more.
    assert apis["greedy"].sql("SELECT size(collect_list(id)) AS n FROM range(1000000)")["data"] == [{"n": 1000000}]


def test_what_can_spill_does(users):
    _, apis = users
    job = apis["greedy"].sql(LARGE_SORT, wait=60)
    assert job["state"] == "succeeded", job
    assert job["data"] == [{"n": 2000, "c": 2_000_000}]


def test_others_have_theirs(users):
    """While one user wants all there is, the other's statements run."""
    _, apis = users
    over = threading.Event()
    failed = []

    def want_all():
        while not over.is_set():
            failed.append(apis["greedy"].sql(GREEDY, wait=60)["error"]["condition"])

    thread = threading.Thread(target=want_all)
    thread.start()
    try:
        for _ in range(5):
            answer = apis["modest"].sql("SELECT size(collect_list(id)) AS n FROM range(2000000)", wait=60)
            assert answer.get("data") == [{"n": 2000000}], answer["error"]
    finally:
        over.set()
        thread.join()
    assert set(failed) == {"UNABLE_TO_ACQUIRE_MEMORY"}


def test_datasets_count_too(users, tmp_path):
    _, apis = users
    path = str(tmp_path / "rows")
    sql = "SELECT id, repeat('x', 100) || id AS text FROM range(2000000)"
    assert apis["modest"].sql(f"CREATE TABLE many USING parquet LOCATION '{path}' AS {sql}", wait=60)["state"] == "succeeded"
    response = apis["greedy"].post("/v1/datasets/query", {"path": path, "order_by": ["text"], "limit": 3, "columns": ["id"]})
    assert response.status_code == 200 and response.json()["data"] == [{"id": 0}, {"id": 1}, {"id": 10}], response.text


def test_spark_connect_too(users):
    server, _ = users
    session = servers.connect(f"{server.remote}/;user_id=greedy")
    with pytest.raises(Exception, match="UNABLE_TO_ACQUIRE_MEMORY|share of the memory"):
        session.sql(GREEDY).collect()


def test_wrong_shares():
    for share in ("much", "0%", "150%", "1m"):
        command = [str(servers.binary()), "server", "--connect-port", "0", "--conf", f"firesteel.memory.perUser={share}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "firesteel.memory.perUser" in done.stderr, done.stderr
