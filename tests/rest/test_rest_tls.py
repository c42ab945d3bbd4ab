"""TLS on both ports: with a certificate of an authority of our own, seen by clients that check it."""
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import textwrap

import grpc
import httpx
import pytest
from support import servers
from support.tls import Authority

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    certificate, key = authority.issue("server")
    conf = {"firesteel.tls.certificate": certificate, "firesteel.tls.key": key, "spark.connect.authenticate.token": "hush"}
    server = servers.start_firesteel(conf, http=True)
    yield server
    server.close()


def client(server, authority, **options):
    trust = ssl.create_default_context(cafile=str(authority.file))
    return httpx.Client(base_url=server.rest, verify=trust, headers={"Authorization": "Bearer hush"}, timeout=60, **options)


def port(address):
    return int(address.split("/")[2].rsplit(":", 1)[1])


def in_a_process(code, *arguments, **environment):
    """Python's own process: whom gRPC trusts is decided once for each."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


def test_rest(server, authority):
    assert server.rest.startswith("https://127.0.0.1:")
    with client(server, authority) as api:
        # More than one record of TLS, both ways.
        statement = f"SELECT id, '{'x' * 20_000}' AS text FROM range(20)"
        answer = api.post("/v1/statements", json={"statement": statement})
        assert answer.status_code == 200, answer.text
        rows = answer.json()["data"]
        assert [row["id"] for row in rows] == list(range(20)) and {row["text"] for row in rows} == {"x" * 20_000}
        assert api.get("/v1/session", headers={"Authorization": "Bearer other"}).status_code == 401


def test_who_does_not_trust_or_has_no_tls(server, authority):
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{server.rest}/healthz")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port(server.rest)}/healthz")
    with client(server, authority) as api:
        assert api.get("/healthz").status_code == 200


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions(server, authority, version):
    trust = ssl.create_default_context(cafile=str(authority.file))
    trust.minimum_version = trust.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", port(server.rest)), 10) as plain:
        with trust.wrap_socket(plain, server_hostname="localhost") as secure:
            assert secure.version() == version.replace("_", ".")


def test_silent_clients_hold_up_nobody(server, authority):
    silent = [socket.create_connection(("127.0.0.1", port(address)), 10) for address in (server.rest, server.remote) for _ in range(20)]
    with client(server, authority) as api:
        assert api.get("/healthz").status_code == 200
    assert spark(server, authority, "SELECT 1 AS one").returncode == 0
    for connection in silent:
        connection.close()


def spark(server, authority, query):
    code = """
        import sys
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
        print([tuple(row) for row in spark.sql(sys.argv[2]).collect()])
        """
    # Where a token is given, TLS is asked for by itself.
    return in_a_process(code, f"{server.remote};token=hush", query, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(authority.file))


def test_pyspark(server, authority, tmp_path):
    assert server.remote.endswith("/;use_ssl=true")
    done = spark(server, authority, "SELECT id, repeat('x', 3) FROM range(2)")
    assert done.stdout.strip() == "[(0, 'xxx'), (1, 'xxx')]", done.stderr
    # PySpark asks again for minutes: its library says at once what it does not trust.
    for trusted, is_ready in ((authority, True), (Authority(tmp_path), False)):
        credentials = grpc.ssl_channel_credentials(trusted.file.read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{port(server.remote)}", credentials) as channel:
            with contextlib.nullcontext() if is_ready else pytest.raises(grpc.FutureTimeoutError):
                grpc.channel_ready_future(channel).result(30 if is_ready else 3)


def test_our_own_clients(server, authority):
    command = [str(servers.binary()), "sql", "--remote", f"{server.remote};token=hush", "-e", "SELECT 41 + 1 AS answer"]
    done = subprocess.run(command, env={**os.environ, "SSL_CERT_FILE": str(authority.file)}, capture_output=True, text=True, timeout=60)
    assert "42" in done.stdout, done.stderr
    refused = subprocess.run(command, env={**os.environ, "SSL_CERT_FILE": "/dev/null"}, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0 and "42" not in refused.stdout
    code = """
        import ssl, sys, firesteel
        trust = ssl.create_default_context(cafile=sys.argv[2])
        with firesteel.Client(sys.argv[1], token="hush", verify=trust) as client:
            print(client.sql("SELECT 41 + 1 AS answer").fetch())
        """
    package = os.pathsep.join([str(servers.ROOT / "python" / "src"), os.environ.get("PYTHONPATH", "")])
    done = in_a_process(code, server.rest, str(authority.file), PYTHONPATH=package)
    assert "42" in done.stdout, done.stderr


def refused_start(*arguments):
    command = [str(servers.binary()), "server", "--connect-port", "0", "--http-port", "0", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    return done.stderr


def test_bad_certificates(authority, tmp_path):
    certificate, key = authority.issue("one")
    other = authority.issue("two")[1]
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n")
    cases = [
        (["--tls-certificate", certificate], "a certificate needs its key: --tls-key"),
        (["--tls-key", key], "a key needs its certificate: --tls-certificate"),
        (["--tls-certificate", certificate, "--tls-key", other], f"{other} is not the key of the certificate {certificate}"),
        (["--tls-certificate", tmp_path / "none.pem", "--tls-key", key], f"the certificate {tmp_path / 'none.pem'} cannot be read"),
        (["--tls-certificate", certificate, "--tls-key", certificate], f"{certificate} holds no key in PEM form"),
        (["--tls-certificate", broken, "--tls-key", key], f"the certificate {broken} is not in PEM form"),
    ]
    for arguments, message in cases:
        assert message in refused_start(*arguments), message


def test_flags(authority, tmp_path):
    certificate, key = authority.issue("three")
    flags = {"firesteel.tls.certificate": tmp_path / "overruled", "firesteel.tls.key": tmp_path / "overruled"}
    server = servers.start_firesteel(flags, http=True, arguments=["--tls-certificate", str(certificate), "--tls-key", str(key)])
    try:
        assert json.loads((server.folder / "ready.json").read_text())["rest"] == server.rest
        with client(server, authority) as api:
            assert api.get("/healthz").status_code == 200
    finally:
        server.close()
