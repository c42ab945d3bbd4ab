"""The package `firesteel` with a real server: the one it starts itself, and its clients' every call."""
import asyncio
import datetime
import os
import pathlib
import subprocess
import sys
import time
from decimal import Decimal

import duckdb
import pytest
from support import servers

import firesteel

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECRET = "tell-nobody"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    os.environ.setdefault("FIRESTEEL_BINARY", str(servers.binary()))
    server = firesteel.EmbeddedServer({"spark.sql.session.timeZone": "UTC"}, tmp_path_factory.mktemp("data"))
    yield server
    server.stop()


@pytest.fixture
def client(server):
    with firesteel.Client(server.rest) as client:
        yield client


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """10,000 users in a Parquet file that Firesteel has not written."""
    path = tmp_path_factory.mktemp("users") / "users.parquet"
    duckdb.sql(
        "SELECT i::BIGINT AS id, 'user ' || i AS name, (20 + i % 50)::INT AS age, (i % 7 * 1000.25)::DECIMAL(10,2) AS salary, "
        "DATE '2026-01-01' + (i % 28)::INT AS day FROM range(10000) t(i)"
    ).write_parquet(str(path))
    return str(path)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end while it is looked at
        return False


def gone(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_an_embedded_server_ends_with_stop(tmp_path):
    os.environ.setdefault("FIRESTEEL_BINARY", str(servers.binary()))
    server = firesteel.EmbeddedServer({"spark.hadoop.fs.s3a.secret.key": SECRET})
    assert server.is_running and alive(server.pid)
    command = pathlib.Path(f"/proc/{server.pid}/cmdline").read_text()
    assert SECRET not in command and SECRET not in repr(server)
    assert not any(SECRET in path.read_text(errors="replace") for path in server.folder.rglob("*") if path.is_file())
    with firesteel.Client(server.rest) as client:
        assert client.is_healthy()
    folder = server.folder
    server.stop()
    assert not server.is_running and gone(server.pid) and not folder.exists()
    server.stop()
    with firesteel.Client(server.rest, retries=0) as client:
        assert not client.is_healthy()
        with pytest.raises(firesteel.ServerUnreachableError):
            client.session()


@pytest.mark.parametrize("end", ["raise SystemExit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_an_embedded_server_ends_with_its_owner(end):
    program = f"import firesteel\ns = firesteel.EmbeddedServer()\nprint(s.pid, flush=True)\n{end}\n"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python" / "src"), "FIRESTEEL_BINARY": str(servers.binary())}
    done = subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, timeout=100)
    assert gone(int(done.stdout))


def test_a_session_whose_server_is_gone_is_made_anew():
    program = """if True:
        import os, signal, time
        from firesteel import conf, get_spark, runtime, stop_spark
        conf.set("spark.sql.shuffle.partitions", 3)
        first = get_spark()
        first.sql("CREATE TABLE t AS SELECT 1 AS a")
        server = runtime._server
        os.kill(server.pid, signal.SIGKILL)
        server.guard.wait(20)
        second = get_spark()
        assert second is not first and second is get_spark() and first.is_stopped
        assert second.range(5).count() == 5 and second.conf.get("spark.sql.shuffle.partitions") == "3"
        assert not server.folder.exists()
        assert runtime.client().sql("SELECT 1 AS a").fetch() == [{"a": 1}]
        second.stop()
        assert get_spark().range(3).count() == 3
        os.kill(runtime._server.pid, signal.SIGKILL)
        runtime._server.guard.wait(20)
        stop_spark()
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python" / "src"), "FIRESTEEL_BINARY": str(servers.binary())}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_program():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python" / "src"), "FIRESTEEL_BINARY": str(servers.binary())}
    done = subprocess.run([sys.executable, "-m", "firesteel", "--help"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "server" in done.stdout


def test_the_server_says_what_it_is(client):
    assert client.is_healthy()
    assert {"version", "user", "limits"} <= set(client.session())


def test_statements(client):
    given = {"a": 41, "d": Decimal("1.50"), "day": datetime.date(2026, 1, 31)}
    done = client.sql("SELECT :a + 1 AS b, :d AS d, :day AS day", given)
    assert done.state.state == "succeeded" and done.row_count == 1 and not done.truncated
    assert [(column.name, column.type) for column in done.columns] == [("b", "int"), ("d", "decimal(3,2)"), ("day", "date")]
    assert done.fetch() == [{"b": 42, "d": Decimal("1.50"), "day": "2026-01-31"}]
    assert done.to_arrow().to_pylist() == [{"b": 42, "d": Decimal("1.50"), "day": datetime.date(2026, 1, 31)}]
    assert "<td>42</td>" in done._repr_html_()
    again = client.statement(done.id)
    assert again.fetch() == done.fetch() and again.id == done.id
    done.forget()
    with pytest.raises(firesteel.NotFoundError):
        client.statement(done.id)


def test_statements_of_many_rows(client):
    done = client.sql("SELECT id, id * 0.5D AS half, CAST(id AS STRING) AS text FROM range(200000)")
    assert done.row_count == 200_000 and sum(chunk.row_count for chunk in done.state.chunks) == 200_000
    total = 0
    for number, row in enumerate(done.rows()):
        assert row["id"] == number
        total += row["half"]
    assert total == sum(range(200_000)) / 2
    table = done.to_arrow()
    assert table.num_rows == 200_000 and table.schema.names == ["id", "half", "text"]
    assert done.to_pandas()["half"].sum() == total and done.to_polars()["id"].max() == 199_999
    cut = client.sql("SELECT * FROM range(200000)", row_limit=10)
    assert cut.truncated and len(cut.fetch()) == 10


def test_streams_of_statements(client):
    rows = 0
    for batch in client.sql_batches("SELECT id FROM range(:n)", {"n": 1_000_000}):
        rows += batch.num_rows
    assert rows == 1_000_000
    for batch in client.sql_batches("SELECT id FROM range(100000000000)"):
        assert batch.num_rows
        break
    with pytest.raises(firesteel.ServerUnreachableError):
        list(client.sql_batches("SELECT assert_true(id < 900000) FROM range(1000000)"))


def test_statements_that_fail(client):
    with pytest.raises(firesteel.NotFoundError) as caught:
        client.sql("SELECT * FROM no_such_table")
    assert caught.value.condition == "TABLE_OR_VIEW_NOT_FOUND" and caught.value.sqlstate == "42P01"
    with pytest.raises(firesteel.InvalidRequestError) as caught:
        client.sql("SELEC 1")
    assert caught.value.condition == "PARSE_SYNTAX_ERROR"
    with pytest.raises(firesteel.UnprocessableError) as caught:
        client.sql("SELECT 1 / id FROM range(3)")
    assert caught.value.condition == "DIVIDE_BY_ZERO" and caught.value.job_id
    with pytest.raises(firesteel.InvalidRequestError) as caught:
        client.sql("SELECT 1", no_such_field=1)
    assert caught.value.condition == "INVALID_REQUEST"


def test_a_statement_that_takes_long(client):
    begun = client.sql("SELECT count(*) FROM range(1000000000000) WHERE hash(id) = 1", wait=False)
    assert begun.state.state in ("queued", "running")
    with pytest.raises(firesteel.WaitTimeoutError):
        begun.wait(0.3)
    assert begun.id in [job.id for job in client.jobs(kind="statement", limit=2) if not job.state.ended]
    assert begun.cancel().id == begun.id
    with pytest.raises(firesteel.JobCancelledError):
        begun.wait(20)
    events = [state.state for state in begun.events()]
    assert events[-1] == "cancelled"


def test_one_key_one_statement(client):
    key = f"key-{time.time_ns()}"
    first = client.sql("SELECT 1 AS a", idempotency_key=key)
    assert client.sql("SELECT 1 AS a", idempotency_key=key).id == first.id
    with pytest.raises(firesteel.UnprocessableError) as caught:
        client.sql("SELECT 2 AS a", idempotency_key=key)
    assert caught.value.condition == "IDEMPOTENCY_KEY_REUSED"


def test_datasets(client, users):
    data = client.dataset(users)
    rows = data.query(["id", "name"], {"age": {">": 60}, "id": {"<": 100}}, ["-id"], 3, include_total=True)
    assert [row["id"] for row in rows] == [99, 98, 97] and set(rows[0]) == {"id", "name"}
    assert rows.truncated and rows.stats["total_rows"] == 18 and "3 rows of 18" in rows._repr_html_()
    days = [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]
    assert data.count() == 10_000 and data.count({"day": {"between": days}}) == 716
    assert [(column.name, column.type) for column in data.schema()][:3] == [("id", "bigint"), ("name", "string"), ("age", "int")]
    sample = data.sample(rows=20, seed=1)
    assert len(sample) == 20 and sample.data == data.sample(rows=20, seed=1).data
    summary = {column["name"]: column for column in data.summary(["id", "age"])["columns"]}
    assert summary["age"]["min"] == 20 and summary["age"]["max"] == 69 and summary["id"]["nulls"] == 0
    with pytest.raises(firesteel.InvalidRequestError) as caught:
        data.query(filters={"age": {"no such operator": 1}})
    assert caught.value.field and caught.value.field.startswith("filters.age")
    with pytest.raises(firesteel.NotFoundError):
        client.dataset(users + "/none").count()


def test_pages(client, users):
    pages = list(client.dataset(users).pages(["id"], {"age": 33}, ["id"], 30))
    assert [len(page) for page in pages] == [30] * 6 + [20]
    assert [row["id"] for page in pages for row in page] == list(range(13, 10_000, 50))


def test_frames_of_datasets(client, users):
    data = client.dataset(users)
    assert data.to_arrow().num_rows == 10_000
    frame = data.to_pandas(columns=["id", "salary"], filters={"id": {"<": 3}}, order_by=["id"])
    assert list(frame["salary"]) == [Decimal("0.00"), Decimal("1000.25"), Decimal("2000.50")]
    assert data.to_polars(filters={"id": [7, 8]}, order_by=["id"])["name"].to_list() == ["user 7", "user 8"]
    assert sum(batch.num_rows for batch in data.batches(["id"])) == 10_000


def test_changes_are_jobs(client, users, tmp_path):
    states = []
    done = client.dataset(users).modify(
        "UPDATE data_table SET salary = salary * 2 WHERE age = 20", str(tmp_path / "out"), progress=states.append, tags=["nightly"]
    )
    assert done.metrics["rows_written"] == 10_000 and done.metrics["rows_updated"] == 200
    assert states[-1].state == "succeeded" and done.state.tags == ("nightly",)
    assert [job.id for job in client.jobs(tag="nightly")] == [done.id] == [client.job(done.id).id]
    before, after = (duckdb.sql(f"SELECT sum(salary) FROM '{path}'").fetchone()[0] for path in (users, f"{tmp_path}/out/*.parquet"))
    extra = duckdb.sql(f"SELECT sum(salary) FROM '{users}' WHERE age = 20").fetchone()[0]
    assert after == before + extra
    with pytest.raises(firesteel.ConflictError):
        done.retry()


def test_delta_tables(client, tmp_path):
    path = str(tmp_path / "t")
    client.sql(f"CREATE TABLE delta.`{path}` USING delta AS SELECT id, 'x' AS name FROM range(10)")
    table = client.delta(path)
    assert table.update({"name": "'y'"}, filters={"id": {">=": 8}}).metrics == {"rows_updated": 2, "version": 1}
    assert table.delete("id = 0").metrics["rows_deleted"] == 1
    merged = table.merge([{"id": 1, "name": "z"}, {"id": 99, "name": "new"}], merge_key="id")
    assert (merged.metrics["rows_updated"], merged.metrics["rows_inserted"], merged.metrics["version"]) == (1, 1, 3)
    data = client.dataset(path, format="delta")
    assert data.count() == 10 and client.dataset(path, format="delta", version=0).count() == 10
    assert client.dataset(path, format="delta", version=2).count() == 9
    assert [version["operation"] for version in table.history(3)] == ["MERGE", "DELETE", "UPDATE"]
    with pytest.raises(firesteel.InvalidRequestError):
        table.delete()
    table.restore(version=0)
    assert {row["name"] for row in data.query()} == {"x"}
    table.optimize()
    assert "files_deleted" in table.vacuum().metrics


def test_tables_of_the_catalog(client):
    client.sql("CREATE TABLE python_names USING parquet AS SELECT 1 AS a")
    assert "python_names" in [table["name"] for table in client.tables(pattern="python*")]
    assert [column["name"] for column in client.table("python_names")["columns"]] == ["a"]
    assert client.dataset(table="python_names").query().data == [{"a": 1}]
    client.sql("DROP TABLE python_names")


def test_the_async_client(server, users):
    async def use():
        async with firesteel.AsyncClient(server.rest) as client:
            answers = await asyncio.gather(*[client.sql("SELECT :n AS n", {"n": n}) for n in range(20)])
            assert [(await answer.fetch())[0]["n"] for answer in answers] == list(range(20))
            data = client.dataset(users)
            assert await data.count({"age": 20}) == 200
            pages = [len(page) async for page in data.pages(["id"], {"age": 33}, limit=150)]
            assert pages == [150, 50]
            assert (await data.to_arrow(columns=["id"])).num_rows == 10_000
            rows = 0
            async for batch in client.sql_batches("SELECT * FROM range(300000)"):
                rows += batch.num_rows
            assert rows == 300_000
            with pytest.raises(firesteel.NotFoundError):
                await client.sql("SELECT * FROM no_such_table")
            with pytest.raises(firesteel.ServerUnreachableError):
                async for _ in client.sql_batches("SELECT assert_true(id < 900000) FROM range(1000000)"):
                    pass
            async for _ in client.sql_batches("SELECT id FROM range(100000000000)"):
                break
            begun = await client.sql("SELECT count(*) FROM range(1000000000000) WHERE hash(id) = 1", wait=False)
            await begun.cancel()
            with pytest.raises(firesteel.JobCancelledError):
                await begun.wait(20)
            states = [state.state async for state in begun.events()]
            assert states[-1] == "cancelled"

    asyncio.run(use())


def test_a_token(tmp_path):
    server = firesteel.EmbeddedServer({"spark.connect.authenticate.token": SECRET})
    try:
        with firesteel.Client(server.rest, token="wrong") as client, pytest.raises(firesteel.UnauthenticatedError):
            client.session()
        with firesteel.Client(server.rest, token=SECRET) as client:
            assert client.session()["user"] == "admin"
    finally:
        server.stop()
