"""Iceberg's REST catalog: its own server, with real Spark as the other client."""
import json
import urllib.parse
import uuid

import pytest
from pyspark.errors import PySparkException
from support import iceberg, iceberg_rest, servers, stores
from support.outcome import difference, outcome_of
from test_iceberg import ALTERATIONS, CASES, CHANGES, both_directions, fails, rows, run, writers_at_once

BUCKET = "lake"
VENDED = {"s3.access-key-id": "vended", "s3.secret-access-key": "by the catalog", "s3.session-token": "for a while"}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return tmp_path_factory.mktemp("rest")


@pytest.fixture(scope="module")
def catalog(warehouse):
    server = iceberg_rest.Catalog(warehouse / "catalog", warehouse / "tables")
    assert server.ask("POST", "/v1/namespaces", {"namespace": ["db"]})[0] == 200
    yield server
    server.close()


@pytest.fixture(scope="module")
def theirs(warehouse, catalog):
    server = iceberg.start_spark(warehouse / "folder", [iceberg.aws()])
    session = servers.connect(server.remote)
    configure(session, "rest", catalog.uri)
    yield session
    session.stop()
    server.close()


def configure(session, name, uri, **more):
    for key, value in iceberg_rest.settings(name, uri, **more).items():
        session.conf.set(key, value)


@pytest.fixture
def ours(spark, catalog):
    configure(spark, "rest", catalog.uri)
    return spark


@pytest.fixture
def name():
    return "t" + uuid.uuid4().hex[:12]


@pytest.fixture
def proxied(spark, catalog):
    """A catalog `odd` that is asked through a proxy, which misbehaves as it is told."""
    proxy = stores.Proxy(catalog)
    configure(spark, "odd", proxy.endpoint)
    yield proxy
    proxy.close()


def commits(request):
    return request.method == "POST" and "/tables/" in request.path


@pytest.mark.parametrize("case", CASES)
def test_both_directions(ours, theirs, name, case):
    both_directions(ours, theirs, f"rest.db.{name}", case)


def test_alter_table(ours, theirs, name):
    tables = {session: f"rest.db.{name}_{who}" for session, who in ((ours, "ours"), (theirs, "theirs"))}
    make = """CREATE TABLE {t} (id INT, name STRING, s STRUCT<a: INT, b: STRING>, l ARRAY<STRUCT<v: INT>>, old INT, f FLOAT,
              n DECIMAL(9, 2), r INT NOT NULL) USING iceberg PARTITIONED BY (bucket(2, id))"""
    row = "INSERT INTO {t} VALUES (1, 'a', named_struct('a', 1, 'b', 'x'), array(named_struct('v', 1)), 9, 0.5, 1.25, 1)"
    later = """INSERT INTO {t} VALUES ('b', named_struct('z', 2, 'c', 2.5D, 'b', 'y'), 5000000000,
               array(named_struct('v', 2, 'w', array(map('k', 1)))), 0.25D, 1234567890.25, NULL, 'new')"""
    for session, table in tables.items():
        for statement in [make, row, *ALTERATIONS, later]:
            session.sql(statement.format(t=table))
    query = "SELECT * FROM {t} ORDER BY id"
    answers = [outcome_of(lambda s=s: s.sql(query.format(t=table))) for s in tables for table in tables.values()]
    assert not answers[0].failed and len(answers[0].rows) == 2
    for answer in answers:
        answer.schema = ""
    assert all(difference(answers[0], answer, True) is None for answer in answers[1:])
    for session in tables:
        for table in tables.values():
            properties = {row.key: row.value for row in session.sql(f"SHOW TBLPROPERTIES {table}").collect()}
            assert properties["b"] == "2" and "a" not in properties


@pytest.mark.parametrize("by", ["", "PARTITIONED BY (bucket(3, id), truncate(1, name))"])
def test_rows_that_change(ours, theirs, name, by):
    make = f"CREATE TABLE {{t}} (id LONG, name STRING, s STRUCT<a: LONG, b: STRING>) USING iceberg {by}"
    rows_of = "INSERT INTO {t} SELECT id, IF(id % 10 = 0, NULL, CAST(id AS STRING)), named_struct('a', id, 'b', 'b') FROM range(0, 1000, 1, 2)"
    tables = {"ours": f"rest.db.{name}_ours", "theirs": f"rest.db.{name}_theirs", "both": f"rest.db.{name}_both"}
    for index, statement in enumerate([make, rows_of, *CHANGES]):
        for who, table in tables.items():
            session = ours if who == "ours" or (who == "both" and index % 2) else theirs
            session.sql(statement.format(t=table)).collect()
    wanted = rows(theirs.table(tables["theirs"]))
    assert len(wanted) > 700
    for session in (ours, theirs):
        for table in tables.values():
            assert rows(session.table(table)) == wanted


