"""Iceberg's SQL catalog in a real PostgreSQL, which real Spark uses too."""
import concurrent.futures
import pathlib
import signal
import uuid

import pytest
from support import iceberg, postgres, servers
from test_iceberg import CASES, both_directions, fails, rows, run

DATABASE = "books"
SOME = ["types", "append and overwrite", "create as select", "partitions by transforms"]


@pytest.fixture(scope="module")
def database():
    server = postgres.Postgres()
    server.create_database(DATABASE)
    yield server
    server.close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory, database):
    return iceberg.postgres_catalog("books", tmp_path_factory.mktemp("postgres"), database, DATABASE)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, settings):
    server = iceberg.start_spark(tmp_path_factory.mktemp("folder"), [iceberg.postgresql()])
    session = configured(servers.connect(server.remote), settings)
    session.sql("CREATE NAMESPACE books.db")
    yield session
    session.stop()
    server.close()


@pytest.fixture
def ours(spark, settings):
    return configured(spark, settings)


@pytest.fixture
def name():
    return "t" + uuid.uuid4().hex[:12]


def configured(session, settings):
    for key, value in settings.items():
        session.conf.set(key, value)
    return session


@pytest.mark.parametrize("case", SOME)
def test_both_directions(ours, theirs, name, case):
    both_directions(ours, theirs, f"books.db.{name}", case)


def test_tables_change_in_turns(ours, theirs, settings, database, name):
    for table, first, second in ((f"books.db.{name}_a", theirs, ours), (f"books.db.{name}_b", ours, theirs)):
        first.sql(f"CREATE TABLE {table} (id LONG, name STRING) USING iceberg PARTITIONED BY (bucket(2, id))")
        first.sql(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
        second.sql(f"INSERT INTO {table} VALUES (3, 'c')")
        second.sql(f"ALTER TABLE {table} RENAME COLUMN name TO label")
        first.sql(f"UPDATE {table} SET label = 'changed' WHERE id = 2")
        second.sql(f"DELETE FROM {table} WHERE id = 1")
        assert rows(ours.table(table)) == rows(theirs.table(table)) == [(2, "changed"), (3, "c")]
    entry = "SELECT metadata_location, previous_metadata_location, iceberg_type FROM iceberg_tables"
    [newest, previous, kind] = database.run(f"{entry} WHERE table_name = '{name}_a' AND catalog_name = 'books'", DATABASE)[0]
    assert newest != previous and newest.endswith(".metadata.json") and kind == "TABLE"
    ours.sql(f"DROP TABLE books.db.{name}_a")
    assert not theirs.catalog.tableExists(f"books.db.{name}_a")
    folder = pathlib.Path(settings["spark.sql.catalog.books.warehouse"]) / "db"
    assert list((folder / f"{name}_b").rglob("*.parquet"))
    ours.sql(f"DROP TABLE books.db.{name}_b PURGE")
    assert not theirs.catalog.tableExists(f"books.db.{name}_b") and list((folder / f"{name}_a").rglob("*.parquet"))
    assert [file for file in (folder / f"{name}_b").rglob("*") if file.suffix in (".parquet", ".avro", ".json")] == []


def test_writers_at_once(ours, theirs, firesteel, settings, name):
    table = f"books.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id LONG) USING iceberg")
    others = [configured(servers.connect(firesteel), settings) for _ in range(3)]

    def write(session, start):
        for i in range(5):
            session.range(start + i, start + i + 1).writeTo(table).append()

    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(write, [*others, theirs], [0, 10, 20, 30]))
    finally:
        for session in others:
            session.stop()
    wanted = [(start + i,) for start in (0, 10, 20, 30) for i in range(5)]
    assert sorted(tuple(row) for row in theirs.table(table).collect()) == wanted


def test_the_first_user_makes_the_tables(spark, database, settings):
    database.create_database("fresh")
    configured(spark, {**settings, "spark.sql.catalog.books.uri": database.jdbc("fresh") + "?ApplicationName=tests"})
    sessions = concurrent.futures.ThreadPoolExecutor(4)
    made = list(sessions.map(lambda i: spark.sql(f"CREATE TABLE books.a.t{i} (id INT) USING iceberg"), range(4)))
    assert len(made) == 4 and database.run("SELECT count(*) FROM iceberg_tables", "fresh") == [["4"]]


def test_a_database_that_is_gone(spark, tmp_path, name):
    """While it is away nothing changes; what was there is there again."""
    server = postgres.Postgres()
    try:
        configured(spark, iceberg.postgres_catalog("away", tmp_path, server, "postgres"))
        spark.sql(f"CREATE TABLE away.db.{name} USING iceberg AS SELECT 1 AS id")
        server.stop(signal.SIGKILL)
        for statement in (f"SELECT * FROM away.db.{name}", f"INSERT INTO away.db.{name} VALUES (2)", f"DROP TABLE away.db.{name}"):
            assert "Iceberg catalog failed" in str(fails(lambda s=statement: spark.sql(s).collect()))
        server.start()
        assert rows(spark.table(f"away.db.{name}")) == [(1,)]
        spark.conf.set("spark.sql.catalog.away.jdbc.password", "guessed")
        error = str(fails(lambda: spark.table(f"away.db.{name}").collect()))
        assert "password authentication failed" in error and "guessed" not in error
        spark.conf.set("spark.sql.catalog.away.jdbc.sslmode", "require")
        assert "tls" in str(fails(lambda: spark.table(f"away.db.{name}").collect())).lower()
        spark.conf.set("spark.sql.catalog.away.jdbc.targetServerType", "primary")
        assert "targetServerType" in str(fails(lambda: spark.table(f"away.db.{name}").collect()))
    finally:
        server.close()
