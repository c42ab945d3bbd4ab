"""The REST API, asked by `requests` over real HTTP; S3 is `moto`."""
import base64
import concurrent.futures
import datetime
import io
import json
import os
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
from support import servers, stores

SECRET = "tell-nobody-of-this"
ARROW = "application/vnd.apache.arrow.stream"


class Api:
    """One user's way to a server."""

    def __init__(self, base, token=None):
        self.base = base
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path, **kwargs):
        return self.session.get(self.base + path, timeout=60, **kwargs)

    def post(self, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.post(self.base + path, json=body or {}, headers=headers, timeout=60)

    def ok(self, path, body=None, **headers):
        response = self.post(path, body, **headers)
        assert response.status_code == 200, response.text
        return response.json()

    def job(self, path, body, **headers):
        job = self.ok(path, body, **headers)
        assert job["state"] == "succeeded", job
        return job

    def sql(self, statement, **fields):
        return self.ok("/v1/statements", {"statement": statement, **fields})

    def refused(self, path, body, status, condition=None, field=None):
        response = self.post(path, body)
        assert response.status_code == status, response.text
        return check_problem(response, condition, field)

    def until_over(self, job):
        for _ in range(30):
            job = self.get(f"/v1/jobs/{job}?wait=2").json() if isinstance(job, str) else job
            if job["state"] not in ("queued", "running"):
                return job
            job = job["id"]
        raise AssertionError("the job does not end")


def check_problem(response, condition=None, field=None):
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"].endswith(problem["condition"])
    if condition:
        assert problem["condition"] == condition, problem
    if field:
        assert problem["field"] == field, problem
    return problem


@pytest.fixture(scope="module")
def server():
    server = servers.start_firesteel({"spark.sql.session.timeZone": "UTC"}, http=True)
    yield server
    server.close()


@pytest.fixture(scope="module")
def api(server):
    return Api(server.rest)


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A file of a thousand rows."""
    path = tmp_path_factory.mktemp("users") / "users.parquet"
    ids = list(range(1000))
    table = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "age": pa.array([20 + i % 50 if i % 10 else None for i in ids], pa.int32()),
            "name": [f"name-{i}" for i in ids],
            "department": ["Engineering" if i % 3 == 0 else "Sales" for i in ids],
            "salary": [1000.5 * i for i in ids],
            "hired": [datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in ids],
        }
    )
    pq.write_table(table, path)
    return path, table


def ids(answer):
    return [row["id"] for row in answer["data"]]


def new_table(api, folder):
    """A Delta table of ten rows, by a job."""
    path = str(folder / uuid.uuid4().hex)
    source = folder / "source.parquet"
    pq.write_table(pa.table({"id": list(range(10)), "name": [f"n{i}" for i in range(10)], "salary": [float(i) for i in range(10)]}), source)
    api.job("/v1/datasets/modify", {"path": str(source), "sql": "SELECT * FROM data_table", "output_path": path, "output_format": "delta"})
    return path


def rows_of(api, path):
    answer = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "order_by": ["id"]})
    return [tuple(row.values()) for row in answer["data"]]


# The server


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


# Datasets

FILTERS = [
    ({"age": {">": 60}}, lambda r: r["age"] is not None and r["age"] > 60),
    ({"age": {">=": 30, "lt": 32}, "department": "Sales"}, lambda r: r["age"] in (30, 31) and r["department"] == "Sales"),
    ({"age": None}, lambda r: r["age"] is None),
    ({"age": {"!=": None}}, lambda r: r["age"] is not None),
    ({"age": {"is_null": False}, "id": {"<": 20}}, lambda r: r["age"] is not None and r["id"] < 20),
    ({"id": [1, 5, 5000]}, lambda r: r["id"] in (1, 5)),
    ({"age": {"in": [30, None]}}, lambda r: r["age"] in (30, None)),
    ({"id": {"not_in": [1, 2]}, "age": {"<=": 21}}, lambda r: r["id"] not in (1, 2) and r["age"] is not None and r["age"] <= 21),
    ({"salary": {"between": [1000.5, 3001.5]}}, lambda r: 1000.5 <= r["salary"] <= 3001.5),
    ({"id": {"not_between": [5, 995]}}, lambda r: not 5 <= r["id"] <= 995),
    ({"name": {"like": "name-9_"}}, lambda r: len(r["name"]) == 7 and r["name"].startswith("name-9")),
    ({"name": {"ilike": "NAME-99%"}}, lambda r: r["name"].startswith("name-99")),
    ({"name": {"rlike": "^name-1[0-3]$"}}, lambda r: r["name"] in ("name-10", "name-11", "name-12", "name-13")),
    ({"name": {"starts_with": "name-99"}}, lambda r: r["name"].startswith("name-99")),
    ({"name": {"ends_with": "77"}}, lambda r: r["name"].endswith("77")),
    ({"name": {"contains": "-12"}}, lambda r: "-12" in r["name"]),
    ({"name": {"not_like": "name-%1%"}, "id": {"<": 15}}, lambda r: "1" not in r["name"] and r["id"] < 15),
    ({"hired": {">": "2022-09-20"}}, lambda r: r["hired"] > datetime.date(2022, 9, 20)),
    ({"or": [{"id": 3}, {"and": [{"id": {">": 990}}, {"not": {"department": "Sales"}}]}]}, lambda r: r["id"] == 3 or (r["id"] > 990 and r["department"] != "Sales")),
    ({}, lambda r: True),
]


@pytest.mark.parametrize("filters, expected", FILTERS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else "")
def test_filters(api, users, filters, expected):
    path, table = users
    answer = api.ok("/v1/datasets/query", {"path": str(path), "filters": filters, "columns": ["id"], "limit": 2000})
    wanted = [row["id"] for row in table.to_pylist() if expected(row)]
    assert ids(answer) == wanted and answer["stats"]["total_rows"] == len(wanted)
    assert api.ok("/v1/datasets/count", {"path": str(path), "filters": filters})["count"] == len(wanted)


def test_order_limit_and_totals(api, users):
    path = str(users[0])
    answer = api.ok("/v1/datasets/query", {"path": path, "order_by": ["department", "-id"], "limit": 2, "columns": ["id", "department"], "include_total": True})
    assert answer["data"] == [{"id": 999, "department": "Engineering"}, {"id": 996, "department": "Engineering"}]
    assert answer["truncated"] and answer["next_cursor"] is None and answer["stats"]["total_rows"] == 1000
    answer = api.ok("/v1/datasets/query", {"path": path, "order_by": [{"column": "age", "nulls": "last"}, "id"], "limit": 1})
    assert answer["data"][0]["age"] == 21 and answer["data"][0]["hired"].startswith("20")


def write_old(file, ids, seconds_ago):
    """A file of rows that was written some time ago."""
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "text": [f"row {i}" for i in ids]}), file, row_group_size=1000, compression="none")
    then = time.time() - seconds_ago
    os.utime(file, (then, then))


def test_changed_files_are_seen_at_once(api, tmp_path):
    folder = tmp_path / "changing"
    folder.mkdir()
    query = {"path": str(folder), "limit": 10_000, "order_by": ["id"]}

    def seen(**fields):
        return ids(api.ok("/v1/datasets/query", {**query, **fields}))

    write_old(folder / "a.parquet", range(10), 100)
    for _ in range(3):
        assert seen() == list(range(10))
        assert seen(filters={"id": 7}) == [7]
    # A file more, one with other rows and no more bytes, other columns, a file less.
    write_old(folder / "b.parquet", range(10, 20), 90)
    assert seen() == list(range(20)) and seen(filters={"id": 13}) == [13]
    size = (folder / "b.parquet").stat().st_size
    write_old(folder / "b.parquet", range(30, 40), 80)
    assert (folder / "b.parquet").stat().st_size == size
    assert seen(filters={"id": 13}) == [] and seen(filters={"id": {">": 36}}) == [37, 38, 39]
    pq.write_table(pa.table({"id": pa.array([50], pa.int64()), "more": [1.5]}), folder / "a.parquet")
    assert api.ok("/v1/datasets/query", {**query, "filters": {"more": 1.5}})["data"] == [{"id": 50, "more": 1.5}]
    (folder / "a.parquet").unlink()
    assert seen() == list(range(30, 40))
    # What was written this very moment, twice.
    for first in range(0, 200, 10):
        pq.write_table(pa.table({"id": pa.array(range(first, first + 10), pa.int64())}), folder / "b.parquet")
        assert seen() == list(range(first, first + 10))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    api.refused("/v1/datasets/query", query, 404, "PATH_NOT_FOUND", "path")


def test_points_and_limits(api, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(8):
        write_old(folder / f"{number}.parquet", range(number * 5000, number * 5000 + 5000), 60)
    path = str(folder)
    for wanted in (0, 4999, 5000, 17_001, 39_999):
        answer = api.ok("/v1/datasets/query", {"path": path, "filters": {"id": wanted}})
        assert answer["data"] == [{"id": wanted, "text": f"row {wanted}"}] and not answer["truncated"]
        assert answer["stats"]["files_pruned"] == 7 and answer["stats"]["rows_scanned"] <= 1000
    for wanted in (-1, 40_000):
        answer = api.ok("/v1/datasets/query", {"path": path, "filters": {"id": wanted}})
        assert answer["data"] == [] and answer["stats"]["files_pruned"] == 8
        assert api.ok("/v1/datasets/count", {"path": path, "filters": {"id": wanted}})["count"] == 0
    between = {"id": {"between": [4990, 5009]}, "text": {"ends_with": "9"}}
    answer = api.ok("/v1/datasets/query", {"path": path, "filters": between, "order_by": ["-id"]})
    assert ids(answer) == [5009, 4999] and answer["stats"]["files_pruned"] == 6
    for limit in (1, 999, 1000, 5000, 5001, 39_999, 40_000, 50_000):
        answer = api.ok("/v1/datasets/query", {"path": path, "limit": limit, "columns": ["id"]})
        assert len(set(ids(answer))) == min(limit, 40_000) and answer["truncated"] == (limit < 40_000)
    answer = api.ok("/v1/datasets/query", {"path": path, "filters": {"id": {">=": 100}}, "limit": 7})
    assert len(ids(answer)) == 7 and min(ids(answer)) >= 100 and answer["truncated"]


INJECTIONS = ["' OR 1=1 --", "x'); DROP TABLE t; --", "\\' OR \\'1\\'=\\'1", '"; SELECT 1', "` OR true", "${spark.app.id}", "\0", "%"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_values_are_never_code(api, users, text):
    path = str(users[0])
    for filters in ({"name": text}, {"name": {"in": [text]}}, {"name": {"contains": text}}, {"department": {"starts_with": text}}):
        answer = api.ok("/v1/datasets/query", {"path": path, "filters": filters, "limit": 5})
        assert answer["data"] == []
    for body in ({"filters": {text: 1}}, {"columns": [text]}, {"order_by": [text]}, {"columns": [f"id, {text}"]}):
        response = api.post("/v1/datasets/query", {"path": path, **body})
        assert response.status_code == 400 and response.json()["field"], response.text


@pytest.mark.parametrize(
    "body, field",
    [
        ({"filters": {"nope": 1}}, "filters.nope"),
        ({"filters": {"id": {"~": 1}}}, "filters.id.~"),
        ({"filters": {"id": {}}}, "filters.id"),
        ({"filters": {"or": [{"id": {"between": [1]}}]}}, "filters.or[0].id.between"),
        ({"filters": 5}, "filters"),
        ({"columns": []}, "columns"),
        ({"columns": ["id", "nope"]}, "columns[1]"),
        ({"order_by": ["-nope"]}, "order_by[0]"),
        ({"order_by": [{"column": "id", "nulls": "middle"}]}, "order_by[0].nulls"),
        ({"limit": 0}, "limit"),
        ({"limit": 100001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"version": 1}, "version"),
        ({"format": "hudi", "version": 1}, "version"),
        ({"options": {"fs.s3a.secret.key": SECRET}}, "options.fs.s3a.secret.key"),
        ({"table": "t"}, "path"),
        ({"cursor": "x"}, "cursor"),
        ({"wait": 5}, "wait"),
    ],
)
def test_bad_queries_name_the_field(api, users, body, field):
    problem = api.refused("/v1/datasets/query", {"path": str(users[0]), **body}, 400, field=field)
    assert SECRET not in json.dumps(problem)


def test_paths(api):
    api.refused("/v1/datasets/query", {"path": "relative/x.parquet"}, 400, "INVALID_REQUEST", "path")
    api.refused("/v1/datasets/query", {"paths": ["/tmp", "../etc"]}, 400, "INVALID_REQUEST", "paths[1]")
    api.refused("/v1/datasets/query", {"path": "/no/such/place"}, 404, "PATH_NOT_FOUND", "path")
    api.refused("/v1/datasets/query", {"table": "no_table"}, 404, "TABLE_OR_VIEW_NOT_FOUND", "table")


def test_pages_of_files(api, users, tmp_path):
    folder = tmp_path / "paged"
    folder.mkdir()
    table = users[1]
    pq.write_table(table, folder / "a.parquet")
    for order in ([], ["department"]):
        body = {"path": str(folder), "columns": ["id"], "order_by": order, "limit": 130, "paginate": True}
        answer = api.ok("/v1/datasets/query", body)
        seen = ids(answer)
        while answer["next_cursor"]:
            answer = api.ok("/v1/datasets/query", {"cursor": answer["next_cursor"]})
            seen += ids(answer)
        assert sorted(seen) == list(range(1000))
    answer = api.ok("/v1/datasets/query", {"path": str(folder), "limit": 10, "paginate": True})
    cursor = answer["next_cursor"]
    assert ids(api.ok("/v1/datasets/query", {"cursor": cursor, "limit": 2})) == [10, 11]
    api.refused("/v1/datasets/query", {"cursor": cursor[:-2] + "xx"}, 400, "INVALID_CURSOR", "cursor")
    api.refused("/v1/datasets/query", {"cursor": cursor, "path": "/x"}, 400, "INVALID_REQUEST", "cursor")
    pq.write_table(table, folder / "b.parquet")
    api.refused("/v1/datasets/query", {"cursor": cursor}, 410, "CURSOR_EXPIRED", "cursor")


def test_pages_of_a_delta_table_that_changes(api, tmp_path):
    path = new_table(api, tmp_path)
    answer = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "limit": 4, "paginate": True, "order_by": ["id"]})
    assert answer["stats"]["version"] == 0
    api.job("/v1/delta/delete", {"path": path, "filters": {"id": {">": 3}}})
    seen = ids(answer)
    while answer["next_cursor"]:
        answer = api.ok("/v1/datasets/query", {"cursor": answer["next_cursor"]})
        seen += ids(answer)
    assert seen == list(range(10))


def test_sample_summary_schema(api, users):
    path = str(users[0])
    first = api.ok("/v1/datasets/sample", {"path": path, "rows": 20, "seed": 7})
    again = api.ok("/v1/datasets/sample", {"path": path, "rows": 20, "seed": 7})
    other = api.ok("/v1/datasets/sample", {"path": path, "rows": 20, "seed": 8})
    assert len(first["data"]) == 20 and first["data"] == again["data"] != other["data"]
    part = api.ok("/v1/datasets/sample", {"path": path, "fraction": 0.1, "columns": ["id"]})
    assert 50 < len(part["data"]) < 150
    summary = api.ok("/v1/datasets/summary", {"path": path, "quantiles": [0.5], "histogram_bins": 4})
    figures = {column["name"]: column for column in summary["columns"]}
    assert summary["row_count"] == 1000
    assert figures["age"]["nulls"] == 100 and figures["age"]["count"] == 900
    assert figures["id"]["min"] == 0 and figures["id"]["max"] == 999 and figures["id"]["mean"] == 499.5
    assert abs(figures["id"]["quantiles"]["0.5"] - 499) <= 1 and abs(figures["id"]["distinct"] - 1000) < 50
    assert [bin["count"] for bin in figures["id"]["histogram"]] == [250, 250, 250, 250]
    assert figures["name"]["mean"] is None and figures["name"]["max"] == "name-999"
    schema = api.ok("/v1/datasets/schema", {"path": path})
    assert {"name": "hired", "type": "date", "nullable": True} in schema["columns"]
    assert schema["schema"]["fields"][0]["type"] == "long"


def test_other_forms_of_a_query(api, users):
    response = api.post("/v1/datasets/query", {"path": str(users[0]), "filters": {"id": {"<": 3}}, "columns": ["id", "name"]}, Accept="text/csv")
    assert response.text == "id,name\n0,name-0\n1,name-1\n2,name-2\n"
    response = api.post("/v1/datasets/query", {"path": str(users[0])}, Accept=ARROW)
    assert pa.ipc.open_stream(response.content).read_all().num_rows == 1000


def test_tables(api, tmp_path):
    name = "t" + uuid.uuid4().hex[:8]
    assert api.sql(f"CREATE TABLE {name} USING parquet PARTITIONED BY (part) AS SELECT id, id % 3 AS part FROM range(30)")["state"] == "succeeded"
    found = [table for table in api.get(f"/v1/tables?pattern={name}").json()["tables"]]
    assert found[0]["name"] == name and found[0]["kind"] == "table" and found[0]["format"] == "parquet"
    assert [column["name"] for column in api.get(f"/v1/tables/{name}").json()["columns"]] == ["id", "part"]
    answer = api.get(f"/v1/tables/default.{name}/rows", params={"columns": "id", "filters": '{"part": 1}', "order_by": "-id", "limit": 3}).json()
    assert ids(answer) == [28, 25, 22]
    answer = api.get(f"/v1/tables/{name}/rows", params={"cursor": answer["next_cursor"], "limit": 2}).json()
    assert ids(answer) == [19, 16]
    partitions = api.ok("/v1/datasets/partitions", {"table": name})
    assert partitions["partition_columns"] == ["part"] and [p["rows"] for p in partitions["partitions"]] == [10, 10, 10]
    assert api.get("/v1/tables?schema=nowhere").status_code == 404
    assert api.get(f"/v1/tables/{name}/rows?filters=x").json()["field"] == "filters"


def test_an_iceberg_table(api, tmp_path):
    path, name = str(tmp_path / "iceberg"), "i" + uuid.uuid4().hex[:8]
    assert api.sql(f"CREATE TABLE {name} (id INT, part INT) USING iceberg PARTITIONED BY (part) LOCATION '{path}'")["state"] == "succeeded"
    assert api.sql(f"INSERT INTO {name} VALUES (1, 0), (2, 1)")["state"] == "succeeded"
    [snapshot] = api.sql(f"SELECT snapshot_id FROM default.{name}.snapshots")["data"]
    assert api.sql(f"INSERT INTO {name} VALUES (3, 1)")["state"] == "succeeded"
    asked = {"path": path, "format": "iceberg", "order_by": ["id"]}
    assert ids(api.ok("/v1/datasets/query", {**asked, "filters": {"part": 1}})) == [2, 3]
    assert ids(api.ok("/v1/datasets/query", {**asked, "version": snapshot["snapshot_id"]})) == [1, 2]
    assert api.ok("/v1/datasets/count", {"table": name})["count"] == 3


# Changes


def test_modify(api, users, tmp_path):
    path, table = users
    output = str(tmp_path / "raised")
    job = api.job("/v1/datasets/modify", {"path": str(path), "sql": "UPDATE data_table SET salary = salary * 2, name = upper(name) WHERE department = 'Sales' AND age > 25", "output_path": output})
    matching = [row for row in table.to_pylist() if row["department"] == "Sales" and row["age"] and row["age"] > 25]
    assert job["metrics"]["rows_updated"] == len(matching) and job["metrics"]["rows_written"] == 1000 == job["metrics"]["rows_read"]
    written = {row["id"]: row for row in pq.read_table(output).to_pylist()}
    assert written[matching[0]["id"]]["salary"] == matching[0]["salary"] * 2 and written[0]["name"] == "name-0"
    job = api.job("/v1/datasets/modify", {"path": str(path), "sql": "DELETE FROM data_table WHERE age < 40", "output_path": output, "output_format": "json"})
    assert job["metrics"]["rows_deleted"] == sum(1 for row in table.to_pylist() if row["age"] and row["age"] < 40)
    sql = "SELECT *, salary * 1.1 AS new_salary, CASE WHEN salary > 5 THEN 'Senior' ELSE 'Junior' END AS level FROM data_table"
    output = str(tmp_path / "parts")
    job = api.job("/v1/datasets/modify", {"path": str(path), "sql": sql, "output_path": output, "partition_by": ["department"]})
    assert job["metrics"]["rows_written"] == 1000 and (tmp_path / "parts" / "department=Sales").is_dir()
    found = api.ok("/v1/datasets/partitions", {"path": output})
    assert found["partition_columns"] == ["department"] and sum(p["rows"] for p in found["partitions"]) == 1000
    again = api.ok("/v1/datasets/modify", {"path": str(path), "sql": sql, "output_path": output, "mode": "error"})
    assert again["state"] == "failed" and again["error"]["condition"] == "PATH_ALREADY_EXISTS"


def test_modify_in_place_and_to_one_file(api, tmp_path):
    file = tmp_path / "one.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3]}), file)
    job = api.job("/v1/datasets/modify", {"path": str(file), "sql": "DELETE FROM data_table WHERE id = 2", "output_path": str(file), "single_file": True})
    assert job["metrics"]["rows_deleted"] == 1 and file.is_file()
    assert pq.read_table(file).column("id").to_pylist() == [1, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.parquet"]


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE data_table", "INSERT INTO data_table VALUES (1)", "UPDATE other SET id = 1", "SELECT nope FROM data_table", "UPDATE data_table SET nope = 1", "SELECT", "DELETE FROM parquet.`/etc`"],
)
def test_modify_refuses_other_sql(api, users, tmp_path, sql):
    api.refused("/v1/datasets/modify", {"path": str(users[0]), "sql": sql, "output_path": str(tmp_path / "x")}, 400, field="sql")
    assert not (tmp_path / "x").exists()


def test_merge_of_files(api, tmp_path):
    one, two, three = (str(tmp_path / name) for name in ("1.parquet", "2.parquet", "3.parquet"))
    pq.write_table(pa.table({"id": pa.array([1, 2], pa.int32()), "name": ["a", "b"]}), one)
    pq.write_table(pa.table({"id": pa.array([2, 3], pa.int64()), "name": ["B", "c"], "extra": [1.5, 2.5]}), two)
    pq.write_table(pa.table({"id": ["x"]}), three)
    output = str(tmp_path / "merged")
    job = api.job("/v1/datasets/merge", {"paths": [one, two], "output_path": output, "deduplicate_on": ["id"]})
    metrics = job["metrics"]
    assert (metrics["files_merged"], metrics["rows_read"], metrics["rows_written"], metrics["rows_deduplicated"]) == (2, 4, 3, 1)
    merged = pq.read_table(output).sort_by("id")
    assert merged.schema.field("id").type == pa.int64()
    assert merged.to_pylist() == [{"id": 1, "name": "a", "extra": None}, {"id": 2, "name": "B", "extra": 1.5}, {"id": 3, "name": "c", "extra": 2.5}]
    job = api.job("/v1/datasets/merge", {"paths": [one, two], "output_path": output, "deduplicate_on": ["id"], "keep": "first"})
    assert pq.read_table(output).sort_by("id").column("name").to_pylist() == ["a", "b", "c"]
    problem = api.refused("/v1/datasets/merge", {"paths": [one, three], "output_path": output}, 400, "INCOMPATIBLE_SCHEMAS", "paths[1]")
    assert "id" in problem["detail"]
    api.refused("/v1/datasets/merge", {"paths": [one], "output_path": output, "deduplicate_on": ["nope"]}, 400, field="deduplicate_on[0]")


def test_delta_changes(api, tmp_path):
    path = new_table(api, tmp_path)
    job = api.job("/v1/delta/update", {"path": path, "set": {"salary": "salary * 10"}, "condition": "id >= 8"})
    assert job["metrics"] == {"rows_updated": 2, "version": 1}
    job = api.job("/v1/delta/delete", {"path": path, "filters": {"id": {"<": 3}}})
    assert job["metrics"] == {"rows_deleted": 3, "version": 2}
    source = [{"id": 3, "name": "John", "salary": 120000}, {"id": 99, "name": "Jane", "salary": 90000}]
    job = api.job("/v1/delta/merge", {"path": path, "source_data": source, "merge_key": "id"})
    assert job["metrics"] == {"rows_inserted": 1, "rows_updated": 1, "rows_deleted": 0, "version": 3}
    assert rows_of(api, path)[0] == (3, "John", 120000.0) and rows_of(api, path)[-1] == (99, "Jane", 90000.0)
    part = [{"id": 100, "name": "Only"}]
    api.job("/v1/delta/merge", {"path": path, "source_data": part, "merge_key": ["id"]})
    assert rows_of(api, path)[-1] == (100, "Only", None)
    api.job("/v1/delta/merge", {"path": path, "source_data": [{"id": 4, "title": "Dr"}], "merge_key": "id", "schema_evolution": True})
    assert rows_of(api, path)[1] == (4, "n4", 4.0, "Dr")
    assert api.job("/v1/delta/optimize", {"path": path, "z_order_by": ["id"]})["metrics"]["files_added"] == 1
    assert api.job("/v1/delta/vacuum", {"path": path, "dry_run": True})["metrics"] == {"files": []}
    assert api.job("/v1/delta/restore", {"path": path, "version": 0})["metrics"]["version"] == 7
    assert [row[0] for row in rows_of(api, path)] == list(range(10))
    history = api.ok("/v1/delta/history", {"path": path, "limit": 3})["history"]
    assert [entry["version"] for entry in history] == [7, 6, 5] and history[0]["operation"] == "RESTORE"
    old = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "version": 2})
    assert len(old["data"]) == 7 and old["stats"]["version"] == 2
    newest = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "filters": {"id": 5}})
    assert len(newest["data"]) == 1 and newest["stats"]["version"] == 7
    assert api.ok("/v1/datasets/count", {"path": path, "format": "delta"})["stats"]["version"] == 7


def test_delta_refusals_change_nothing(api, tmp_path):
    path = new_table(api, tmp_path)
    api.refused("/v1/delta/delete", {"path": path}, 400, field="condition")
    api.refused("/v1/delta/update", {"path": path, "set": {}}, 400, field="set")
    api.refused("/v1/delta/update", {"path": path, "set": {"salary": "1 +"}}, 400, field="set.salary")
    api.refused("/v1/delta/update", {"path": path, "set": {"salary": "1"}, "condition": "id ="}, 400, field="condition")
    api.refused("/v1/delta/merge", {"path": path, "source_data": [{"id": 1, "nope": 2}], "merge_key": "id"}, 400, field="source_data[0].nope")
    api.refused("/v1/delta/merge", {"path": path, "source_data": [{"id": 1}, {"name": "x"}], "merge_key": "id"}, 400, field="source_data[1]")
    api.refused("/v1/delta/merge", {"path": path, "source_data": [{"id": 1}]}, 400, field="merge_key")
    job = api.ok("/v1/delta/merge", {"path": path, "source_data": [{"id": "one"}], "merge_key": "id"})
    assert job["state"] == "failed"
    job = api.ok("/v1/delta/update", {"path": path, "set": {"nope": "1"}})
    assert job["state"] == "failed" and job["error"]["condition"].startswith(("UNRESOLVED_COLUMN", "DELTA"))
    assert len(api.ok("/v1/delta/history", {"path": path})["history"]) == 1
    api.refused("/v1/delta/history", {"path": str(tmp_path / "none")}, 404)


# Jobs


def test_jobs_are_listed_and_run_again(api):
    tag = uuid.uuid4().hex
    for number in range(5):
        api.sql(f"SELECT {number}", tags=[tag])
    failed = api.sql("SELECT 1 / 0", tags=[tag])
    page = api.get(f"/v1/jobs?tag={tag}&limit=4").json()
    rest = api.get(f"/v1/jobs?tag={tag}&limit=4&cursor={page['next_cursor']}").json()
    assert len(page["jobs"]) == 4 and len(rest["jobs"]) == 2 and rest["next_cursor"] is None
    assert [job["id"] for job in api.get(f"/v1/jobs?tag={tag}&state=failed").json()["jobs"]] == [failed["id"]]
    again = api.ok(f"/v1/jobs/{failed['id']}/retry")
    assert again["state"] == "failed" and again["retry_of"] == failed["id"] and again["id"] != failed["id"] and again["tags"] == [tag]
    succeeded = page["jobs"][-1]["id"]
    api.refused(f"/v1/jobs/{succeeded}/retry", {}, 409, "JOB_NOT_RETRYABLE")
    assert api.get("/v1/jobs?state=nope").json()["field"] == "state"
    api.refused(f"/v1/jobs/{uuid.uuid4()}/cancel", {}, 404, "NOT_FOUND")


SLOW = "SELECT count(*) FROM range(100000000000) WHERE rand() < 2"


def test_jobs_outlive_a_killed_server(tmp_path):
    server = servers.start_firesteel(data_directory=tmp_path / "data", http=True)
    api = Api(server.rest)
    path = new_table(api, tmp_path)
    change = {"path": path, "set": {"salary": "salary + 1"}}
    done = api.job("/v1/delta/update", change, Idempotency_Key="raise")
    first = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "limit": 4, "paginate": True})
    running = api.post("/v1/statements", {"statement": SLOW, "wait": 0}, Idempotency_Key="slow").json()
    server.process.kill()
    server.process.wait()
    server.close()
    server = servers.start_firesteel(data_directory=tmp_path / "data", http=True)
    try:
        api = Api(server.rest)
        job = api.get(f"/v1/jobs/{running['id']}").json()
        assert job["state"] == "interrupted" and job["error"]["condition"] == "JOB_INTERRUPTED"
        # The same key never makes the change again.
        again = api.post("/v1/delta/update", change, Idempotency_Key="raise")
        assert again.json()["id"] == done["id"] and again.headers["Idempotency-Replayed"] == "true"
        assert len(api.ok("/v1/delta/history", {"path": path})["history"]) == 2
        assert api.post("/v1/statements", {"statement": SLOW, "wait": 0}, Idempotency_Key="slow").json()["id"] == running["id"]
        rest = api.ok("/v1/datasets/query", {"cursor": first["next_cursor"], "limit": 100})
        assert sorted(ids(first) + ids(rest)) == list(range(10))
        retried = api.post(f"/v1/jobs/{running['id']}/retry", {"wait": 0}).json()
        assert retried["retry_of"] == running["id"]
        assert api.post(f"/v1/jobs/{retried['id']}/cancel").json()["state"] == "cancelled"
    finally:
        server.close()


def test_a_change_that_was_committed_before_the_kill_is_known(tmp_path):
    """As if the server died between the commit and the note of it."""
    import sqlite3

    server = servers.start_firesteel(data_directory=tmp_path / "data", http=True)
    api = Api(server.rest)
    path = new_table(api, tmp_path)
    done = api.job("/v1/delta/delete", {"path": path, "filters": {"id": {"<": 4}}}, Idempotency_Key="k")
    server.close()
    with sqlite3.connect(tmp_path / "data" / "service.db") as store:
        (document,) = store.execute("SELECT document FROM jobs WHERE id = ?", (done["id"],)).fetchone()
        job = json.loads(document)
        job.update(state="running", ended_at=None, metrics={})
        store.execute("UPDATE jobs SET state = 'running', ended_at = NULL, document = ? WHERE id = ?", (json.dumps(job), done["id"]))
    server = servers.start_firesteel(data_directory=tmp_path / "data", http=True)
    try:
        api = Api(server.rest)
        job = api.get(f"/v1/jobs/{done['id']}").json()
        assert job["state"] == "succeeded" and job["metrics"]["version"] == 1 and job["metrics"]["recovered"]
        assert job["metrics"]["rows_deleted"] == 4
    finally:
        server.close()


def test_users_share_the_server_fairly():
    settings = {"firesteel.service.maxRunning": 1, "firesteel.service.maxQueuedPerUser": 2}
    server = servers.start_firesteel(settings, http=True)
    try:
        api = Api(server.rest)
        jobs = [api.post("/v1/statements", {"statement": SLOW, "wait": 0}) for _ in range(4)]
        assert [job.status_code for job in jobs] == [202, 202, 202, 429]
        assert jobs[3].headers["Retry-After"]
        check_problem(jobs[3], "QUEUE_FULL")
        assert api.get(jobs[1].headers["Location"]).json()["state"] == "queued"
        began = time.monotonic()
        for job in reversed(jobs[:3]):
            assert api.post(job.headers["Location"] + "/cancel").json()["state"] == "cancelled"
        assert time.monotonic() - began < 5
        assert api.sql("SELECT 1 AS a")["data"] == [{"a": 1}]
    finally:
        server.close()


# Access


def token(folder, *arguments):
    command = [str(servers.binary()), "token", "create", "--data-dir", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with users: a reader, a writer of one folder, an admin."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "own").mkdir()
    (folder / "other").mkdir()
    for place in ("own", "other"):
        pq.write_table(pa.table({"id": [1, 2, 3]}), folder / place / "x.parquet")
    data = folder / "data"
    tokens = {
        "reader": token(data, "--user", "reader", "--scope", "read"),
        "writer": token(data, "--user", "writer", "--scope", "read,write", "--path", str(folder / "own")),
        "admin": token(data, "--user", "boss", "--scope", "admin"),
    }
    server = servers.start_firesteel(data_directory=data, http=True)
    apis = {name: Api(server.rest, value) for name, value in tokens.items()}
    yield folder, server, apis
    server.close()


def test_tokens(guarded):
    folder, server, apis = guarded
    response = Api(server.rest).get("/v1/session")
    assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
    check_problem(response, "UNAUTHENTICATED")
    assert Api(server.rest, "fst_wrong").get("/v1/jobs").status_code == 401
    assert Api(server.rest).get("/healthz").status_code == 200
    assert apis["reader"].get("/v1/session").json()["user"] == "reader"
    stored = (folder / "data" / "service.db").read_bytes()
    for api in apis.values():
        assert api.session.headers["Authorization"].split()[1].encode() not in stored
    extra = token(folder / "data", "--user", "gone")
    time.sleep(1.2)
    assert Api(server.rest, extra).get("/v1/session").status_code == 200
    listed = subprocess.run([str(servers.binary()), "token", "list", "--data-dir", str(folder / "data")], check=True, capture_output=True, text=True).stdout
    (line,) = [line for line in listed.splitlines() if "\tgone\t" in line]
    subprocess.run([str(servers.binary()), "token", "revoke", "--data-dir", str(folder / "data"), line.split("\t")[0]], check=True, capture_output=True)
    time.sleep(1.2)
    assert Api(server.rest, extra).get("/v1/session").status_code == 401


def test_scopes(guarded):
    folder, _, apis = guarded
    reader = apis["reader"]
    assert reader.sql("SELECT 1 AS a")["data"] == [{"a": 1}]
    assert reader.sql("SHOW TABLES")["state"] == "succeeded"
    for statement in ("CREATE TABLE t (a INT)", "DROP TABLE IF EXISTS t", f"INSERT OVERWRITE DIRECTORY '{folder}/z' USING parquet SELECT 1", "BEGIN SELECT 1; END", "EXECUTE IMMEDIATE 'DROP TABLE x'", "SELECT * FROM (SELECT TRANSFORM (1) USING 'cat' AS (a))"):
        reader.refused("/v1/statements", {"statement": statement}, 403, "PERMISSION_DENIED")
    reader.refused("/v1/delta/delete", {"path": "/x", "all": True}, 403, "PERMISSION_DENIED")
    reader.refused("/v1/datasets/modify", {"path": str(folder), "sql": "SELECT * FROM data_table", "output_path": "/x"}, 403, "PERMISSION_DENIED")


def test_places(guarded):
    folder, _, apis = guarded
    writer = apis["writer"]
    own, other = folder / "own", folder / "other"
    assert writer.ok("/v1/datasets/count", {"path": str(own)})["count"] == 3
    for path in (other, f"{own}/../other", f"file://{other}", f"{folder}/own-not", "/etc/passwd"):
        writer.refused("/v1/datasets/query", {"path": str(path), "format": "text"}, 403, "PERMISSION_DENIED")
    for statement in (f"SELECT * FROM parquet.`{other}/x.parquet`", f"CREATE TABLE stolen USING parquet LOCATION '{other}'", f"SELECT * FROM text.`{other}`"):
        job = writer.sql(statement)
        assert job["state"] == "failed" and job["error"]["condition"] == "PERMISSION_DENIED", job
    job = writer.ok("/v1/datasets/modify", {"path": str(own), "sql": "SELECT * FROM data_table", "output_path": str(other / "y")})
    assert job["state"] == "failed" and job["error"]["status"] == 403 and not (other / "y").exists()
    writer.job("/v1/datasets/modify", {"path": str(own / "x.parquet"), "sql": "SELECT * FROM data_table", "output_path": str(own / "y")})
    assert apis["admin"].ok("/v1/datasets/count", {"path": str(other)})["count"] == 3


def test_jobs_of_others(guarded):
    _, _, apis = guarded
    job = apis["reader"].sql("SELECT 1")
    assert apis["writer"].get(f"/v1/jobs/{job['id']}").status_code == 404
    assert apis["writer"].get(f"/v1/statements/{job['id']}/chunks/0").status_code == 404
    assert apis["writer"].session.delete(apis["writer"].base + f"/v1/jobs/{job['id']}", timeout=60).status_code == 404
    assert apis["writer"].get("/v1/jobs?user=reader").status_code == 403
    assert all(found["user"] == "writer" for found in apis["writer"].get("/v1/jobs").json()["jobs"])
    assert apis["admin"].get(f"/v1/jobs/{job['id']}").json()["user"] == "reader"


def test_limits_of_requests():
    settings = {
        "firesteel.service.maxBodyBytes": 2000,
        "firesteel.service.bodyTimeout": "1s",
        "firesteel.service.rateLimit": 5,
        "firesteel.service.corsOrigins": "https://app.example",
        "spark.connect.authenticate.token": "of-the-conf",
    }
    server = servers.start_firesteel(settings, http=True)
    try:
        api = Api(server.rest, "of-the-conf")
        assert api.get("/v1/session").json()["scope"] == "admin"
        api.refused("/v1/statements", {"statement": "SELECT '" + "x" * 3000 + "'"}, 413, "REQUEST_TOO_LARGE")

        def endless():
            while True:
                yield b" " * 1000

        try:
            response = api.session.post(api.base + "/v1/statements", data=endless(), timeout=60)
            assert response.status_code == 413
        except requests.exceptions.ConnectionError:
            pass
        host, port = server.rest.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v1/statements HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer of-the-conf\r\nContent-Length: 100\r\n\r\n{")
            slow.settimeout(10)
            assert b" 408 " in slow.recv(1000)
        preflight = requests.options(
            server.rest + "/v1/statements",
            headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"},
            timeout=60,
        )
        assert preflight.status_code == 204 and preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
        other = requests.get(server.rest + "/healthz", headers={"Origin": "https://evil.example"}, timeout=60)
        assert "Access-Control-Allow-Origin" not in other.headers
        statuses = {api.get("/v1/session").status_code for _ in range(60)}
        assert 429 in statuses
    finally:
        server.close()


# S3


@pytest.fixture(scope="module")
def store():
    store = stores.Store()
    store.client.create_bucket(Bucket="lake")
    yield store
    store.close()


def test_credentials_of_a_request(api, server, store, users):
    path, _ = users
    proxy = stores.Proxy(store, stores.checking({"somebody": SECRET}))
    try:
        store.client.upload_file(str(path), "lake", "data/users.parquet")
        credentials = {"aws_access_key_id": "somebody", "aws_secret_access_key": SECRET, "aws_region": "us-east-1", "endpoint_url": proxy.endpoint}
        body = {"path": "s3://lake/data/users.parquet", "filters": {"id": {"<": 2}}, "columns": ["id"]}
        assert ids(api.ok("/v1/datasets/query", {**body, "credentials": credentials})) == [0, 1]
        wrong = api.refused("/v1/datasets/query", {**body, "credentials": {**credentials, "aws_secret_access_key": "wrong"}}, 403, "STORAGE_ACCESS_DENIED")
        assert "wrong" not in json.dumps(wrong["parameters"])
        assert api.post("/v1/datasets/query", {**body, "credentials": {**credentials, "nope": SECRET}}).status_code == 400
        sql = "SELECT department, count(*) AS n FROM data_table GROUP BY department"
        job = api.job("/v1/datasets/modify", {"path": "s3://lake/data/users.parquet", "sql": sql, "output_path": "s3://lake/out/counts", "credentials": credentials})
        assert job["metrics"]["rows_written"] == 2
        assert any(key.endswith("_SUCCESS") for key in store.keys("lake", "out/counts"))
        failed = api.ok("/v1/statements", {"statement": "SELECT 1/0", "credentials": credentials})
        api.refused(f"/v1/jobs/{failed['id']}/retry", {}, 422, "CREDENTIALS_REQUIRED", "credentials")
        assert api.ok(f"/v1/jobs/{failed['id']}/retry", {"credentials": credentials})["state"] == "failed"
        shown = api.get("/v1/jobs?limit=1000").text + server.log.read_text(errors="replace")
        assert SECRET not in shown
        data = server.folder / "data"
        assert not any(SECRET.encode() in file.read_bytes() for file in data.glob("service.db*"))
    finally:
        proxy.close()


def test_profiles(store, users):
    store.client.upload_file(str(users[0]), "lake", "profile/users.parquet")
    prefix = "firesteel.service.profile.lake.fs.s3a."
    settings = {prefix + "endpoint": store.endpoint, prefix + "access.key": "a", prefix + "secret.key": SECRET, prefix + "path.style.access": "true"}
    server = servers.start_firesteel(settings, http=True)
    try:
        api = Api(server.rest)
        answer = api.ok("/v1/datasets/count", {"path": "s3a://lake/profile/users.parquet", "credentials": {"profile": "lake"}})
        assert answer["count"] == 1000
        api.refused("/v1/datasets/count", {"path": "s3a://lake/x", "credentials": {"profile": "none"}}, 400, field="credentials.profile")
        assert SECRET not in json.dumps(api.sql("SET -v")) and SECRET not in json.dumps(api.sql("SET"))
    finally:
        server.close()