def test_replaced_and_dropped(ours, theirs, warehouse, name):
    table = f"rest.db.{name}"
    ours.sql(f"CREATE TABLE {table} USING iceberg AS SELECT id, struct(id AS x) AS s, array(id) AS a FROM range(5)")
    assert fails(lambda: ours.sql(f"CREATE TABLE {table} (id INT) USING iceberg")).getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    ours.sql(f"CREATE TABLE IF NOT EXISTS {table} (id INT) USING iceberg")
    first = theirs.sql(f"SELECT snapshot_id FROM {table}.snapshots").first()[0]
    ours.sql(f"CREATE OR REPLACE TABLE {table} USING iceberg PARTITIONED BY (k) TBLPROPERTIES ('x' = 'y') AS SELECT 'a' AS k, 1 AS v")
    for session in (ours, theirs):
        assert rows(session.table(table)) == [("a", 1)]
        assert session.sql(f"SELECT id FROM {table} VERSION AS OF {first}").count() == 5
        assert session.sql(f"SHOW TBLPROPERTIES {table} ('x')").first()[1] == "y"
    theirs.sql(f"CREATE OR REPLACE TABLE {table} USING iceberg AS SELECT 2 AS w")
    ours.sql(f"INSERT INTO {table} VALUES (3)")
    assert rows(ours.table(table)) == rows(theirs.table(table)) == [(2,), (3,)]
    ours.sql(f"CREATE OR REPLACE TABLE {table} (z STRING) USING iceberg")
    assert theirs.table(table).columns == ["z"] and theirs.table(table).count() == 0
    ours.range(3).writeTo(table).using("iceberg").createOrReplace()
    ours.range(3, 5).writeTo(table).append()
    assert theirs.table(table).count() == 5
    assert ours.catalog.tableExists(table)
    files = set((warehouse / "tables").rglob("*.parquet"))
    ours.sql(f"DROP TABLE {table}")
    assert not ours.catalog.tableExists(table) and not theirs.catalog.tableExists(table)
    assert fails(lambda: ours.sql(f"DROP TABLE {table}")).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    ours.sql(f"DROP TABLE IF EXISTS {table}")
    # A catalog forgets a table, and its files stay; PURGE takes them along.
    assert set((warehouse / "tables").rglob("*.parquet")) == files
    ours.sql(f"CREATE TABLE {table}_p USING iceberg AS SELECT 1 AS a")
    more = set((warehouse / "tables").rglob("*.parquet")) - files
    ours.sql(f"DROP TABLE {table}_p PURGE")
    assert more and not any(file.exists() for file in more)


def test_missing_namespaces_and_bad_addresses(ours, name):
    for statement in ("CREATE TABLE rest.none.t (id INT) USING iceberg", "CREATE TABLE rest.none.t USING iceberg AS SELECT 1 AS a"):
        assert fails(lambda s=statement: ours.sql(s)).getCondition() == "SCHEMA_NOT_FOUND"
    assert fails(lambda: ours.table("rest.none.t").collect()).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    configure(ours, "gone", f"http://127.0.0.1:{servers.free_port()}")
    assert "Iceberg REST catalog" in str(fails(lambda: ours.table("gone.db.t").collect()))
    configure(ours, "wrong", "/not/http")
    assert "must be one of http" in str(fails(lambda: ours.table("wrong.db.t").collect()))
    configure(ours, "signed", "http://127.0.0.1:1", **{"rest.auth.type": "sigv4"})
    assert fails(lambda: ours.table("signed.db.t").collect()).getCondition() == "UNSUPPORTED_FEATURE.FIRESTEEL"


# Many writers, and a catalog that fails


