"""What a server keeps of jobs and tokens, in SQLite and in PostgreSQL: the same tests for both."""
import json
import signal
import sqlite3
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support import servers
from support.postgres import Postgres
from support.rest import SLOW, Api, check_problem, ids, new_table, rows_of


class Sqlite:
    """A file in the data directory."""

    def __init__(self, folder):
        self.folder = folder / "data"
        self.arguments, self.options = [], ["--data-dir", str(self.folder)]

    def start(self, **settings):
        return servers.start_firesteel(settings, self.folder, http=True, arguments=self.arguments)

    def rewrite(self, job, document):
        """As if the server had died before it noted the end of a job."""
        with sqlite3.connect(self.folder / "service.db") as store:
            store.execute("UPDATE jobs SET state = 'running', ended_at = NULL, document = ? WHERE id = ?", (document, job))

    def document(self, job):
        with sqlite3.connect(self.folder / "service.db") as store:
            return store.execute("SELECT document FROM jobs WHERE id = ?", (job,)).fetchone()[0]


class InPostgres(Sqlite):
    """A database of its own of a PostgreSQL server."""

    def __init__(self, folder, postgres):
        super().__init__(folder)
        self.postgres, self.database = postgres, postgres.create_database(f"jobs_{uuid.uuid4().hex}")
        self.url = postgres.url(self.database)
        self.arguments = self.options = ["--job-store", self.url]

    def rewrite(self, job, document):
        document = document.replace("'", "''")
        sql = f"UPDATE firesteel_service.jobs SET state = 'running', ended_at = NULL, document = '{document}' WHERE id = '{job}'"
        self.postgres.run(sql, self.database)

    def document(self, job):
        done = self.postgres.ask(f"SELECT document FROM firesteel_service.jobs WHERE id = '{job}'", self.database)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def postgres():
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    if request.param == "sqlite":
        return Sqlite(tmp_path)
    return InPostgres(tmp_path, request.getfixturevalue("postgres"))


def killed(server):
    server.process.kill()
    server.process.wait()
    server.close()


def test_jobs_are_listed_and_run_again(store):
    server = store.start()
    try:
        api = Api(server.rest)
        tag = "it's \"a\" tag"
        listed = lambda **query: api.session.get(f"{server.rest}/v1/jobs", params={"tag": tag, **query}, timeout=60).json()
        for number in range(5):
            api.sql(f"SELECT {number}, '\\u0000 ü'", tags=[tag, "other"])
        api.sql("SELECT 'not of the tag'", tags=["a"])
        failed = api.sql("SELECT 1 / 0", tags=[tag])
        page = listed(limit=4)
        rest = listed(limit=4, cursor=page["next_cursor"])
        assert len(page["jobs"]) == 4 and len(rest["jobs"]) == 2 and rest["next_cursor"] is None
        seen = [job["created_at"] for job in page["jobs"] + rest["jobs"]]
        assert seen == sorted(seen, reverse=True) and rest["jobs"][-1]["statement"].startswith("SELECT 0")
        assert [job["id"] for job in listed(state="failed")["jobs"]] == [failed["id"]]
        assert listed(kind="modify")["jobs"] == [] and len(listed(user="anonymous")["jobs"]) == 6
        again = api.ok(f"/v1/jobs/{failed['id']}/retry")
        assert again["state"] == "failed" and again["retry_of"] == failed["id"] and again["id"] != failed["id"] and again["tags"] == [tag]
        succeeded = page["jobs"][-1]["id"]
        api.refused(f"/v1/jobs/{succeeded}/retry", {}, 409, "JOB_NOT_RETRYABLE")
        assert api.get("/v1/jobs?state=nope").json()["field"] == "state"
        api.refused(f"/v1/jobs/{uuid.uuid4()}/cancel", {}, 404, "NOT_FOUND")
        # No database is asked for a text that one of them cannot hold.
        check_problem(api.get("/v1/jobs/%00"), "NOT_FOUND")
        assert api.get("/v1/jobs?tag=%00").json()["jobs"] == [] and api.get("/v1/jobs?kind=%00").json()["jobs"] == []
        assert api.sql("SELECT 1", tags=["\0"])["state"] == "succeeded"
        assert api.session.delete(f"{server.rest}/v1/jobs/{succeeded}", timeout=60).status_code == 204
        assert api.get(f"/v1/jobs/{succeeded}").status_code == 404 and len(listed()["jobs"]) == 6
    finally:
        server.close()


