"""Iceberg's catalog in a Hive metastore: a real metastore, with real Spark and PyPI's `pyiceberg` as its other clients."""
import concurrent.futures
import json
import time
import uuid

import pyarrow
import pytest
from hive_metastore import ttypes
from pyiceberg.catalog.hive import HiveCatalog
from support import hive, iceberg, servers
from support.outcome import difference, outcome_of
from test_iceberg import ALTERATIONS, CHANGES, both_directions, fails, rows, writers_at_once

UNLOCKED = {"hadoop.iceberg.engine.hive.lock-enabled": "false"}


@pytest.fixture(scope="module")
def metastore(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hive")
    server = hive.Metastore(folder / "metastore", folder / "warehouse")
    yield server
    server.close()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, metastore):
    server = iceberg.start_spark(tmp_path_factory.mktemp("lake"))
    session = configured(servers.connect(server.remote), "hive", metastore)
    session.sql("CREATE NAMESPACE hive.db")
    yield session
    session.stop()
    server.close()


@pytest.fixture
def ours(spark, metastore, theirs):
    return configured(spark, "hive", metastore)


@pytest.fixture
def name():
    return "t" + uuid.uuid4().hex[:12]


@pytest.fixture
def wire(spark, metastore):
    """The catalog `odd`, whose metastore is asked through a wire that loses what it is told to."""
    wire = hive.Wire(metastore)
    configured(spark, "odd", metastore, uri=wire.uri)
    yield wire
    wire.close()


def configured(session, name, metastore, **more):
    for key, value in hive.settings(name, **{"uri": metastore.uri, "warehouse": metastore.warehouse, **more}).items():
        session.conf.set(key, value)
    return session


def of_call(name, what):
    """Loses the first request of a call, or its answer."""
    lost = []

    def cut(request):
        if name.encode() in request and not lost:
            lost.append(request)
            return what

    return cut, lost


def kept(folder):
    """The data and metadata files of a table."""
    return {file for file in folder.rglob("*") if file.name.endswith((".parquet", ".metadata.json"))}


# What else there is does not ask the catalog: test_iceberg.py has it.
@pytest.mark.parametrize("case", ["types", "append and overwrite", "create as select", "partitions by transforms"])
def test_both_directions(ours, theirs, name, case):
    both_directions(ours, theirs, f"hive.db.{name}", case)


def test_alter_table(ours, theirs, metastore, name):
    tables = {session: f"hive.db.{name}_{who}" for session, who in ((ours, "ours"), (theirs, "theirs"))}
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
    columns = [[(c.name, c.type, c.comment) for c in metastore.table("db", f"{name}_{who}").sd.cols] for who in ("ours", "theirs")]
    assert columns[0] == columns[1] and ("id", "bigint", None) in columns[0]


@pytest.mark.parametrize("by", ["", "PARTITIONED BY (bucket(3, id), truncate(1, name))"])
def test_rows_that_change(ours, theirs, name, by):
    make = f"CREATE TABLE {{t}} (id LONG, name STRING, s STRUCT<a: LONG, b: STRING>) USING iceberg {by}"
    rows_of = "INSERT INTO {t} SELECT id, IF(id % 10 = 0, NULL, CAST(id AS STRING)), named_struct('a', id, 'b', 'b') FROM range(0, 1000, 1, 2)"
    tables = {"ours": f"hive.db.{name}_ours", "theirs": f"hive.db.{name}_theirs", "both": f"hive.db.{name}_both"}
    for index, statement in enumerate([make, rows_of, *CHANGES]):
        for who, table in tables.items():
            session = ours if who == "ours" or (who == "both" and index % 2) else theirs
            session.sql(statement.format(t=table)).collect()
    wanted = rows(theirs.table(tables["theirs"]))
    assert len(wanted) > 700
    for session in (ours, theirs):
        for table in tables.values():
            assert rows(session.table(table)) == wanted