def test_writers_at_once(ours, theirs, firesteel, catalog, name):
    table = f"rest.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id LONG) USING iceberg")
    others = [servers.connect(firesteel) for _ in range(3)]
    for session in others:
        configure(session, "rest", catalog.uri)
    writers_at_once(ours, theirs, others, table)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_commit_whose_answer_is_lost(ours, proxied, name, status):
    """It was taken: the statement succeeds, and has its effect once."""
    ours.sql(f"CREATE TABLE odd.db.{name} (id LONG) USING iceberg")
    lost = []

    def lose(request):
        if commits(request) and not lost:
            lost.append(request.path)
            return status, "lost"

    proxied.lose = lose
    ours.sql(f"INSERT INTO odd.db.{name} VALUES (1)")
    assert lost
    lost.clear()
    ours.sql(f"UPDATE odd.db.{name} SET id = id + 1")
    lost.clear()
    ours.sql(f"ALTER TABLE odd.db.{name} ADD COLUMN more STRING")
    lost.clear()
    ours.sql(f"CREATE TABLE odd.db.{name}_2 USING iceberg AS SELECT 1 AS id")
    assert rows(ours.table(f"rest.db.{name}")) == [(2, None)] and rows(ours.table(f"rest.db.{name}_2")) == [(1,)]
    assert ours.sql(f"SELECT operation FROM rest.db.{name}.snapshots").count() == 2


def test_a_commit_of_which_nothing_is_known(ours, theirs, proxied, warehouse, name):
    """Its files stay, as the catalog may still take it; the table is as it was."""
    ours.sql(f"CREATE TABLE odd.db.{name} (id LONG) USING iceberg")
    ours.sql(f"INSERT INTO odd.db.{name} VALUES (1)")
    data = warehouse / "tables" / "db" / name / "data"
    proxied.answer = lambda request: (500, "broken") if commits(request) else None
    error = fails(lambda: ours.sql(f"INSERT INTO odd.db.{name} VALUES (2)"))
    assert "did not say" in str(error) and len(list(data.glob("*.parquet"))) == 2
    # A request that is wrong leaves nothing behind.
    proxied.answer = lambda request: (400, "wrong") if commits(request) else None
    error = fails(lambda: ours.sql(f"INSERT INTO odd.db.{name} VALUES (3)"))
    assert "400" in str(error) and len(list(data.glob("*.parquet"))) == 2
    proxied.answer = lambda request: (403, "no") if commits(request) else None
    assert "403" in str(fails(lambda: ours.sql(f"DELETE FROM odd.db.{name}")))
    proxied.answer = lambda request: None
    assert rows(ours.table(f"odd.db.{name}")) == rows(theirs.table(f"rest.db.{name}")) == [(1,)]


@pytest.mark.parametrize("method, status", [("POST", 503), ("POST", 429), ("GET", 500), ("GET", 503)])
def test_a_busy_catalog_is_asked_again(ours, proxied, name, method, status):
    refused = []

    def busy(request):
        if request.method == method and len(refused) < 2:
            refused.append(request.path)
            return status, "later"

    proxied.answer = busy
    for statement in ("CREATE TABLE {t} (id LONG) USING iceberg", "INSERT INTO {t} VALUES (1)"):
        refused.clear()
        ours.sql(statement.format(t=f"odd.db.{name}")).collect()
        assert len(refused) == 2
    assert rows(ours.table(f"odd.db.{name}")) == [(1,)]


# Who asks, and where