def test_jobs_outlive_a_killed_server(store, tmp_path):
    server = store.start()
    api = Api(server.rest)
    path = new_table(api, tmp_path)
    change = {"path": path, "set": {"salary": "salary + 1"}}
    done = api.job("/v1/delta/update", change, Idempotency_Key="raise")
    first = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "limit": 4, "paginate": True})
    running = api.post("/v1/statements", {"statement": SLOW, "wait": 0}, Idempotency_Key="slow").json()
    killed(server)
    server = store.start()
    try:
        api = Api(server.rest)
        job = api.get(f"/v1/jobs/{running['id']}").json()
        assert job["state"] == "interrupted" and job["error"]["condition"] == "JOB_INTERRUPTED"
        # The same key never makes the change again.
        again = api.post("/v1/delta/update", change, Idempotency_Key="raise")
        assert again.json()["id"] == done["id"] and again.headers["Idempotency-Replayed"] == "true"
        assert len(api.ok("/v1/delta/history", {"path": path})["history"]) == 2
        assert api.post("/v1/statements", {"statement": SLOW, "wait": 0}, Idempotency_Key="slow").json()["id"] == running["id"]
        check_problem(api.post("/v1/statements", {"statement": "SELECT 1"}, Idempotency_Key="slow"), "IDEMPOTENCY_KEY_REUSED")
        rest = api.ok("/v1/datasets/query", {"cursor": first["next_cursor"], "limit": 100})
        assert sorted(ids(first) + ids(rest)) == list(range(10))
        retried = api.post(f"/v1/jobs/{running['id']}/retry", {"wait": 0}).json()
        assert retried["retry_of"] == running["id"]
        assert api.post(f"/v1/jobs/{retried['id']}/cancel").json()["state"] == "cancelled"
    finally:
        server.close()


def test_a_change_that_was_committed_before_the_kill_is_known(store, tmp_path):
    """As if the server died between the commit and the note of it."""
    server = store.start()
    api = Api(server.rest)
    path = new_table(api, tmp_path)
    done = api.job("/v1/delta/delete", {"path": path, "filters": {"id": {"<": 4}}}, Idempotency_Key="k")
    server.close()
    job = json.loads(store.document(done["id"]))
    job.update(state="running", ended_at=None, metrics={})
    store.rewrite(done["id"], json.dumps(job))
    server = store.start()
    try:
        api = Api(server.rest)
        job = api.get(f"/v1/jobs/{done['id']}").json()
        assert job["state"] == "succeeded" and job["metrics"]["version"] == 1 and job["metrics"]["recovered"]
        assert job["metrics"]["rows_deleted"] == 4
    finally:
        server.close()


def test_rows_that_were_appended_before_the_kill_are_known(store, tmp_path):
    """The same of a job whose output is a Delta table: it is not done again, and one that was not done is interrupted."""
    server = store.start()
    api = Api(server.rest)
    path = new_table(api, tmp_path)
    append = {"path": str(tmp_path / "source.parquet"), "sql": "SELECT * FROM data_table WHERE id < 3", "output_path": path, "output_format": "delta", "mode": "append"}
    done = api.job("/v1/datasets/modify", append, Idempotency_Key="k")
    files = api.job("/v1/datasets/modify", append | {"output_path": str(tmp_path / "files"), "output_format": "parquet"})
    server.close()
    for id in (done["id"], files["id"]):
        job = json.loads(store.document(id))
        job.update(state="running", ended_at=None, metrics={})
        store.rewrite(id, json.dumps(job))
    server = store.start()
    try:
        api = Api(server.rest)
        again = api.ok("/v1/datasets/modify", append, Idempotency_Key="k")
        assert again["id"] == done["id"] and again["state"] == "succeeded"
        assert again["metrics"] == {"version": 1, "recovered": True, "output_path": path, "rows_written": 3}
        assert len(rows_of(api, path)) == 13
        # Of files nobody can tell.
        assert api.get(f"/v1/jobs/{files['id']}").json()["state"] == "interrupted"
    finally:
        server.close()


def test_one_key_is_one_job(store):
    """However many ask at once."""
    server = store.start(**{"firesteel.service.maxQueuedPerUser": 50})
    try:
        def ask(number):
            body = {"statement": "SELECT rand() AS r", "wait": 30}
            return requests.post(f"{server.rest}/v1/statements", json=body, headers={"Idempotency-Key": f"key {number % 5}"}, timeout=60).json()

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(ask, range(40)))
        assert len({answer["id"] for answer in answers}) == 5
        assert [answer for answer in answers if "data" not in answer] == []
        assert len({answer["data"][0]["r"] for answer in answers}) == 5
    finally:
        server.close()


