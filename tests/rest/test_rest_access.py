"""Tokens, scopes, places, limits and credentials of stores (S3 is `moto`)."""
import json
import socket
import subprocess
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from support import servers, stores
from support.rest import SECRET, Api, check_problem, ids


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
