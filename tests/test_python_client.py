"""The package `firesteel`: its parts alone, with an HTTP transport of the test, then the clients against a real server."""
import asyncio
import datetime
import io
import json
import math
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import time
import venv
from decimal import Decimal

import duckdb
import httpx
import pyarrow
import pytest
from support import servers

import firesteel
from firesteel import calls, credentials, embedded, errors, html, progress, values
from firesteel.session_conf import SessionConf
from firesteel.documents import Column, JobState

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECRET = "tell-nobody"


# Alone


def job(state="succeeded", **more):
    return {"id": "j1", "kind": "modify", "state": state, **more}


def problem(status, condition="SOME_CONDITION", **more):
    body = {"title": condition, "status": status, "detail": "It is so.", "condition": condition, **more}
    return httpx.Response(status, content=json.dumps(body), headers={"content-type": "application/problem+json"})


class Told:
    """A transport that answers what the test says, and remembers what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def answer(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def client(self, **options):
        return firesteel.Client("http://server", http_transport=httpx.MockTransport(self.answer), **options)

    def body(self, index=0):
        return json.loads(self.requests[index].content)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_DELAY_SECONDS", 0.001)


def test_types():
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", os.devnull]
    done = subprocess.run(command, cwd=ROOT / "python", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_sync_client_is_made_of_the_async_one():
    subprocess.run([sys.executable, str(ROOT / "python" / "unasync.py"), "--check"], check=True)


@pytest.mark.parametrize(
    "status, kind",
    [(400, "InvalidRequest"), (401, "Unauthenticated"), (403, "PermissionDenied"), (404, "NotFound"), (408, "RequestTimeout"),
     (409, "Conflict"), (410, "Expired"), (413, "RequestTooLarge"), (418, "InvalidRequest"), (422, "Unprocessable"),
     (500, "Server"), (501, "Unsupported")],
)  # fmt: skip
def test_problems_become_exceptions(status, kind):
    told = Told(problem(status, sqlstate="42P01", parameters={"a": "b"}, field="filters.age", query_context=[{"line": 1}]))
    with pytest.raises(firesteel.FiresteelError) as caught:
        told.client().session()
    error = caught.value
    assert type(error) is getattr(firesteel, kind + "Error")
    assert (error.status, error.condition, error.sqlstate) == (status, "SOME_CONDITION", "42P01")
    assert error.getCondition() == "SOME_CONDITION" and error.getSqlState() == "42P01"
    assert error.getMessageParameters() == {"a": "b"} and error.query_context == [{"line": 1}]
    assert str(error) == "[SOME_CONDITION] It is so. (field: filters.age)"
    assert len(told.requests) == 1


def test_answers_that_are_no_problem_documents():
    told = Told(httpx.Response(502, text="<html>bad gateway</html>"))
    with pytest.raises(firesteel.UnavailableError, match="502 from http://server/v1/session: <html>bad gateway"):
        told.client(retries=0).session()


def test_what_may_be_sent_again_is():
    told = Told(problem(503), httpx.ConnectError("refused"), httpx.ReadError("gone"), {"version": "1"})
    assert told.client().session() == {"version": "1"}
    assert len(told.requests) == 4
    told = Told(*[problem(429) for _ in range(4)])
    with pytest.raises(firesteel.TooManyRequestsError):
        told.client(retries=3).session()
    told = Told(httpx.ConnectError("refused"))
    with pytest.raises(firesteel.ServerUnreachableError, match="http://server: ConnectError: refused"):
        told.client(retries=0).session()


def test_a_change_that_is_sent_again_has_the_same_key():
    told = Told(httpx.ReadError("gone"), problem(503), job())
    told.client().delta("s3://b/t").delete("a = 1")
    keys = {request.headers["idempotency-key"] for request in told.requests}
    assert len(told.requests) == 3 and len(keys) == 1 and len(keys.pop()) == 36
    told = Told(job(), job())
    table = told.client().delta("s3://b/t")
    table.delete("a = 1", idempotency_key="mine")
    table.delete("a = 1")
    assert [r.headers["idempotency-key"] == "mine" for r in told.requests] == [True, False]


def test_a_stream_of_a_statement_is_not_sent_again():
    told = Told(httpx.ReadError("gone"))
    with pytest.raises(firesteel.ServerUnreachableError):
        list(told.client().sql_batches("INSERT INTO t VALUES (1)"))
    assert len(told.requests) == 1


def test_retry_after_is_kept(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    limited = problem(429)
    limited.headers["retry-after"] = "3"
    told = Told(limited, {})
    told.client().session()
    assert slept == [3.0]


def test_requests_hold_what_was_said_and_nothing_else():
    told = Told({"data": []}, job(), job())
    client = told.client(credentials=firesteel.UserAWSCredentials("K", SECRET, "eu-west-1"))
    client.dataset("s3://b/k").query(filters={"age": {">": 25}, "day": {"between": (datetime.date(2026, 1, 31), None)}})
    assert told.requests[0].url.path == "/v1/datasets/query"
    assert told.body() == {
        "path": "s3://b/k",
        "credentials": {"aws_access_key_id": "K", "aws_secret_access_key": SECRET, "aws_region": "eu-west-1"},
        "filters": {"age": {">": 25}, "day": {"between": ["2026-01-31", None]}},
    }
    client.delta(table="db.t", credentials=firesteel.Profile("lake")).update({"a": "a + 1"}, "b = 2", tags=["x"], timeout=5)
    assert told.body(1) == {
        "table": "db.t", "set": {"a": "a + 1"}, "condition": "b = 2", "wait": 60.0, "timeout": 5, "tags": ["x"],
        "credentials": {"profile": "lake"},
    }  # fmt: skip
    client.dataset(["a", "b"]).merge_files("c", deduplicate_on=["id"], wait=False)
    assert told.body(2)["paths"] == ["a", "b"] and told.body(2)["wait"] == 0
    with pytest.raises(TypeError, match="object cannot be sent as JSON"):
        client.dataset("x").count({"a": object()})


def test_names_in_paths_are_one_segment():
    told = Told({"columns": []}, {})
    client = told.client()
    client.table("a/../b?c")
    assert told.requests[0].url.raw_path == b"/v1/tables/a%2F..%2Fb%3Fc"


def test_the_end_of_a_job():
    error = {"status": 422, "condition": "DIVIDE_BY_ZERO", "detail": "Zero.", "sqlstate": "22012"}
    for state, kind in (("failed", "Unprocessable"), ("cancelled", "JobCancelled"), ("interrupted", "JobInterrupted")):
        told = Told(job("running"), job(state, error=error if state == "failed" else None))
        with pytest.raises(getattr(firesteel, kind + "Error")) as caught:
            told.client().dataset("x").modify("SELECT 1 FROM data_table", "y")
        assert caught.value.job_id == "j1"
        assert told.requests[1].url.path == "/v1/jobs/j1" and "wait" in told.requests[1].url.params
    told = Told(job("running"), *[job("running") for _ in range(100)])
    with pytest.raises(firesteel.WaitTimeoutError):
        told.client().dataset("x").modify("SELECT 1 FROM data_table", "y", wait=0.01)


def test_progress_is_told():
    seen = []
    told = Told(job("running"), job("running", progress={"fraction": 0.5, "unknown": 1}), job(metrics={"rows_written": 3}))
    done = told.client().dataset("x").modify("SELECT 1 FROM data_table", "y", progress=seen.append)
    assert [state.state for state in seen] == ["running", "running", "succeeded"]
    assert told.body()["wait"] == 0 and seen[1].progress.fraction == 0.5
    assert done.metrics == {"rows_written": 3} and repr(done) == "<Job j1: modify succeeded>"
    assert "<td>3</td>" in done._repr_html_()


def test_the_bar():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def state(name, fraction):
        told = {"fraction": fraction, "rows_read": 1_234_567, "tasks_total": 4, "tasks_completed": 2}
        return JobState.of(job(name, progress=told))

    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        bar = progress.Bar(out)
        bar(state("running", 0.5))
        bar(state("succeeded", None))
    shown = terminal.getvalue().split("\r")
    assert shown[1] == "[" + "#" * 15 + " " * 15 + "]  50% running · 2/4 tasks · 1.2M rows read"
    assert shown[2].startswith("[" + "#" * 30 + "] 100% succeeded") and shown[2].endswith("\n")
    # A file gets the end only.
    assert file.getvalue().count("\n") == 1 and "\r" not in file.getvalue()
    assert [progress.count(n) for n in (0, 999, 1000, 2_500_000, 10**16)] == ["0", "999", "1.0k", "2.5M", "10000.0T"]


def test_events():
    lines = 'event: progress\ndata: {"id":"j1","kind":"modify",\ndata: "state":"running"}\n\n: beat\n\n'
    lines += f"event: end\ndata: {json.dumps(job())}\n\n"
    told = Told(job("running"), httpx.Response(200, text=lines))
    states = [state.state for state in told.client().job("j1").events()]
    assert states == ["running", "succeeded"]


def test_rows_of_all_types():
    document = {
        "columns": [
            {"name": "d", "type": "decimal(20,2)"}, {"name": "f", "type": "double"}, {"name": "day", "type": "date"},
            {"name": "t", "type": "timestamp"}, {"name": "n", "type": "timestamp_ntz"}, {"name": "b", "type": "binary"},
            {"name": "big", "type": "bigint"}, {"name": "s", "type": "struct<a:int>"}, {"name": "v", "type": "void"},
        ],
        "truncated": True, "stats": {"total_rows": 7},
    }  # fmt: skip
    row = (
        '{"d": 123456789012345678.91, "f": "NaN", "day": "2026-01-31", "t": "2026-01-31T10:20:30.123456Z", '
        '"n": "2026-01-31T10:20:30", "b": "AAE=", "big": 9223372036854775807, "s": {"a": 1}, "v": null}'
    )
    text = json.dumps(document)[:-1] + ', "data": [' + row + ', {"d": 5, "f": 0.1}]}'
    rows = firesteel.Rows(values.loads(text.encode()))
    assert rows[0]["d"] == Decimal("123456789012345678.91") and rows[1]["d"] == Decimal(5)
    assert type(rows[1]["f"]) is float and rows[0]["big"] == 2**63 - 1
    table = rows.to_arrow()
    first = table.to_pylist()[0]
    assert table.schema.field("d").type == pyarrow.decimal128(20, 2)
    assert math.isnan(first["f"]) and first["day"] == datetime.date(2026, 1, 31) and first["b"] == b"\0\1"
    assert first["t"] == datetime.datetime(2026, 1, 31, 10, 20, 30, 123456, datetime.timezone.utc)
    assert first["n"] == datetime.datetime(2026, 1, 31, 10, 20, 30) and first["s"] == {"a": 1}
    assert list(rows.to_pandas()["big"])[:1] == [2**63 - 1]
    assert rows.to_polars()["day"].to_list() == [datetime.date(2026, 1, 31), None]
    assert repr(rows).startswith("<Rows: 2 rows of 7; d decimal(20,2), f double")
    assert len(rows) == 2 and [each["d"] for each in rows] == [row["d"] for row in rows[:]]
    assert firesteel.Rows({"columns": [{"name": "a", "type": "int"}], "data": []}).to_arrow().num_rows == 0


def test_parameters_have_types():
    utc = datetime.timezone.utc
    given = {
        "i": 1, "s": "x", "n": None, "day": datetime.date(2026, 1, 31), "t": datetime.datetime(2026, 1, 31, 1, tzinfo=utc),
        "l": datetime.datetime(2026, 1, 31, 1), "d": Decimal("12.30"), "e": Decimal("1E+3"), "z": Decimal("0.001"), "b": b"\0",
        "own": {"type": "ARRAY<INT>", "value": [1]},
    }  # fmt: skip
    sent = {name: values.parameter(name, value) for name, value in given.items()}
    assert sent["i"] == {"name": "i", "value": 1} and sent["n"] == {"name": "n", "value": None}
    assert sent["day"] == {"name": "day", "type": "DATE", "value": "2026-01-31"}
    assert sent["t"]["type"] == "TIMESTAMP" and sent["t"]["value"] == "2026-01-31T01:00:00+00:00"
    assert sent["l"]["type"] == "TIMESTAMP_NTZ" and sent["b"] == {"name": "b", "type": "BINARY", "value": "AA=="}
    assert [sent[n]["type"] for n in "dez"] == ["DECIMAL(4,2)", "DECIMAL(4,0)", "DECIMAL(3,3)"]
    assert sent["own"] == {"name": "own", "type": "ARRAY<INT>", "value": [1]}
    with pytest.raises(ValueError, match="NaN is no DECIMAL"):
        values.parameter("x", Decimal("NaN"))


def test_html_is_escaped():
    shown = html.table(["<a>"], [{"<a>": "<script>"}, {"<a>": None}, {"<a>": "x" * 500}], "3 rows & more")
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "&lt;a&gt;" in shown and "rows &amp; more" in shown
    assert "<i>NULL</i>" in shown and "x" * 201 not in shown
    assert html.table(["a"], [{"a": 1}] * 100, "").count("<tr>") == 1 + html.SHOWN_ROWS


def test_secrets_are_not_shown():
    creds = firesteel.UserAWSCredentials("KEYID", SECRET, "us-east-1", "session-" + SECRET)
    conf = SessionConf().setAll(creds.spark_conf()).set("fs.azure.account.key.x.dfs.core.windows.net", SECRET)
    told = Told()
    client = told.client(credentials=creds, token="token-" + SECRET)
    shown = [creds, conf, conf.toDebugString(), client, client.dataset("p"), client.delta("p"), client.transport]
    assert not any(SECRET in repr(each) or "KEYID" in repr(each) for each in shown)
    assert "us-east-1" in repr(creds) and creds == pickle.loads(pickle.dumps(creds))
    told.answers = [problem(403)]
    with pytest.raises(firesteel.PermissionDeniedError) as caught:
        client.dataset("p").count()
    assert SECRET not in str(caught.value) + repr(caught.value.__dict__)
    with pytest.raises(errors.ConfigurationError) as refused:
        embedded.properties({"fs.s3a.secret.key": SECRET + "\nspark.x=y"})
    assert SECRET not in str(refused.value)
    for wrong in ("", None):
        with pytest.raises(ValueError, match="aws_secret_access_key"):
            firesteel.UserAWSCredentials("K", wrong)


def test_the_environment_of_credentials(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "K")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    creds = firesteel.UserAWSCredentials.from_environment()
    assert creds.to_request() == {"aws_access_key_id": "K", "aws_secret_access_key": SECRET, "aws_region": "eu-west-1"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    assert creds.to_request()["endpoint_url"] == "http://minio:9000"
    assert creds.spark_conf()["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert credentials.to_request({"profile": "x"}) == {"profile": "x"} and credentials.to_request(None) is None


def test_settings():
    conf = SessionConf().set("a", 1).set("b", True).setAppName("x").setMaster("local[2]").setIfMissing("a", 2)
    assert conf.get("a") == "1" and conf.get("b") == "true" and conf.get("none") is None and conf.get("none", "d") == "d"
    assert dict(conf.getAll())["spark.app.name"] == "x" and conf.contains("spark.master")
    assert not conf.unset("a").contains("a") and conf.clear().getAll() == []
    for wrong in (("", 1), (None, 1), ("a", None)):
        with pytest.raises(TypeError):
            conf.set(*wrong)

    def refuse(key, value):
        raise ValueError(key)

    conf.live = refuse
    with pytest.raises(ValueError):
        conf.set("c", 1)
    assert not conf.contains("c")


def test_addresses(monkeypatch):
    from firesteel import runtime

    for name in ("FIRESTEEL_REMOTE", "SPARK_REMOTE", "FIRESTEEL_URL", "FIRESTEEL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(firesteel.ConfigurationError, match="FIRESTEEL_URL"):
        firesteel.Client()
    with pytest.raises(firesteel.ConfigurationError, match="http://"):
        firesteel.Client("server:8080")
    monkeypatch.setenv("SPARK_REMOTE", "local")
    with pytest.raises(firesteel.ConfigurationError, match="sc://"):
        runtime.remote()
    monkeypatch.setenv("SPARK_REMOTE", "sc://other:1")
    monkeypatch.setenv("FIRESTEEL_REMOTE", "sc://host:15002")
    assert runtime.remote() == "sc://host:15002"
    monkeypatch.setenv("FIRESTEEL_TOKEN", "t")
    assert runtime.remote() == "sc://host:15002/;token=t"
    with pytest.raises(firesteel.ConfigurationError, match="FIRESTEEL_URL"):
        runtime.client()
    monkeypatch.delenv("FIRESTEEL_REMOTE")
    monkeypatch.delenv("SPARK_REMOTE")
    monkeypatch.setenv("FIRESTEEL_URL", "http://host:8080/")
    with pytest.raises(firesteel.ConfigurationError, match="FIRESTEEL_REMOTE"):
        runtime.remote()
    assert runtime.client().transport.url == "http://host:8080" and runtime.client() is runtime.client()
    assert runtime.client().transport.http.headers["authorization"] == "Bearer t"
    runtime.stop()


def test_places_on_s3():
    from firesteel.services.common import location

    assert location("b", "/a/b.parquet") == "s3://b/a/b.parquet"
    for bucket, key in (("", "k"), ("b/c", "k"), ("b", ""), ("b", "/")):
        with pytest.raises(ValueError):
            location(bucket, key)


def test_the_binary(monkeypatch, tmp_path):
    monkeypatch.setenv("FIRESTEEL_BINARY", str(tmp_path))
    with pytest.raises(firesteel.ConfigurationError, match="no program"):
        embedded.binary()
    monkeypatch.delenv("FIRESTEEL_BINARY")
    program = tmp_path / "firesteel"
    program.write_text("#!/bin/sh\necho starting; echo the reason >&2; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded.sysconfig, "get_path", lambda *_: str(tmp_path / "none"))
    monkeypatch.setattr(embedded.sys, "executable", str(tmp_path / "none" / "python"))
    assert embedded.binary() == str(program)
    monkeypatch.undo()
    monkeypatch.setenv("FIRESTEEL_BINARY", str(program))
    with pytest.raises(firesteel.ServerStartError, match="(?s)ended with 3.*the reason"):
        firesteel.EmbeddedServer()


def test_the_wheel_brings_the_binary(tmp_path):
    """The package as it is, with a program of two lines for the server, which takes half an hour to build."""
    shutil.copytree(ROOT / "python", tmp_path / "python", ignore=shutil.ignore_patterns("__pycache__"))
    crate = tmp_path / "crates" / "firesteel"
    (crate / "src").mkdir(parents=True)
    (crate / "src" / "main.rs").write_text('fn main() { println!("the program of the wheel"); }\n')
    (crate / "Cargo.toml").write_text('[package]\nname = "firesteel"\nversion = "0.1.0"\nedition = "2024"\n')
    (tmp_path / "Cargo.toml").write_text('[workspace]\nmembers = ["crates/*"]\n[profile.dist]\ninherits = "release"\n')
    environment = {**os.environ, "CARGO_TARGET_DIR": str(tmp_path / "target")}
    subprocess.run(["cargo", "generate-lockfile", "--offline"], cwd=tmp_path, env=environment, check=True)
    build = [sys.executable, "-m", "maturin", "build", "--quiet", "--out", str(tmp_path)]
    subprocess.run(build, cwd=tmp_path / "python", env=environment, check=True)
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("firesteel-0.1.0-py3-none-*.whl")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)], check=True)
    # What it depends on comes from the tests' own environment.
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(path for path in sys.path if "site-packages" in path)}
    program = "import firesteel, os; print(firesteel.__file__, os.path.exists(os.path.dirname(firesteel.__file__) + '/py.typed'))"
    done = subprocess.run([python, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path / "venv")) and done.stdout.endswith("True\n")
    done = subprocess.run([python, "-m", "firesteel", "server"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "the program of the wheel\n"


def test_properties_follow_the_defaults_of_spark(monkeypatch, tmp_path):
    (tmp_path / "spark-defaults.conf").write_text("spark.a 1\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert embedded.properties({"spark.b": "2"}) == "spark.a 1\n\nspark.b=2\n"
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / "none"))
    assert embedded.properties({"spark.b": "2"}) == "spark.b=2\n"


def test_columns_of_a_newer_server():
    assert Column.of({"name": "a", "type": "int", "comment": "new"}) == Column("a", "int", True)


# With a server


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
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


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
    done = client.sql("SELECT :a + 1 AS b, :d AS d, :day AS day", {"a": 41, "d": Decimal("1.50"), "day": datetime.date(2026, 1, 31)})
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
    assert data.count() == 10_000 and data.count({"day": {"between": [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)]}}) == 716
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
