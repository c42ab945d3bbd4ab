"""The package `firesteel` alone: its parts, with an HTTP transport of the test; its types and its wheel."""
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

import httpx
import numpy as np
import pyarrow
import pytest

import firesteel
from firesteel import calls, credentials, embedded, errors, html, progress, values
from firesteel.session_conf import SessionConf
from firesteel.documents import Column, JobState

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECRET = "tell-nobody"


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


def test_what_python_programs_give_is_sent_as_the_server_wants_it():
    told = Told(*[{"count": 1, "stats": {}}] * 2, job(), job())
    client = told.client()
    data = client.dataset(pathlib.Path("/data/x"), format="csv", options={"header": True, "maxColumns": 5, "sep": ";"})
    data.count({"a": np.array([1, 2]), "b": float("nan"), "c": {">": float("-inf")}, "d": np.float64("inf"), "e": (np.int64(1),)})
    client.dataset([pathlib.Path("/x"), "/y"]).count()
    data.modify("SELECT 1", pathlib.Path("/out"), output_options={"header": False})
    client.delta(pathlib.Path("/t")).merge([{"id": 1, "x": float("nan")}], merge_key="id")
    asked = told.body(0)
    assert asked["path"] == "/data/x" and asked["options"] == {"header": "true", "maxColumns": "5", "sep": ";"}
    assert asked["filters"] == {"a": [1, 2], "b": "NaN", "c": {">": "-Infinity"}, "d": "Infinity", "e": [1]}
    assert told.body(1)["paths"] == ["/x", "/y"]
    assert told.body(2)["output_path"] == "/out" and told.body(2)["output_options"] == {"header": "false"}
    assert told.body(3)["path"] == "/t" and told.body(3)["source_data"] == [{"id": 1, "x": "NaN"}]
    assert values.parameter("x", float("inf"))["type"] == "DOUBLE"


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