def test_tokens_prefixes_and_headers(spark, catalog, name):
    """A catalog behind a service that gives tokens, lets in who has a fresh one, and wants a prefix."""
    tokens, seen = [], []
    good = []

    def answer(request):
        path = urllib.parse.urlsplit(request.path).path
        if path == "/given/tokens":
            form = dict(urllib.parse.parse_qsl(request.body.decode()))
            tokens.append(form)
            good[:] = [f"token-{len(tokens)}"]
            return 200, json.dumps({"access_token": good[0], "token_type": "bearer", "expires_in": 3600})
        seen.append((request.method, path, request.headers))
        if request.headers.get("authorization") != f"Bearer {good[0] if good else 'nothing'}":
            return 401, "NotAuthorized"
        if path == "/v1/config":
            assert request.path.endswith("?warehouse=books%20and%20more")
            return 200, json.dumps({"defaults": {}, "overrides": {"prefix": "a/b", "namespace-separator": "%2E"}})
        if not path.startswith("/v1/a/b/"):
            return 404, "elsewhere"

    door = stores.Proxy(catalog, answer)
    door.rewrite = lambda path: path.replace("/v1/a/b/", "/v1/")
    try:
        uri, more = door.endpoint, {"warehouse": "books and more", "header.X-Team": "us"}
        configure(spark, "door", uri, credential="me:secret", scope="all", **{"oauth2-server-uri": f"{uri}/given/tokens"}, **more)
        spark.sql(f"CREATE TABLE door.db.{name} USING iceberg AS SELECT 1 AS id")
        assert tokens == [{"grant_type": "client_credentials", "client_id": "me", "client_secret": "secret", "scope": "all"}]
        assert all(headers["x-team"] == "us" and headers["x-iceberg-access-delegation"] == "vended-credentials" for _, _, headers in seen)
        # A token that is no good any more is replaced.
        good[:] = ["another"]
        spark.sql(f"INSERT INTO door.db.{name} VALUES (2)")
        assert len(tokens) == 2 and rows(spark.table(f"door.db.{name}")) == [(1,), (2,)]
        # A token of the settings; and one that is refused.
        configure(spark, "key", uri, token=good[0], **more)
        assert rows(spark.table(f"key.db.{name}")) == [(1,), (2,)]
        configure(spark, "bad", uri, token="guessed", **more)
        error = fails(lambda: spark.table(f"bad.db.{name}").collect())
        assert "401" in str(error) and "guessed" not in str(error)
        configure(spark, "nobody", uri, **more)
        assert "401" in str(fails(lambda: spark.table(f"nobody.db.{name}").collect()))
        assert spark.sql("SET spark.sql.catalog.door.credential").first()[1] == "*********(redacted)"
    finally:
        door.close()


# Tables on S3, with credentials of the catalog


@pytest.fixture(scope="module")
def store():
    store = stores.Store()
    store.client.create_bucket(Bucket=BUCKET)
    yield store
    store.close()


@pytest.fixture(scope="module")
def guarded(store):
    """S3 that lets in the catalog itself and who has its credentials."""
    proxy = stores.Proxy(store, stores.checking({"own": "of the catalog", VENDED["s3.access-key-id"]: VENDED["s3.secret-access-key"]}))
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def vending(warehouse, guarded):
    properties = {
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "s3.endpoint": guarded.endpoint,
        "s3.path-style-access": "true",
        "client.region": "us-east-1",
        "include-credentials": "true",
        **VENDED,
    }
    server = iceberg_rest.Catalog(warehouse / "vending", f"s3://{BUCKET}/tables", properties, aws=True)
    assert server.ask("POST", "/v1/namespaces", {"namespace": ["db"]})[0] == 200
    yield server
    server.close()


def test_credentials_of_the_catalog(spark, theirs, vending, guarded, store, name):
    endpoint = {"s3.endpoint": guarded.endpoint, "s3.path-style-access": "true", "client.region": "us-east-1"}
    for session in (spark, theirs):
        configure(session, "s3", vending.uri, **endpoint, **{"io-impl": "org.apache.iceberg.aws.s3.S3FileIO"})
    # The session's own keys are good for nothing.
    for key, value in {"access.key": "mine", "secret.key": "no good", "endpoint": "http://127.0.0.1:1"}.items():
        spark.conf.set(f"spark.hadoop.fs.s3a.{key}", value)
        spark.conf.set(f"spark.hadoop.fs.s3a.bucket.{BUCKET}.{key}", value)
    table = f"s3.db.{name}"
    spark.sql(f"CREATE TABLE {table} (id LONG, p STRING) USING iceberg PARTITIONED BY (p)")
    spark.sql(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
    theirs.sql(f"INSERT INTO {table} VALUES (3, 'c')")
    spark.sql(f"DELETE FROM {table} WHERE id = 1")
    assert rows(spark.table(table)) == rows(theirs.table(table)) == [(2, "b"), (3, "c")]
    assert spark.sql(f"SELECT count(*) FROM {table}.files").first()[0] == 2
    theirs.sql(f"CREATE TABLE {table}_2 USING iceberg AS SELECT id FROM range(7)")
    spark.sql(f"CREATE TABLE {table}_3 USING iceberg AS SELECT * FROM {table}_2")
    assert theirs.table(f"{table}_3").count() == 7
    assert any(key.endswith(".parquet") for key in store.keys(BUCKET, f"tables/db/{name}_3/"))
    with pytest.raises(PySparkException):
        spark.read.parquet(f"s3a://{BUCKET}/tables/db/{name}_3/data").collect()