def token(store, *arguments):
    command = [str(servers.binary()), "token", *arguments[:1], *store.options, *arguments[1:]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_tokens(store):
    secret = token(store, "create", "--user", "reader", "--scope", "read", "--path", "/data/it's").strip()
    server = store.start()
    try:
        assert Api(server.rest).get("/v1/session").status_code == 401
        session = Api(server.rest, secret).get("/v1/session").json()
        assert session["user"] == "reader" and session["paths"] == ["file:/data/it's"]
        late = token(store, "create", "--user", "late").strip()
        (line,) = [line for line in token(store, "list").splitlines() if "\tlate\t" in line]
        time.sleep(1.2)
        assert Api(server.rest, late).get("/v1/session").status_code == 200
        token(store, "revoke", line.split("\t")[0])
        time.sleep(1.2)
        assert Api(server.rest, late).get("/v1/session").status_code == 401
        assert line + "\trevoked" in token(store, "list").splitlines()
    finally:
        server.close()


def test_old_jobs_go(store):
    server = store.start(**{"firesteel.service.jobRetention": "1s"})
    try:
        api = Api(server.rest)
        old = api.sql("SELECT 1", tags=["x"])["id"]
        # What has expired is looked for twice a minute.
        deadline = time.monotonic() + 60
        while api.get(f"/v1/jobs/{old}").status_code == 200 and time.monotonic() < deadline:
            time.sleep(1)
        assert api.get(f"/v1/jobs/{old}").status_code == 404 and api.get("/v1/jobs?tag=x").json()["jobs"] == []
    finally:
        server.close()


# PostgreSQL alone


def test_one_server_at_a_time(postgres, tmp_path):
    store = InPostgres(tmp_path, postgres)
    server = store.start()
    try:
        api = Api(server.rest)
        running = api.post("/v1/statements", {"statement": SLOW, "wait": 0}).json()["id"]
        command = [str(servers.binary()), "server", "--connect-port", "0", "--http-port", "0", "--data-dir", str(tmp_path / "second"), *store.options]
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert second.returncode != 0 and "another server uses this store of jobs" in second.stderr
        assert api.get(f"/v1/jobs/{running}").json()["state"] == "running"
        assert api.post(f"/v1/jobs/{running}/cancel").json()["state"] == "cancelled"
    finally:
        server.close()


def test_the_database_starts_anew(tmp_path):
    postgres = Postgres()
    store = InPostgres(tmp_path, postgres)
    server = store.start()
    try:
        api = Api(server.rest)
        before = api.sql("SELECT 1 AS a")["id"]
        running = api.post("/v1/statements", {"statement": SLOW, "wait": 0}).json()["id"]
        postgres.stop(signal.SIGINT)
        postgres.start()
        assert api.get(f"/v1/jobs/{running}").json()["state"] == "running"
        assert api.post(f"/v1/jobs/{running}/cancel").json()["state"] == "cancelled"
        assert api.sql("SELECT 2 AS a")["data"] == [{"a": 2}]
        states = {job["id"]: job["state"] for job in api.get("/v1/jobs").json()["jobs"]}
        assert len(states) == 3 and states[before] == "succeeded" and states[running] == "cancelled"
        postgres.stop(signal.SIGKILL)
        time.sleep(1)
        postgres.start()
        assert api.sql("SELECT 3 AS a")["data"] == [{"a": 3}]
    finally:
        server.close()
        postgres.close()


def test_bad_stores(postgres, tmp_path):
    def refused(url):
        command = [str(servers.binary()), "server", "--connect-port", "0", "--http-port", "0", "--job-store", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0 and "not-to-be-seen" not in done.stderr
        return done.stderr

    assert "it is postgresql://USER:PASSWORD@HOST/DATABASE" in refused("mysql://root:not-to-be-seen@localhost/x")
    assert "password authentication failed" in refused(f"postgresql://firesteel:not-to-be-seen@127.0.0.1:{postgres.port}/postgres")
    assert 'database "nowhere" does not exist' in refused(postgres.url("nowhere"))


def test_nobody_sees_where_the_store_is(postgres, tmp_path):
    """The URL may hold a password."""
    store = InPostgres(tmp_path, postgres)
    settings = {"firesteel.service.jobStore": store.url}
    server = servers.start_firesteel(settings, tmp_path / "data", http=True)
    try:
        api = Api(server.rest)
        rows = api.sql("SET -v")["data"] + api.sql("SET")["data"]
        assert rows and store.url not in json.dumps(rows)
        assert store.url not in json.dumps(api.sql("SELECT '${firesteel.service.jobStore}' AS x"))
        assert not (tmp_path / "data" / "service.db").exists()
        assert store.url not in server.tail(100_000)
    finally:
        server.close()