def test_replaced_dropped_and_renamed(ours, theirs, metastore, name):
    table = f"hive.db.{name}"
    folder = metastore.warehouse / "db.db" / name
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
    ours.sql(f"ALTER TABLE {table} RENAME TO db.{name}_moved")
    assert not theirs.catalog.tableExists(table) and rows(theirs.table(f"{table}_moved")) == [(2,), (3,)]
    ours.range(3).writeTo(table).using("iceberg").createOrReplace()
    ours.range(3, 5).writeTo(table).append()
    assert theirs.table(table).count() == 5
    error = fails(lambda: ours.sql(f"ALTER TABLE {table} RENAME TO db.{name}_moved"))
    assert error.getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    # The metastore forgets a table, and its files stay; PURGE takes those of all its states along.
    files = list(folder.rglob("*.parquet"))
    ours.sql(f"DROP TABLE {table}")
    assert not ours.catalog.tableExists(table) and not theirs.catalog.tableExists(table)
    assert fails(lambda: ours.sql(f"DROP TABLE {table}")).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    ours.sql(f"DROP TABLE IF EXISTS {table}")
    assert files and all(file.exists() for file in files)
    before = {file for file in folder.rglob("*") if file.is_file()}
    ours.sql(f"CREATE TABLE {table}_p USING iceberg PARTITIONED BY (id) AS SELECT * FROM {table}_moved AS t(id)")
    theirs.sql(f"INSERT INTO {table}_p VALUES (7)")
    ours.sql(f"DELETE FROM {table}_p WHERE id = 2")
    purged = metastore.warehouse / "db.db" / f"{name}_p"
    assert len(list(purged.rglob("*.parquet"))) == 3
    ours.sql(f"ALTER TABLE {table}_p SET TBLPROPERTIES ('gc.enabled' = 'false')")
    assert "gc.enabled" in str(fails(lambda: ours.sql(f"DROP TABLE {table}_p PURGE")))
    assert ours.catalog.tableExists(f"{table}_p") and metastore.table("db", f"{name}_p").parameters["external.table.purge"] == "false"
    ours.sql(f"ALTER TABLE {table}_p SET TBLPROPERTIES ('gc.enabled' = 'true')")
    ours.sql(f"DROP TABLE {table}_p PURGE")
    assert [file for file in purged.rglob("*") if file.is_file() and not file.name.endswith(".crc")] == []
    assert before <= {file for file in folder.rglob("*") if file.is_file()}


# Entries of the metastore

# What the engines' words, numbers and moments make different
OWN = {"uuid", "metadata_location", "previous_metadata_location", "transient_lastDdlTime", "totalSize"}
OWN |= {"current-snapshot-id", "current-snapshot-summary", "current-snapshot-timestamp-ms"}


def entry_of(metastore, name):
    entry = metastore.table("db", name)
    stored = entry.sd
    values = {key: json.loads(value) if value.startswith("{") else value for key, value in entry.parameters.items()}
    own = {key: value for key, value in values.items() if key not in OWN | {"owner"}}
    return {
        "parameters": own,
        "others": set(entry.parameters) & OWN,
        "columns": [(column.name, column.type, column.comment) for column in stored.cols],
        "formats": (stored.inputFormat, stored.outputFormat, stored.serdeInfo.serializationLib),
        "location": stored.location.replace(name, "NAME"),
        "kind": (entry.tableType, entry.retention, entry.partitionKeys),
        # Each says who made it, unless it is told.
        "owner": entry.owner if entry.owner == "them" else "us",
    }


@pytest.mark.parametrize("more", ["", "TBLPROPERTIES ('engine.hive.enabled' = 'true', 'gc.enabled' = 'true', 'hive.metastore.table.owner' = 'them')"])
def test_entries_are_those_of_spark(ours, theirs, metastore, name, more):
    tables = {f"{name}_ours": ours, f"{name}_theirs": theirs}
    for table, session in tables.items():
        session.sql(
            f"""CREATE TABLE hive.db.{table} (id LONG COMMENT 'which', s STRUCT<a: INT, l: ARRAY<DECIMAL(5, 2)>>, m MAP<STRING, DATE>,
                at TIMESTAMP, local TIMESTAMP_NTZ, b BINARY, f FLOAT) USING iceberg PARTITIONED BY (bucket(2, id)) {more}"""
        )
    entries = [entry_of(metastore, table) for table in tables]
    assert entries[0] == entries[1] and entries[0]["owner"] == ("them" if more else "us")
    for table, session in tables.items():
        session.sql(f"INSERT INTO hive.db.{table} (id, f) VALUES (1, 0.5), (2, 1.5)")
        session.sql(f"ALTER TABLE hive.db.{table} SET TBLPROPERTIES ('k' = 'v')")
        session.sql(f"ALTER TABLE hive.db.{table} DROP COLUMN f")
    entries = [entry_of(metastore, table) for table in tables]
    assert entries[0] == entries[1]
    assert entries[0]["parameters"]["numRows"] == "2" and entries[0]["parameters"]["snapshot-count"] == "1"
    table = metastore.table("db", f"{name}_ours")
    assert set(OWN) <= set(table.parameters) and table.parameters["previous_metadata_location"].endswith(".metadata.json")


