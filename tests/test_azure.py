"""Tables on Azure's storage: Microsoft's Azurite is the service, and Microsoft's client looks at it from outside."""
import base64
import json
import ssl
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.register_assert_rewrite("support.store_tests")
from support import azure, servers, stores, tls  # noqa: E402
from support.store_tests import StoreTests, configure, rows  # noqa: E402

HOST = f"{azure.ACCOUNT}.dfs.core.windows.net"
ANOTHER_KEY = base64.b64encode(b"another key").decode()


@pytest.fixture(scope="module")
def store():
    store = azure.Store()
    store.create("lake")
    yield store
    store.close()


@pytest.fixture(scope="module")
def server():
    server = servers.start_firesteel(http=True)
    yield server
    server.close()


@pytest.fixture(scope="module")
def firesteel(server):
    return server.remote


@pytest.fixture(scope="module")
def firesteel_rest(server):
    return server.rest


def told(endpoint, **more):
    return {"fs.azure.abfs.endpoint": endpoint, "fs.azure.io.retry.backoff.interval": "20ms", **more}


@pytest.fixture
def settings(store):
    return told(store.endpoint, **{f"spark.hadoop.fs.azure.account.key.{HOST}": azure.KEY})


@pytest.fixture
def session(spark, settings):
    configure(spark, settings)
    return spark


@pytest.fixture
def folder():
    return "t-" + uuid.uuid4().hex[:12]


@pytest.fixture
def path(folder):
    return f"abfss://lake@{HOST}/{folder}/table"


@pytest.fixture
def proxy(store):
    proxy = stores.Proxy(store)
    yield proxy
    proxy.close()


@pytest.fixture
def through(proxy):
    return told(proxy.endpoint, **{f"fs.azure.account.key.{HOST}": azure.KEY})


@pytest.fixture
def silent():
    return lambda endpoint: {"fs.azure.abfs.endpoint": endpoint, "fs.azure.http.read.timeout": "1s", "fs.azure.http.connection.timeout": "1s"}


class TestStore(StoreTests):
    root = f"abfss://lake@{HOST}"
    retries = "fs.azure.io.retry.max.retries"
    secrets = (azure.KEY, ANOTHER_KEY)
    wrong = {f"fs.azure.account.key.{HOST}": ANOTHER_KEY}

    def known_to_others(self, store, path):
        place = path.replace(f"lake@{HOST}", "lake").replace("abfss:", "az:")
        options = {"account_name": azure.ACCOUNT, "account_key": azure.KEY, "endpoint": f"{store.endpoint}/{azure.ACCOUNT}", "allow_http": "true"}
        return place, options


def test_markers(session, store, folder, path):
    """A folder with nothing in it is an empty blob that says so, as Hadoop's connectors and Azure's console make it."""
    name = "t_" + folder.replace("-", "_")
    session.sql(f"CREATE TABLE {name} (a INT) USING parquet LOCATION '{path}'")
    assert store.metadata("lake", f"{folder}/table") == {"hdi_isfolder": "true"}
    session.sql(f"INSERT INTO {name} VALUES (1)")
    store.put("lake", f"{folder}/table/of-others", b"", metadata={"hdi_isfolder": "true"})
    store.put("lake", f"{folder}/table/p=1", b"", metadata={"hdi_isfolder": "true"})
    assert rows(session.table(name)) == [(1,)]
    session.sql(f"INSERT OVERWRITE {name} VALUES (2)")
    assert rows(session.table(name)) == rows(session.read.parquet(path)) == [(2,)]


# Credentials


def test_keys_and_signatures(session, store, path, firesteel):
    session.range(3).write.parquet(path)
    whole, reading = store.signature("lake"), store.signature("lake", "rl")
    good = [
        {"fs.azure.account.key": azure.KEY},
        {"spark.hadoop.fs.azure.account.key": azure.KEY, "fs.azure.account.auth.type": "SharedKey"},
        {f"fs.azure.account.key.{HOST.replace('.dfs.', '.blob.')}": azure.KEY},
        {"fs.azure.sas.fixed.token": whole},
        {f"spark.hadoop.fs.azure.sas.fixed.token.{HOST}": f"?{whole}", f"fs.azure.account.auth.type.{HOST}": "SAS"},
        {f"fs.azure.sas.lake.{azure.ACCOUNT}.blob.core.windows.net": whole, "fs.azure.account.auth.type": "SAS"},
    ]
    for place, settings in enumerate(good):
        spark = servers.connect(firesteel)
        configure(spark, told(store.endpoint, **settings))
        assert spark.read.parquet(path).count() == 3, settings
        spark.range(1).write.mode("append").parquet(f"{path}-2")
        spark.sql(f"CREATE TABLE t_{uuid.uuid4().hex} (a INT) USING parquet LOCATION '{path}-ü {place}'")
        spark.range(1).write.mode("overwrite").parquet(f"{path}-2")
        for scheme in ("abfs", "wasbs"):
            assert spark.read.parquet(path.replace("abfss:", f"{scheme}:")).count() == 3
        spark.stop()
    spark = servers.connect(firesteel)
    configure(spark, told(store.endpoint, **{"fs.azure.sas.fixed.token": reading}))
    assert spark.read.parquet(path).count() == 3
    message = TestStore().fails(lambda: spark.range(1).write.mode("append").parquet(path))
    assert "AccessDenied" in message and "sig=" not in message
    spark.stop()
    refused = {
        "AccessDenied": {"fs.azure.sas.fixed.token": store.signature("lake", hours=-1)},
        f"fs.azure.account.key is not set for {HOST}": {},
        "fs.azure.sas.fixed.token is not set": {"fs.azure.account.auth.type": "SAS"},
        "not well-formed": {"fs.azure.account.key": "no Base64 !"},
        "auth.type custom": {"fs.azure.account.auth.type": "Custom"},
    }
    for words, settings in refused.items():
        spark = servers.connect(firesteel)
        configure(spark, told(store.endpoint, **settings))
        message = TestStore().fails(lambda: spark.read.parquet(path).count())
        assert words in message and "sig=" not in message
        spark.stop()


