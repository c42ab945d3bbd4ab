"""Tables on Google Cloud Storage: fake-gcs-server behind the XML API (support/google.py), which looks at the tokens."""
import json
import uuid

import pytest

pytest.register_assert_rewrite("support.store_tests")
from support import google, servers, stores  # noqa: E402
from support.store_tests import StoreTests, configure, rows  # noqa: E402

TOKEN = "a-token-that-is-told-to-nobody"


@pytest.fixture(scope="module")
def store():
    store = google.Store()
    store.create("lake")
    store.gateway.allows = lambda bearer: bearer == TOKEN
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
    return {"fs.gs.storage.root.url": endpoint, "fs.gs.http.retry.interval": "20ms", **more}


@pytest.fixture
def settings(store):
    return told(store.endpoint, **{"spark.hadoop.fs.gs.auth.access.token": TOKEN})


@pytest.fixture
def session(spark, settings):
    configure(spark, settings)
    return spark


@pytest.fixture
def folder():
    return "t-" + uuid.uuid4().hex[:12]


@pytest.fixture
def path(folder):
    return f"gs://lake/{folder}/table"


@pytest.fixture
def proxy(store):
    proxy = stores.Proxy(store)
    yield proxy
    proxy.close()


@pytest.fixture
def through(proxy):
    return told(proxy.endpoint, **{"fs.gs.auth.access.token": TOKEN})


@pytest.fixture
def silent():
    return lambda endpoint: {"fs.gs.storage.root.url": endpoint, "fs.gs.http.read-timeout": "1s", "fs.gs.http.connect-timeout": "1s"}


class TestStore(StoreTests):
    root = "gs://lake"
    retries = "fs.gs.http.max.retry"
    secrets = (TOKEN,)
    wrong = {"fs.gs.auth.access.token": "another"}

    def known_to_others(self, store, path):
        account = {"gcs_base_url": store.endpoint, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
        return path, {"google_service_account_key": json.dumps(account), "allow_http": "true"}

    def others(self, store, path):
        # `deltalake` has no setting for a token: it comes as nobody.
        store.gateway.allows = lambda bearer: bearer in (TOKEN, "", None)
        try:
            return super().others(store, path)
        finally:
            store.gateway.allows = lambda bearer: bearer == TOKEN


# Credentials


@pytest.fixture
def account(store, tmp_path):
    account = google.Account(tmp_path)
    store.gateway.allows = lambda bearer: bearer == TOKEN or bearer is not None and account.signed(bearer)
    yield account
    store.gateway.allows = lambda bearer: bearer == TOKEN


def test_service_accounts(session, store, account, path, firesteel, tmp_path):
    session.range(3).write.parquet(path)
    parts = {"email": account.name, "private.key.id": "k1", "private.key": account.pem.replace("\n", "\\n")}
    good = [
        {"spark.hadoop.google.cloud.auth.service.account.json.keyfile": str(account.file)},
        {"google.cloud.auth.service.account.json.keyfile": str(account.file)},
        {"fs.gs.auth.type": "SERVICE_ACCOUNT_JSON_KEYFILE", "fs.gs.auth.service.account.json.keyfile": str(account.file)},
        {f"fs.gs.auth.service.account.{key}": value for key, value in parts.items()},
    ]
    for settings in good:
        spark = servers.connect(firesteel)
        configure(spark, told(store.endpoint, **settings))
        assert spark.read.parquet(path).count() == 3, settings
        spark.range(1).write.mode("append").parquet(f"{path}-2")
        # Requests for directories are signed as well.
        spark.sql(f"CREATE TABLE t_{uuid.uuid4().hex} (a INT) USING parquet LOCATION '{path}-{uuid.uuid4().hex}'")
        spark.stop()
    stranger = google.Account(tmp_path)
    refused = {
        "AccessDenied": {"fs.gs.auth.service.account.json.keyfile": str(stranger.file)},
        "401": {"fs.gs.auth.type": "UNAUTHENTICATED"},
        "not well-formed": {"fs.gs.auth.service.account.json.keyfile": "/no/such/file.json"},
        "json.keyfile is not set": {"fs.gs.auth.type": "SERVICE_ACCOUNT_JSON_KEYFILE"},
        "USER_CREDENTIALS": {"fs.gs.auth.type": "USER_CREDENTIALS"},
    }
    for words, settings in refused.items():
        spark = servers.connect(firesteel)
        configure(spark, told(store.endpoint, **settings))
        message = TestStore().fails(lambda: spark.read.parquet(path).count())
        assert words in message and "PRIVATE KEY" not in message
        spark.stop()


def test_public_buckets(session, store, path, firesteel):
    session.range(3).write.parquet(path)
    store.gateway.allows = lambda bearer: bearer in (None, TOKEN)
    spark = servers.connect(firesteel)
    configure(spark, told(store.endpoint, **{"fs.gs.auth.type": "UNAUTHENTICATED"}))
    assert spark.read.parquet(path).count() == 3
    spark.stop()
    store.gateway.allows = lambda bearer: bearer == TOKEN


def test_application_default_credentials(session, store, account, path):
    """The file that GOOGLE_APPLICATION_CREDENTIALS names, as Google's own libraries find it."""
    session.range(3).write.parquet(path)
    own = servers.start_firesteel(environment={"GOOGLE_APPLICATION_CREDENTIALS": str(account.file)})
    spark = servers.connect(own.remote)
    for kind in ("", "APPLICATION_DEFAULT"):
        configure(spark, told(store.endpoint, **{"fs.gs.auth.type": kind}))
        assert spark.read.parquet(path).count() == 3
    spark.stop()
    own.close()


def test_settings_of_the_server(session, store, account, path):
    session.range(3).write.parquet(path)
    keyfile = {"spark.hadoop.google.cloud.auth.service.account.json.keyfile": str(account.file)}
    own = servers.start_firesteel({f"spark.hadoop.{key}": value for key, value in told(store.endpoint).items()} | keyfile)
    spark = servers.connect(own.remote)
    assert rows(spark.read.parquet(path)) == [(0,), (1,), (2,)]
    spark.stop()
    own.close()