def test_what_others_put_into_an_entry_stays(ours, theirs, metastore, name):
    ours.sql(f"CREATE TABLE hive.db.{name} (id INT) USING iceberg")
    entry = metastore.table("db", name)
    entry.owner, entry.retention = "somebody else", 77
    entry.parameters["of.theirs"] = "stays"
    entry.sd.parameters = {"of.stored": "stays too"}
    with metastore.client() as client:
        client.alter_table("db", name, entry)
    ours.sql(f"INSERT INTO hive.db.{name} VALUES (1)")
    ours.sql(f"ALTER TABLE hive.db.{name} RENAME TO db.{name}_2")
    entry = metastore.table("db", f"{name}_2")
    assert (entry.owner, entry.retention, entry.parameters["of.theirs"]) == ("somebody else", 77, "stays")
    assert entry.sd.parameters == {"of.stored": "stays too"} and rows(theirs.table(f"hive.db.{name}_2")) == [(1,)]


def test_tables_that_are_not_icebergs(ours, theirs, metastore, name):
    column = ttypes.FieldSchema("id", "int", None)
    for table in (name, f"{name}_2"):
        serde = ttypes.SerDeInfo(None, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", {})
        stored = ttypes.StorageDescriptor([column], f"{metastore.warehouse}/db.db/{table}", "org.apache.hadoop.mapred.TextInputFormat")
        stored.outputFormat, stored.serdeInfo = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat", serde
        with metastore.client() as client:
            client.create_table(ttypes.Table(table, "db", "us", 1, 1, 0, stored, [], {}, None, None, "MANAGED_TABLE"))
    for session in (ours, theirs):
        assert name not in [row.tableName for row in session.sql("SHOW TABLES IN hive.db").collect()]
        assert not session.catalog.tableExists(f"hive.db.{name}")
        for statement in ("SELECT * FROM {t}", "DROP TABLE {t}", "ALTER TABLE {t} RENAME TO db.other", "INSERT INTO {t} VALUES (1)", "DROP TABLE {t} PURGE"):
            error = fails(lambda s=statement: session.sql(s.format(t=f"hive.db.{name}")).collect())
            assert error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND", statement
        session.sql(f"DROP TABLE IF EXISTS hive.db.{name}")
        for statement in ("CREATE TABLE {t} (id INT) USING iceberg", "CREATE TABLE IF NOT EXISTS {t} (id INT) USING iceberg", "CREATE TABLE {t} USING iceberg AS SELECT 1 AS id"):
            fails(lambda s=statement: session.sql(s.format(t=f"hive.db.{name}")))
    assert metastore.table("db", name).tableType == "MANAGED_TABLE" and metastore.table("db", f"{name}_2")
    configured(ours, "all", metastore, **{"list-all-tables": "true"})
    assert name in [row.tableName for row in ours.sql("SHOW TABLES IN all.db").collect()]
    assert not list((metastore.warehouse / "db.db" / name).rglob("*.parquet"))


def test_pyiceberg_goes_on_from_here(ours, theirs, metastore, name):
    catalog = HiveCatalog("hive", uri=metastore.uri, warehouse=str(metastore.warehouse))
    ours.sql(f"CREATE TABLE hive.db.{name} (id LONG, name STRING) USING iceberg")
    ours.sql(f"INSERT INTO hive.db.{name} VALUES (1, 'a'), (2, NULL)")
    table = catalog.load_table(f"db.{name}")
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == [1, 2]
    table.append(pyarrow.table({"id": [3], "name": ["b"]}))
    ours.sql(f"DELETE FROM hive.db.{name} WHERE id = 1")
    assert rows(ours.table(f"hive.db.{name}")) == rows(theirs.table(f"hive.db.{name}")) == [(2, None), (3, "b")]
    assert catalog.load_table(f"db.{name}").scan().to_arrow().num_rows == 2
    assert ("db", name) in catalog.list_tables("db")


# Many writers, and a metastore that fails


@pytest.mark.parametrize("more", [{}, UNLOCKED], ids=["locked", "compared"])
def test_writers_at_once(ours, theirs, firesteel, metastore, name, more):
    catalog = "compared" if more else "hive"
    table = f"{catalog}.db.{name}"
    others = [servers.connect(firesteel) for _ in range(3)]
    for session in [ours, theirs, *others]:
        configured(session, catalog, metastore, **more)
    ours.sql(f"CREATE TABLE {table} (id LONG) USING iceberg TBLPROPERTIES ('commit.retry.num-retries' = '20')")
    writers_at_once(ours, theirs, others, table, each=4)
    assert metastore.locks() == []


def test_a_table_that_somebody_has_locked(ours, metastore, name):
    ours.sql(f"CREATE TABLE hive.db.{name} (id LONG) USING iceberg")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with metastore.locked("db", name):
            waiting = pool.submit(lambda: ours.sql(f"INSERT INTO hive.db.{name} VALUES (1)"))
            time.sleep(2)
            assert not waiting.done() and rows(ours.table(f"hive.db.{name}")) == []
            # Who asks for no lock does not wait.
            configured(ours, "compared", metastore, **UNLOCKED)
            ours.sql(f"ALTER TABLE compared.db.{name} SET TBLPROPERTIES ('k' = 'v')")
        waiting.result(60)
    assert rows(ours.table(f"hive.db.{name}")) == [(1,)]
    assert metastore.table("db", name).parameters["k"] == "v" and metastore.locks() == []


@pytest.mark.parametrize("call", ["create_table", "alter_table_with_environment_context", "get_table_req", "unlock"])
def test_an_answer_that_is_lost(ours, theirs, metastore, wire, name, call):
    """What was done is done once; what can do no harm is asked again."""
    statements = ["CREATE TABLE odd.db.{t} USING iceberg AS SELECT 0 AS id", "INSERT INTO odd.db.{t} VALUES (1)", "UPDATE odd.db.{t} SET id = id + 1"]
    lost = []
    for statement in statements:
        wire.cut, cut = of_call(call, "answer")
        ours.sql(statement.format(t=name))
        lost += cut
    assert lost
    assert rows(ours.table(f"hive.db.{name}")) == rows(theirs.table(f"hive.db.{name}")) == [(1,), (2,)]
    assert ours.sql(f"SELECT * FROM hive.db.{name}.snapshots").count() == 3


def test_an_answer_that_is_lost_while_another_writer_goes_on(ours, theirs, metastore, wire, name):
    """The change is there, below that of the other: it is not made again."""
    for session, uri in ((ours, wire.uri), (theirs, metastore.uri)):
        configured(session, "compared", metastore, uri=uri, **UNLOCKED)
    ours.sql(f"CREATE TABLE compared.db.{name} (id LONG) USING iceberg")
    wire.cut, cut = of_call("alter_table", "answer")
    wire.meanwhile = lambda: theirs.sql(f"INSERT INTO compared.db.{name} VALUES (2)")
    ours.sql(f"INSERT INTO compared.db.{name} VALUES (1)")
    assert cut and rows(ours.table(f"compared.db.{name}")) == rows(theirs.table(f"compared.db.{name}")) == [(1,), (2,)]


def test_a_lock_whose_answer_is_lost_is_given_back(ours, metastore, wire, name):
    ours.sql(f"CREATE TABLE odd.db.{name} (id LONG) USING iceberg")
    folder = metastore.warehouse / "db.db" / name
    files = kept(folder)
    # The name of the call, as Thrift has it: other calls have it in theirs.
    wire.cut, cut = of_call("\x00\x00\x00\x04lock", "answer")
    assert "Hive metastore" in str(fails(lambda: ours.sql(f"INSERT INTO odd.db.{name} VALUES (1)"))) and cut
    # Nothing has changed, and nothing is left behind.
    assert metastore.locks() == [] and kept(folder) == files
    ours.sql(f"INSERT INTO odd.db.{name} VALUES (2)")
    assert rows(ours.table(f"hive.db.{name}")) == [(2,)]


def test_a_commit_of_which_nothing_is_known(ours, theirs, metastore, wire, name):
    """Its files stay, as the metastore may still take it; the table is as it was."""
    ours.sql(f"CREATE TABLE odd.db.{name} (id LONG) USING iceberg")
    ours.sql(f"INSERT INTO odd.db.{name} VALUES (1)")
    data = metastore.warehouse / "db.db" / name / "data"
    wire.cut, cut = of_call("alter_table", "request")
    error = fails(lambda: ours.sql(f"INSERT INTO odd.db.{name} VALUES (2)"))
    assert cut and "it is not known" in str(error) and len(list(data.glob("*.parquet"))) == 2
    assert rows(ours.table(f"odd.db.{name}")) == rows(theirs.table(f"hive.db.{name}")) == [(1,)]
    assert metastore.locks() == []


def test_a_change_that_the_metastore_refuses(ours, metastore, name):
    """It says why; the files that were written go again."""
    ours.sql(f"CREATE TABLE hive.db.{name} (id LONG) USING iceberg")
    folder = metastore.warehouse / "db.db" / name
    files = kept(folder)
    # No column of the metastore's own tables holds that.
    error = fails(lambda: ours.sql(f"ALTER TABLE hive.db.{name} SET TBLPROPERTIES ('{'k' * 300}' = 'v')"))
    assert "Hive metastore" in str(error) and "Exception" in str(error)
    assert kept(folder) == files and metastore.locks() == []
    ours.sql(f"INSERT INTO hive.db.{name} VALUES (1)")


def test_a_metastore_that_is_away(ours, tmp_path, name):
    server = hive.Metastore(tmp_path / "metastore", tmp_path / "warehouse")
    try:
        dead = f"thrift://127.0.0.1:{servers.free_port()}"
        configured(ours, "away", server, uri=f"{dead},{server.uri}")
        ours.sql("CREATE NAMESPACE away.db")
        ours.sql(f"CREATE TABLE away.db.{name} USING iceberg AS SELECT 1 AS id")
        server.stop()
        begun = time.monotonic()
        statements = (f"SELECT * FROM away.db.{name}", f"INSERT INTO away.db.{name} VALUES (2)", f"DROP TABLE away.db.{name}", "SHOW NAMESPACES IN away")
        for statement in statements:
            assert "Hive metastore" in str(fails(lambda s=statement: ours.sql(s).collect()))
        assert time.monotonic() - begun < 60
        server.start()
        # What was kept of its connections is of no use any more.
        ours.sql(f"INSERT INTO away.db.{name} VALUES (3)")
        assert rows(ours.table(f"away.db.{name}")) == [(1,), (3,)]
    finally:
        server.close()


def test_missing_namespaces_and_settings(ours, metastore, name):
    for statement in ("CREATE TABLE hive.none.t (id INT) USING iceberg", "CREATE TABLE hive.none.t USING iceberg AS SELECT 1 AS a"):
        assert fails(lambda s=statement: ours.sql(s)).getCondition() == "SCHEMA_NOT_FOUND"
    assert fails(lambda: ours.table("hive.none.t").collect()).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    assert fails(lambda: ours.table("hive.db.below.t").collect()).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    assert "below a database" in str(fails(lambda: ours.sql("CREATE TABLE hive.db.below.t (id INT) USING iceberg")))
    configured(ours, "wrong", metastore, uri="http://127.0.0.1:1")
    assert "no address of a Hive metastore" in str(fails(lambda: ours.table("wrong.db.t").collect()))
    # A service that speaks something else
    with hive.socket.create_server(("127.0.0.1", 0)) as listener:
        configured(ours, "mute", metastore, uri=f"thrift://127.0.0.1:{listener.getsockname()[1]}", **{"hadoop.hive.metastore.client.socket.timeout": "500ms"})
        assert "Hive metastore" in str(fails(lambda: ours.table("mute.db.t").collect()))
    for key, value in {"hive.metastore.sasl.enabled": "true", "hive.metastore.use.SSL": "true"}.items():
        configured(ours, "guarded", metastore, **{f"hadoop.{key}": value})
        error = fails(lambda: ours.table("guarded.db.t").collect())
        assert error.getCondition() == "UNSUPPORTED_FEATURE.FIRESTEEL" and key in str(error)
        ours.conf.unset(f"spark.sql.catalog.guarded.hadoop.{key}")
    ours.conf.set("spark.sql.catalog.named", "org.apache.iceberg.spark.SparkCatalog")
    ours.conf.set("spark.sql.catalog.named.catalog-impl", "org.apache.iceberg.hive.HiveCatalog")
    assert "uri is not set" in str(fails(lambda: ours.table("named.db.t").collect()))
    ours.conf.set("spark.hadoop.hive.metastore.uris", metastore.uri)
    assert "db" in [row.namespace for row in ours.sql("SHOW NAMESPACES IN named").collect()]