def test_names_of_accounts(store, proxy, folder):
    """Without an endpoint among the settings requests go to the account's own host: here by way of a proxy of the machine's."""
    proxy.rewrite = lambda path: urllib.parse.urlsplit(path)._replace(scheme="", netloc="").geturl()
    own = servers.start_firesteel(environment={"HTTP_PROXY": proxy.endpoint, "http_proxy": proxy.endpoint})
    spark = servers.connect(own.remote)
    configure(spark, {"fs.azure.account.key": azure.KEY, "fs.azure.always.use.https": "false"})
    for scheme, host in (("abfs", "dfs"), ("wasb", "blob")):
        path = f"{scheme}://lake@{azure.ACCOUNT}.{host}.core.windows.net/{folder}/{scheme}"
        spark.range(3).write.parquet(path)
        assert spark.read.parquet(path).count() == 3
    assert proxy.requests and all(path.startswith(f"http://{azure.ACCOUNT}.blob.core.windows.net/lake") for _, path in proxy.requests)
    assert f"{folder}/abfs/_SUCCESS" in store.keys("lake", folder)
    spark.stop()
    own.close()


class Tokens:
    """Where tokens come from: Entra's endpoint for one tenant, which knows one client and its secret."""

    def __init__(self, certificate, key):
        tokens = self
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                tokens.asked.append((self.path, body))
                known = (body.get("client_id"), body.get("client_secret")) == ("the-client", "the-secret")
                answer = {"access_token": token(), "expires_in": 3600, "token_type": "Bearer"} if known else {"error": "invalid_client"}
                answer = json.dumps(answer).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.endpoint = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def token():
    """Azurite looks at what a token claims, and not at who signed it."""
    now = int(time.time())
    claims = {"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/the-tenant/", "nbf": now - 60, "iat": now - 60, "exp": now + 3600}
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def test_oauth(folder, firesteel, tmp_path, request):
    """Client credentials, with a service that takes HTTPS and tokens."""
    authority = tls.Authority(tmp_path)
    store, tokens = azure.Store(*authority.issue("azurite")), Tokens(*authority.issue("tokens"))
    store.create("lake")
    own = servers.start_firesteel(environment={"SSL_CERT_FILE": str(authority.file)})
    for started in (store, tokens, own):
        request.addfinalizer(started.close)
    spark = servers.connect(own.remote)
    path = f"abfss://lake@{HOST}/{folder}"
    configure(spark, told(store.endpoint))
    configure(
        spark,
        {
            "fs.azure.account.auth.type": "OAuth",
            "fs.azure.account.oauth.provider.type": "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
            f"fs.azure.account.oauth2.client.id.{HOST}": "the-client",
            f"fs.azure.account.oauth2.client.secret.{HOST}": "the-secret",
            f"fs.azure.account.oauth2.client.endpoint.{HOST}": f"{tokens.endpoint}/the-tenant/oauth2/token",
        },
    )
    spark.range(3).write.format("delta").save(path)
    assert spark.read.format("delta").load(path).count() == 3
    assert tokens.asked and tokens.asked[0][0].startswith("/the-tenant/oauth2/")
    spark.conf.set(f"fs.azure.account.oauth2.client.secret.{HOST}", "a-wrong-secret")
    message = TestStore().fails(lambda: spark.read.format("delta").load(path).count())
    assert "AccessDenied" in message and "secret" not in message
    spark.stop()
    # The machine does not know who has signed the service's certificate.
    spark = servers.connect(firesteel)
    configure(spark, told(store.endpoint, **{"fs.azure.account.key": azure.KEY, "fs.azure.io.retry.max.retries": "0"}))
    message = TestStore().fails(lambda: spark.read.format("delta").load(path).count())
    assert "certificate of the store's endpoint is not trusted (UnknownIssuer)" in message
    spark.stop()
