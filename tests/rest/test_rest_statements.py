"""The server itself, and statements: forms of the answer, limits, progress, streams."""
import base64
import concurrent.futures
import io
import json
import socket
import subprocess
import sys
import time
import uuid

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import requests
from support.rest import ARROW, Api, check_problem, ids


def test_health_description_and_page(api):
    assert api.get("/healthz").json() == {"status": "ok"}
    description = api.get("/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    for path in ("/v1/statements", "/v1/datasets/query", "/v1/delta/merge", "/v1/jobs/{id}/retry"):
        assert path in description["paths"]
    page = api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text and "https://" not in page.text
    session = api.get("/v1/session").json()
    assert session["spark_version"] == "4.2.0" and session["user"] == "anonymous"


def test_unknown_paths_methods_and_bodies(api):
    assert check_problem(api.get("/v1/nothing"), "NOT_FOUND")["instance"] == "/v1/nothing"
    response = api.session.put(api.base + "/v1/statements", timeout=60)
    assert response.status_code == 405
    check_problem(response, "METHOD_NOT_ALLOWED")
    for body, kind in ((b"{", "application/json"), (b"[]", "application/json"), (b"\xff\xfe", "application/json")):
        response = api.session.post(api.base + "/v1/statements", data=body, headers={"Content-Type": kind}, timeout=60)
        assert response.status_code == 400
        check_problem(response, "INVALID_REQUEST")
    response = api.session.post(api.base + "/v1/statements", data=b"x", headers={"Content-Type": "text/xml"}, timeout=60)
    assert response.status_code == 415
    response = api.session.get(api.base + "/v1/tables?nothing=1", timeout=60)
    assert response.status_code == 400 and response.json()["field"] == "nothing"


def test_requests_made_up_from_the_description(server, tmp_path):
    """No answer is a failure of the server, all are as described, and what the description forbids is refused."""
    pytest.importorskip("schemathesis")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.rest}/openapi.json", "--checks", "all"]
    # SQL that parses and names that exist cannot be described: what is well-formed may still be refused.
    command += ["--exclude-checks", "positive_data_acceptance", "--phases", "coverage,fuzzing", "-n", "20", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


# Statements


def test_statement_with_typed_parameters(api):
    job = api.sql(
        "SELECT :a + 1 AS a, :d AS d, :l AS l, :t AS t, :n AS n, :m AS m",
        parameters=[
            {"name": "a", "value": 41},
            {"name": "d", "type": "DATE", "value": "2026-01-31"},
            {"name": "l", "type": "ARRAY<STRING>", "value": ["x", None]},
            {"name": "t", "value": "it's; -- DROP"},
            {"name": "n", "type": "DECIMAL(38,10)", "value": 12345678901234567890.0123456789},
            {"name": "m", "type": "MAP<STRING,INT>", "value": {"k": 1}},
        ],
    )
    assert job["state"] == "succeeded" and job["kind"] == "statement"
    assert [column["type"] for column in job["columns"]] == ["int", "date", "array<string>", "string", "decimal(38,10)", "map<string,int>"]
    row = job["data"][0]
    assert row["a"] == 42 and row["d"] == "2026-01-31" and row["l"] == ["x", None] and row["t"] == "it's; -- DROP" and row["m"] == {"k": 1}
    twice = [{"name": "x", "value": 1}, {"name": "x", "value": 2}]
    api.refused("/v1/statements", {"statement": "SELECT :x", "parameters": twice}, 400, "INVALID_REQUEST", "parameters[1].name")
    # A whole number beyond BIGINT keeps its digits.
    large = api.post("/v1/statements", {"statement": "SELECT :x AS x", "parameters": [{"name": "x", "value": 2**63}]})
    assert large.json()["columns"][0]["type"] == "decimal(19,0)" and large.json()["data"] == [{"x": 2**63}]
    api.refused("/v1/statements", {"statement": "SELECT :x", "parameters": [{"name": "x", "type": "NOPE", "value": 1}]}, 400, field="parameters[0].type")
    api.refused("/v1/statements", {"statement": "SELECT :x", "parameters": [{"name": "x", "type": "ARRAY<INT>", "value": 1}]}, 400, field="parameters[0].value")


def test_values_keep_what_they_are(api):
    row = api.sql(
        "SELECT 9223372036854775807L AS l, 1.10BD AS d, double('NaN') AS n, double('-Infinity') AS i, X'00ff' AS b, "
        "timestamp'2026-01-31 10:20:30.123456' AS t, named_struct('x', 1) AS s, NULL AS z, 1 AS l"
    )
    data = row["data"][0]
    assert data["l"] == 2**63 - 1 and data["d"] == 1.1 and data["n"] == "NaN" and data["i"] == "-Infinity"
    assert base64.b64decode(data["b"]) == b"\x00\xff" and data["t"] == "2026-01-31T10:20:30.123456Z"
    assert data["s"] == {"x": 1} and data["z"] is None and data["l_2"] == 1


def test_failures_and_refusals(api):
    problem = api.refused("/v1/statements", {"statement": "SELECT 1 +"}, 400, "PARSE_SYNTAX_ERROR", "statement")
    assert problem["sqlstate"] == "42601"
    job = api.sql("SELECT 1 / 0")
    assert job["state"] == "failed" and job["error"]["condition"] == "DIVIDE_BY_ZERO" and job["error"]["sqlstate"] == "22012"
    assert job["error"]["query_context"][0]["fragment"] == "1 / 0"
    assert api.sql("SELECT * FROM missing")["error"]["condition"] == "TABLE_OR_VIEW_NOT_FOUND"
    api.refused("/v1/statements", {"statment": "SELECT 1"}, 400, "INVALID_REQUEST", "statment")
    api.refused("/v1/statements", {}, 400, "INVALID_REQUEST", "statement")
    api.refused("/v1/statements", {"statement": "SELECT 1", "wait": 61}, 400, "INVALID_REQUEST", "wait")
    api.refused("/v1/statements", {"statement": "SELECT 1", "conf": {"spark.sql.warehouse.dir": "/x"}}, 400, "CANNOT_MODIFY_STATIC_CONFIG", "conf.spark.sql.warehouse.dir")
    api.refused("/v1/statements", {"statement": "SELECT 1", "schema": "nowhere"}, 404, "SCHEMA_NOT_FOUND", "schema")


def test_session_settings_hold_for_one_statement(api):
    assert api.sql("SELECT current_timezone() AS z", conf={"spark.sql.session.timeZone": "Asia/Tokyo"})["data"] == [{"z": "Asia/Tokyo"}]
    assert api.sql("SELECT current_timezone() AS z")["data"] == [{"z": "UTC"}]
    assert api.sql("SELECT current_schema() AS s", catalog="spark_catalog", schema="default")["data"] == [{"s": "default"}]


def test_chunks_in_every_form(api):
    job = api.sql("SELECT id, concat('a,\"', id) AS t, IF(id % 2 = 0, id, NULL) AS n FROM range(120000)")
    assert job["row_count"] == 120000 and job["chunk_count"] == len(job["chunks"]) > 1 and not job["truncated"]
    place = f"/v1/statements/{job['id']}"
    seen, index = [], 0
    while index is not None:
        chunk = api.get(f"{place}/chunks/{index}").json()
        assert chunk["row_offset"] == len(seen)
        seen += ids(chunk)
        index = chunk["next_chunk"]
    assert seen == list(range(120000))
    arrow = pa.ipc.open_stream(api.get(f"{place}/chunks/1", headers={"Accept": ARROW}).content).read_all()
    assert arrow.num_rows == job["chunks"][1]["row_count"]
    parquet = pq.read_table(io.BytesIO(api.get(f"{place}/rows", headers={"Accept": "application/vnd.apache.parquet"}).content))
    assert parquet.column("id").to_pylist() == seen and parquet.column("n").null_count == 60000
    lines = api.get(f"{place}/rows", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert len(lines) == 120000 and json.loads(lines[1]) == {"id": 1, "t": 'a,"1', "n": None}
    csv = pa.csv.read_csv(io.BytesIO(api.get(f"{place}/chunks/0", headers={"Accept": "text/csv"}).content))
    assert csv.column("t")[1].as_py() == 'a,"1'
    assert api.get(f"{place}/chunks/999").status_code == 404
    assert api.get(f"{place}/chunks/x").status_code == 400
    response = api.get(f"{place}/chunks/0", headers={"Accept": "image/png"})
    assert response.status_code == 406
    assert api.session.delete(api.base + place, timeout=60).status_code == 204
    assert api.get(place).status_code == 404


def test_limits_are_told(api):
    job = api.sql("SELECT id FROM range(100)", row_limit=7)
    assert job["truncated"] and ids(job) == list(range(7))
    assert not api.sql("SELECT id FROM range(100)", row_limit=100)["truncated"]
    job = api.sql("SELECT id FROM range(100)", byte_limit=80)
    assert job["truncated"] and 0 < job["row_count"] <= 10


def test_long_statements_are_polled_watched_and_cancelled(api):
    slow = "SELECT count(*) FROM range(100000000000) WHERE rand() < 2"
    response = api.post("/v1/statements", {"statement": slow, "wait": 0})
    assert response.status_code == 202 and response.headers["Retry-After"]
    place = response.headers["Location"]
    assert api.get(f"{place}/chunks/0").json()["condition"] == "JOB_NOT_FINISHED"
    began = time.monotonic()
    assert api.get(f"{place}?wait=1").json()["state"] == "running" and time.monotonic() - began >= 0.9
    assert response.json()["id"] in [job["id"] for job in api.get("/v1/jobs?state=running").json()["jobs"]]
    events = api.get(f"{place}/events", stream=True)
    lines = events.iter_lines(decode_unicode=True)
    assert next(lines) == "event: progress" and json.loads(next(lines)[len("data: "):])["state"] == "running"
    assert api.post(f"{place}/cancel").json()["state"] == "cancelled"
    assert any(line == "event: end" for line in lines)
    job = api.ok("/v1/statements", {"statement": slow, "wait": 0.3, "on_wait": "cancel"})
    assert job["state"] == "cancelled"
    job = api.ok("/v1/statements", {"statement": slow, "timeout": 0.5})
    assert job["state"] == "failed" and job["error"]["condition"] == "REQUEST_TIMEOUT"


def leave(server, path, body, headers=""):
    """Asks and hangs up while the answer is computed."""
    host, port = server.rest.removeprefix("http://").split(":")
    text = json.dumps(body)
    connection = socket.create_connection((host, int(port)))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n{headers}\r\n"
    connection.sendall((head + text).encode())
    time.sleep(1)
    connection.close()


def test_a_client_that_leaves_stops_its_query(api, server):
    tag = uuid.uuid4().hex
    slow = "SELECT count(*) FROM range(100000000000) WHERE rand() < 2"
    leave(server, "/v1/statements", {"statement": slow, "wait": 60, "on_wait": "cancel", "tags": [tag]})
    leave(server, "/v1/statements", {"statement": "SELECT id FROM range(100000000000)", "tags": [tag]}, f"Accept: {ARROW}\r\n")
    for _ in range(100):
        states = [job["state"] for job in api.get(f"/v1/jobs?tag={tag}").json()["jobs"]]
        if states == ["cancelled", "cancelled"]:
            break
        time.sleep(0.1)
    assert states == ["cancelled", "cancelled"]


def test_rows_are_streamed(api, server):
    before = server.memory_bytes()
    response = api.session.post(
        api.base + "/v1/statements",
        json={"statement": "SELECT id, id * 2 AS x, cast(id AS string) AS s FROM range(10000000)"},
        headers={"Accept": ARROW},
        stream=True,
        timeout=60,
    )
    assert response.headers["Firesteel-Job-Id"]
    reader = pa.ipc.open_stream(response.raw)
    rows = total = 0
    for batch in reader:
        rows += batch.num_rows
        total += batch.column(1)[batch.num_rows - 1].as_py() // 2 + 1 == rows
    assert rows == 10_000_000 and total > 10
    assert server.memory_bytes("VmHWM") - before < 150 << 20
    job = api.until_over(response.headers["Firesteel-Job-Id"])
    assert job["kind"] == "query" and job["metrics"] == {"rows": 10_000_000}
    response = api.post("/v1/statements", {"statement": "SELECT 1/0"}, Accept="text/csv")
    assert response.status_code == 422 and response.json()["condition"] == "DIVIDE_BY_ZERO"
    # An error in the middle breaks the connection off.
    failing = {"statement": "SELECT id, 1 / (id - 3000000) AS x FROM range(5000000)"}
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        response = api.session.post(api.base + "/v1/statements", json=failing, headers={"Accept": "application/x-ndjson"}, timeout=60)
    response = api.post("/v1/statements", {"statement": "SELECT 1", "row_limit": 1}, Accept="text/csv")
    assert response.status_code == 400 and response.json()["field"] == "row_limit"


def test_idempotency_keys(api):
    key = uuid.uuid4().hex
    first = api.post("/v1/statements", {"statement": "SELECT uuid() AS u"}, Idempotency_Key=key)
    second = api.post("/v1/statements", {"statement": "SELECT uuid() AS u"}, Idempotency_Key=key)
    assert first.json()["data"] == second.json()["data"] and second.headers["Idempotency-Replayed"] == "true"
    other = api.post("/v1/statements", {"statement": "SELECT 1"}, Idempotency_Key=key)
    assert other.status_code == 422
    check_problem(other, "IDEMPOTENCY_KEY_REUSED")
    # Of many at once one runs.
    key = uuid.uuid4().hex
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(Api(api.base).post, "/v1/statements", {"statement": "SELECT uuid() AS u"}, Idempotency_Key=key) for _ in range(16)]
    assert len({answer.result().json()["id"] for answer in asked}) == 1
