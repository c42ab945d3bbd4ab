"""Iceberg tables of real Spark read and written here, and the other way round; PyPI's `pyiceberg` reads what was written."""
import concurrent.futures
import threading
import uuid

import pytest
from pyiceberg.table import StaticTable
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions as F
from support import iceberg, servers
from support.outcome import difference, outcome_of

V2 = "TBLPROPERTIES ('format-version' = '2', 'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read', 'write.merge.mode' = 'merge-on-read')"
ROWS = "INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, NULL), (NULL, 'd')"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="module")
def theirs(warehouse):
    server = iceberg.start_spark(warehouse)
    session = servers.connect(server.remote)
    yield session
    session.stop()
    server.close()


@pytest.fixture
def ours(spark, warehouse):
    for key, value in iceberg.catalog(warehouse).items():
        spark.conf.set(key, value)
    return spark


@pytest.fixture
def name():
    return "t" + uuid.uuid4().hex[:12]


def rows(frame):
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def fails(action):
    with pytest.raises(PySparkException) as caught:
        action()
    return caught.value


# Both ways: what the first engine runs, what the second runs, what both are asked
CASES = {
    "types": (
        [
            f"""CREATE TABLE {{t}} (b BOOLEAN, i INT, l LONG, f FLOAT, d DOUBLE, n DECIMAL(5, 2), n2 DECIMAL(18, 4), n3 DECIMAL(38, 10),
                s STRING, x BINARY, day DATE, at TIMESTAMP, local TIMESTAMP_NTZ, a ARRAY<INT>, m MAP<STRING, DOUBLE>,
                p STRUCT<x: INT, y: STRUCT<z: STRING>>, deep ARRAY<STRUCT<k: MAP<INT, ARRAY<STRING>>>>) USING iceberg {V2}""",
            """INSERT INTO {t} VALUES (true, 1, 2, 1.5, -2.5D, 123.45, -1.0001, 12345678901234567890.0123456789, 'ü', X'00FF',
               DATE'1969-12-31', TIMESTAMP'1900-01-01 00:00:00.000001', TIMESTAMP_NTZ'2024-02-29 12:34:56.789012', array(1, NULL),
               map('k', 0.5D), named_struct('x', 1, 'y', named_struct('z', 'q')),
               array(named_struct('k', map(1, array('v', NULL)))))""",
        ],
        ["INSERT INTO {t} VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"],
        ["SELECT * FROM {t} ORDER BY i", "SELECT p.y.z, deep[0].k[1][0] FROM {t} WHERE i = 1", "SELECT i FROM {t} WHERE n3 > 1 AND day < DATE'1970-01-01'"],
    ),
    "append and overwrite": (
        [f"CREATE TABLE {{t}} (id INT, name STRING) USING iceberg {V2}", ROWS],
        [ROWS, "INSERT OVERWRITE {t} VALUES (7, 'seven'), (8, NULL)", "INSERT INTO {t} (name, id) VALUES ('nine', 9)"],
        ["SELECT * FROM {t} ORDER BY id", "SELECT operation FROM {t}.snapshots ORDER BY committed_at"],
    ),
    "create as select": (
        [f"CREATE TABLE {{t}} USING iceberg {V2} AS SELECT id, CAST(id AS STRING) AS text FROM range(100)"],
        ["INSERT INTO {t} SELECT id + 100, NULL FROM range(10)"],
        ["SELECT count(*), sum(id), count(text) FROM {t}", "SELECT id FROM {t} WHERE id BETWEEN 98 AND 101 ORDER BY id"],
    ),
    "partitions by value": (
        [
            f"CREATE TABLE {{t}} (id INT, p STRING, d DATE) USING iceberg PARTITIONED BY (p, d) {V2}",
            "INSERT INTO {t} VALUES (1, 'a b/c%', DATE'2024-01-01'), (2, NULL, NULL), (3, 'x', DATE'1999-12-31')",
        ],
        ["INSERT INTO {t} VALUES (4, 'x', DATE'1999-12-31'), (5, '', NULL)"],
        [
            "SELECT * FROM {t} ORDER BY id",
            "SELECT id FROM {t} WHERE d = DATE'1999-12-31' ORDER BY id",
            "SELECT partition.p, sum(record_count) FROM {t}.files GROUP BY 1 ORDER BY 1",
        ],
    ),
    "partitions by transforms": (
        [
            f"""CREATE TABLE {{t}} (id LONG, name STRING, at TIMESTAMP, day DATE, n DECIMAL(9, 2)) USING iceberg
                PARTITIONED BY (bucket(4, id), truncate(2, name), days(at), months(day), bucket(3, n)) {V2}""",
            "INSERT INTO {t} VALUES (1, 'abc', TIMESTAMP'1969-12-31 23:59:59', DATE'1969-12-31', 1.5), (2, 'abd', NULL, NULL, NULL)",
        ],
        [
            """INSERT INTO {t} VALUES (1, 'ab', TIMESTAMP'1969-12-31 00:00:00', DATE'1969-12-01', 1.50),
               (-7, 'üö', TIMESTAMP'2024-02-29 12:00:00', DATE'2024-02-29', -100.25)""",
        ],
        [
            "SELECT * FROM {t} ORDER BY id, name",
            "SELECT partition.id_bucket, partition.name_trunc, partition.n_bucket, record_count FROM {t}.files ORDER BY ALL",
            "SELECT count(*) FROM {t} WHERE at < TIMESTAMP'1970-01-01 00:00:00' AND id = 1",
        ],
    ),
    "evolution": (
        [
            f"CREATE TABLE {{t}} (id INT, name STRING, s STRUCT<a: INT, b: STRING>, old INT) USING iceberg {V2}",
            "INSERT INTO {t} VALUES (1, 'a', named_struct('a', 1, 'b', 'x'), 9)",
        ],
        ["INSERT INTO {t} VALUES (2, 'b', NULL, 8)"],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "not null": (
        [f"CREATE TABLE {{t}} (id INT NOT NULL, name STRING) USING iceberg {V2}", "INSERT INTO {t} VALUES (1, 'a')"],
        ["INSERT INTO {t} VALUES (2, NULL)"],
        ["SELECT id, name FROM {t} ORDER BY id"],
    ),
    "many snapshots": (
        [f"CREATE TABLE {{t}} (id INT, name STRING) USING iceberg {V2}"] + [ROWS] * 4,
        [ROWS] * 4,
        [
            "SELECT id, name, count(*) FROM {t} GROUP BY ALL ORDER BY ALL",
            "SELECT content, file_format, record_count FROM {t}.files ORDER BY ALL",
            "SELECT is_current_ancestor, count(*) FROM {t}.history GROUP BY 1",
            "SELECT name, type FROM {t}.refs",
            "SELECT sum(added_data_files_count), sum(deleted_data_files_count) FROM {t}.manifests",
            "SELECT summary['total-records'], summary['added-records'] FROM {t}.snapshots ORDER BY committed_at",
        ],
    ),
}


def run(session, statements, table):
    return [outcome_of(lambda s=s: session.sql(s.format(t=table))) for s in statements]


def both_directions(ours, theirs, table_name, case):
    """Each engine makes a table of the case and the other changes it: both read the same, whoever made it."""
    first, second, queries = CASES[case]
    answers = {}
    for made_by, changed_by, direction in ((theirs, ours, "spark"), (ours, theirs, "firesteel")):
        table = f"{table_name}_{direction}"
        for outcome in run(made_by, first, table) + run(changed_by, second, table):
            assert not outcome.failed, f"made by {direction}: {outcome.text[:500]}"
        for reader, session in (("spark reads", theirs), ("firesteel reads", ours)):
            answers[direction, reader] = run(session, queries, table)
    for direction, reader in answers:
        for query, want, got in zip(queries, answers["spark", "spark reads"], answers[direction, reader]):
            want.schema = got.schema = ""
            assert difference(want, got, "ORDER BY" in query) is None, f"made by {direction}, {reader}: {query}"


def writers_at_once(ours, theirs, others, table, each=5):
    """Three of our sessions and one of Spark's append, then the three update the same rows: nothing is lost or done twice."""

    def write(session, start):
        for i in range(each):
            session.range(start + i, start + i + 1).writeTo(table).append()

    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(write, [*others, theirs], [0, 10, 20, 30]))
        wanted = [(start + i,) for start in (0, 10, 20, 30) for i in range(each)]
        assert sorted(tuple(row) for row in ours.table(table).collect()) == wanted
        barrier = threading.Barrier(3)

        def add(session):
            barrier.wait()
            session.sql(f"UPDATE {table} SET id = id + 1000").collect()

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(add, others))
    finally:
        for session in others:
            session.stop()
    assert sorted(tuple(row) for row in theirs.table(table).collect()) == [(i + 3000,) for (i,) in wanted]


@pytest.mark.parametrize("case", CASES)
def test_both_directions(ours, theirs, name, case):
    both_directions(ours, theirs, f"lake.db.{name}", case)


# What Spark changes, we read


def test_columns_that_changed(ours, theirs, name):
    table = f"lake.db.{name}"
    for statement in (
        f"CREATE TABLE {{t}} (id INT, name STRING, s STRUCT<a: INT, b: STRING>, old INT, f FLOAT) USING iceberg {V2}",
        "INSERT INTO {t} VALUES (1, 'a', named_struct('a', 1, 'b', 'x'), 9, 0.5)",
        "ALTER TABLE {t} RENAME COLUMN name TO label",
        "ALTER TABLE {t} RENAME COLUMN s.a TO z",
        "ALTER TABLE {t} DROP COLUMN old",
        "ALTER TABLE {t} ADD COLUMN old STRING",
        "ALTER TABLE {t} ADD COLUMN s.c DOUBLE AFTER z",
        "ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT",
        "ALTER TABLE {t} ALTER COLUMN f TYPE DOUBLE",
        "ALTER TABLE {t} ALTER COLUMN label FIRST",
        "INSERT INTO {t} VALUES ('b', 5000000000, named_struct('z', 2, 'c', 2.5D, 'b', 'y'), 0.25D, 'new')",
    ):
        theirs.sql(statement.format(t=table))
    ours.sql(f"INSERT INTO {table} VALUES ('c', 3, named_struct('z', 3, 'c', NULL, 'b', 'w'), NULL, 'ours')")
    for query in (f"SELECT * FROM {table} ORDER BY id", f"SELECT s.z, s.c, old FROM {table} WHERE label >= 'a' ORDER BY id"):
        want, got = (outcome_of(lambda s=s: s.sql(query)) for s in (theirs, ours))
        assert not want.failed and want.rows == got.rows, f"{want}\n{got}"
    # A snapshot has the columns of its time.
    first = theirs.sql(f"SELECT snapshot_id FROM {table}.snapshots ORDER BY committed_at").first()[0]
    assert ours.sql(f"SELECT * FROM {table} VERSION AS OF {first}").columns == ["id", "name", "s", "old", "f"]
    assert ours.sql(f"SELECT name, old FROM {table} VERSION AS OF {first}").first() == ("a", 9)


ALTERATIONS = [
    "ALTER TABLE {t} RENAME COLUMN name TO label",
    "ALTER TABLE {t} RENAME COLUMN s.a TO z",
    "ALTER TABLE {t} DROP COLUMN old",
    "ALTER TABLE {t} ADD COLUMN old STRING COMMENT 'is new'",
    "ALTER TABLE {t} ADD COLUMNS (s.c DOUBLE AFTER z, l.element.w ARRAY<MAP<STRING, INT>>)",
    "ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT",
    "ALTER TABLE {t} ALTER COLUMN f TYPE DOUBLE",
    "ALTER TABLE {t} ALTER COLUMN n TYPE DECIMAL(12, 2)",
    "ALTER TABLE {t} ALTER COLUMN label FIRST",
    "ALTER TABLE {t} ALTER COLUMN s AFTER label",
    "ALTER TABLE {t} ALTER COLUMN label COMMENT 'what it is'",
    "ALTER TABLE {t} ALTER COLUMN r DROP NOT NULL",
    "ALTER TABLE {t} SET TBLPROPERTIES ('a' = '1', 'b' = '2')",
    "ALTER TABLE {t} UNSET TBLPROPERTIES ('a')",
]


def test_alter_table(ours, theirs, name):
    """The same statements here and there: the same table, to both."""
    tables = {session: f"lake.db.{name}_{who}" for session, who in ((ours, "ours"), (theirs, "theirs"))}
    make = f"""CREATE TABLE {{t}} (id INT, name STRING, s STRUCT<a: INT, b: STRING>, l ARRAY<STRUCT<v: INT>>, old INT, f FLOAT,
               n DECIMAL(9, 2), r INT NOT NULL) USING iceberg PARTITIONED BY (bucket(2, id)) {V2}"""
    row = "INSERT INTO {t} VALUES (1, 'a', named_struct('a', 1, 'b', 'x'), array(named_struct('v', 1)), 9, 0.5, 1.25, 1)"
    later = """INSERT INTO {t} VALUES ('b', named_struct('z', 2, 'c', 2.5D, 'b', 'y'), 5000000000,
               array(named_struct('v', 2, 'w', array(map('k', 1)))), 0.25D, 1234567890.25, NULL, 'new')"""
    for session, table in tables.items():
        for statement in [make, row, *ALTERATIONS, later]:
            session.sql(statement.format(t=table))
    for query in ("SELECT * FROM {t} ORDER BY id", "SELECT s.z, s.c, l[0].v, old FROM {t} WHERE label >= 'a' ORDER BY id"):
        answers = [outcome_of(lambda s=s: s.sql(query.format(t=table))) for s in tables for table in tables.values()]
        assert not answers[0].failed and len(answers[0].rows) == 2
        for answer in answers:
            answer.schema = ""
        assert all(difference(answers[0], answer, True) is None for answer in answers[1:])
    columns = [
        [(row.col_name, row.data_type, row.comment or "") for row in session.sql(f"DESCRIBE TABLE {table}").collect() if row.col_name[:1] not in ("#", "")]
        for session in tables
        for table in tables.values()
    ]
    wanted = columns[0][:8]
    assert ("label", "string", "what it is") == wanted[0] and ("old", "string", "is new") in wanted
    assert all(found[:8] == wanted for found in columns)
    for session in tables:
        for table in tables.values():
            properties = {row.key: row.value for row in session.sql(f"SHOW TBLPROPERTIES {table}").collect()}
            assert properties["b"] == "2" and "a" not in properties


def test_alterations_that_are_refused(ours, theirs, name):
    table = f"lake.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id INT, name STRING, s STRUCT<a: INT>) USING iceberg PARTITIONED BY (bucket(2, id))")
    for change in (
        "ADD COLUMN NAME INT",
        "ADD COLUMN n INT NOT NULL",
        "RENAME COLUMN name TO id",
        "RENAME COLUMN none TO x",
        "DROP COLUMN none",
        "DROP COLUMN id",
        "ALTER COLUMN id TYPE STRING",
        "ALTER COLUMN name SET NOT NULL",
        "ALTER COLUMN s.none COMMENT 'c'",
        "SET TBLPROPERTIES ('format-version' = '1')",
    ):
        ours_says, theirs_says = (fails(lambda s=s: s.sql(f"ALTER TABLE {table} {change}")) for s in (ours, theirs))
        if theirs_says.getCondition() and not theirs_says.getCondition().startswith(("_LEGACY", "INTERNAL")):
            assert ours_says.getCondition() == theirs_says.getCondition(), change
    assert ours.table(table).schema.simpleString() == "struct<id:int,name:string,s:struct<a:int>>"
    assert ours.sql(f"SELECT * FROM {table}.metadata_log_entries").count() == 1
    assert fails(lambda: ours.sql(f"ALTER TABLE {table}_no ADD COLUMN a INT")).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"


@pytest.mark.parametrize("partitioned", [False, True])
def test_position_deletes(ours, theirs, name, partitioned):
    table = f"lake.db.{name}"
    by = "PARTITIONED BY (bucket(3, id))" if partitioned else ""
    theirs.sql(f"CREATE TABLE {table} (id LONG, name STRING) USING iceberg {by} {V2}")
    theirs.sql(f"INSERT INTO {table} SELECT id, CAST(id AS STRING) FROM range(0, 1000, 1, 2)")
    theirs.sql(f"DELETE FROM {table} WHERE id % 7 = 3")
    theirs.sql(f"UPDATE {table} SET name = 'even' WHERE id % 2 = 0 AND id < 100")
    ours.sql(f"INSERT INTO {table} VALUES (3, 'again'), (-1, NULL)")
    theirs.sql(f"MERGE INTO {table} t USING (SELECT 5 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE")
    deletes = theirs.sql(f"SELECT count(*) FROM {table}.delete_files").first()[0]
    assert deletes > 0 and ours.sql(f"SELECT count(*) FROM {table}.delete_files").first()[0] == deletes
    for query in ("SELECT * FROM {t} ORDER BY id, name", "SELECT count(*) FROM {t}", "SELECT count(*), sum(id) FROM {t} WHERE id > 500"):
        want, got = (outcome_of(lambda s=s: s.sql(query.format(t=table))) for s in (theirs, ours))
        assert not want.failed and want.rows == got.rows, query


# Statements that change rows, run here and there on tables of the same rows
CHANGES = [
    "DELETE FROM {t} WHERE id % 7 = 3",
    "DELETE FROM {t} AS x WHERE x.name IS NULL AND x.id > 900",
    "DELETE FROM {t} WHERE id < -5",
    "UPDATE {t} SET name = concat(name, '!'), s.a = id * 2 WHERE id % 50 = 0",
    "UPDATE {t} SET s = NULL, name = DEFAULT WHERE id BETWEEN 501 AND 505",
    """MERGE INTO {t} t USING (SELECT id, 'merged' AS name FROM range(990, 1010)) s ON t.id = s.id
       WHEN MATCHED AND s.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.name
       WHEN NOT MATCHED AND s.id < 1005 THEN INSERT (id, name) VALUES (s.id, s.name)""",
    """MERGE INTO {t} USING (SELECT 2000L AS id, 'all' AS name, named_struct('a', 1L, 'b', 'x') AS s) n ON {t}.id = n.id
       WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *""",
    """MERGE INTO {t} t USING (SELECT id FROM range(100, 3000)) s ON t.id = s.id
       WHEN NOT MATCHED BY SOURCE AND t.id < 20 THEN UPDATE SET name = 'no source' WHEN NOT MATCHED BY SOURCE THEN DELETE""",
    "DELETE FROM {t} WHERE id IN (SELECT id + 700 FROM range(10))",
]


def rows_that_change(ours, theirs, name, by):
    """Each statement leaves the same rows behind; those of one engine go on where those of the other have been."""
    make = f"CREATE TABLE {{t}} (id LONG, name STRING, s STRUCT<a: LONG, b: STRING>) USING iceberg {by}"
    rows_of = "INSERT INTO {t} SELECT id, IF(id % 10 = 0, NULL, CAST(id AS STRING)), named_struct('a', id, 'b', 'b') FROM range(0, 1000, 1, 2)"
    tables = {"ours": f"lake.db.{name}_ours", "theirs": f"lake.db.{name}_theirs", "both": f"lake.db.{name}_both"}
    for index, statement in enumerate([make, rows_of, *CHANGES]):
        for who, table in tables.items():
            session = ours if who == "ours" or (who == "both" and index % 2) else theirs
            session.sql(statement.format(t=table)).collect()
        counts = [ours.sql(f"SELECT count(*), sum(hash(id, name, s.a)) FROM {table}").first() for table in tables.values()]
        assert index == 0 or counts[0] == counts[1] == counts[2], statement
    wanted = rows(theirs.table(tables["theirs"]))
    assert len(wanted) > 700
    for session in (ours, theirs):
        for table in tables.values():
            assert rows(session.table(table)) == wanted
    # The rows of earlier states are still there.
    first = theirs.sql(f"SELECT snapshot_id FROM {tables['ours']}.snapshots ORDER BY committed_at").first()[0]
    assert theirs.sql(f"SELECT * FROM {tables['ours']} VERSION AS OF {first}").count() == 1000
    ours.sql(f"TRUNCATE TABLE {tables['ours']}")
    assert theirs.table(tables["ours"]).count() == ours.table(tables["ours"]).count() == 0
    operations = [row[0] for row in theirs.sql(f"SELECT operation FROM {tables['ours']}.snapshots ORDER BY committed_at").collect()]
    assert operations[0] == "append" and set(operations[1:-1]) == {"overwrite", "append"} and operations[-1] == "delete"


@pytest.mark.parametrize("by", ["", "PARTITIONED BY (bucket(3, id), truncate(1, name))"])
def test_rows_that_change(ours, theirs, name, by):
    rows_that_change(ours, theirs, name, by)


def test_rows_with_position_deletes_change(ours, theirs, name):
    table = f"lake.db.{name}"
    theirs.sql(f"CREATE TABLE {table} (id LONG, name STRING) USING iceberg {V2}")
    theirs.sql(f"INSERT INTO {table} SELECT id, 'x' FROM range(0, 100, 1, 1)")
    theirs.sql(f"DELETE FROM {table} WHERE id < 10")
    ours.sql(f"UPDATE {table} SET name = 'y' WHERE id % 10 = 5")
    ours.sql(f"DELETE FROM {table} WHERE id >= 90")
    wanted = sorted(((i, "y" if i % 10 == 5 else "x") for i in range(10, 90)), key=repr)
    assert rows(ours.table(table)) == rows(theirs.table(table)) == wanted


def test_changes_that_are_refused(ours, theirs, name):
    table = f"lake.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id INT NOT NULL, name STRING) USING iceberg")
    ours.sql(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
    for statement, condition in (
        ("UPDATE {t} SET none = 1", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        ("UPDATE {t} SET id = NULL", None),
        ("DELETE FROM {t} WHERE none = 1", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        ("MERGE INTO {t} t USING (VALUES (1), (1) AS v(id)) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = 'x'", "MERGE_CARDINALITY_VIOLATION"),
        ("MERGE INTO {t} t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
    ):
        failures = [fails(lambda s=s: s.sql(statement.format(t=table)).collect()) for s in (ours, theirs)]
        if condition:
            assert [failure.getCondition() for failure in failures] == [condition] * 2, statement
    assert rows(ours.table(table)) == [(1, "a"), (2, "b")]
    assert ours.sql(f"SELECT * FROM {table}.snapshots").count() == 1


def test_dataframes_merge(ours, name):
    table = f"lake.db.{name}"
    ours.range(5).selectExpr("id", "'old' AS name").writeTo(table).using("iceberg").create()
    source = ours.range(3, 8).selectExpr("id", "'new' AS name")
    merge = source.alias("s").mergeInto(table, F.expr(f"s.id = {name}.id"))
    merge.whenMatched().updateAll().whenNotMatched().insertAll().merge()
    assert rows(ours.table(table)) == sorted([(i, "old" if i < 3 else "new") for i in range(8)], key=repr)
    assert ours.catalog.tableExists(table)
    ours.sql(f"DROP TABLE {table}")
    assert not ours.catalog.tableExists(table)
    ours.sql(f"DROP TABLE IF EXISTS {table}")


def test_equality_deletes(ours, theirs, warehouse, name):
    table = f"lake.db.{name}"
    theirs.sql(f"CREATE TABLE {table} (id INT, name STRING) USING iceberg {V2}")
    theirs.sql(f"INSERT INTO {table} " + ROWS.split(" ", 3)[3])
    iceberg.delete_equal(warehouse / "db" / name, "id", 2, "null")
    # What comes later is not deleted.
    ours.sql(f"INSERT INTO {table} VALUES (2, 'later')")
    theirs.sql(f"ALTER TABLE {table} RENAME COLUMN id TO number")
    expected = [(1, "a"), (2, "later"), (3, None)]
    assert rows(theirs.table(table)) == rows(ours.table(table)) == sorted(expected, key=repr)
    assert ours.table(table).count() == 3
    assert ours.sql(f"SELECT content, equality_ids FROM {table}.delete_files").first() == (2, [1])


def test_time_travel_branches_and_tags(ours, theirs, name):
    table = f"lake.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id INT) USING iceberg")
    for i in range(3):
        ours.sql(f"INSERT INTO {table} VALUES ({i})")
    snapshots = [row[0] for row in ours.sql(f"SELECT snapshot_id FROM {table}.snapshots ORDER BY committed_at").collect()]
    times = [row[0] for row in ours.sql(f"SELECT made_current_at FROM {table}.history ORDER BY 1").collect()]
    theirs.sql(f"ALTER TABLE {table} CREATE TAG first AS OF VERSION {snapshots[0]}")
    theirs.sql(f"ALTER TABLE {table} CREATE BRANCH side")
    theirs.sql(f"INSERT INTO {table}.branch_side VALUES (100)")
    ours.sql(f"INSERT INTO {table} VALUES (3)")
    for session in (ours, theirs):
        read = lambda **options: rows(session.read.format("iceberg").options(**options).load(table))  # noqa: E731
        assert read() == [(0,), (1,), (2,), (3,)]
        assert read(versionAsOf=snapshots[1]) == [(0,), (1,)]
        assert read(versionAsOf="first") == [(0,)]
        assert read(timestampAsOf=str(times[1])) == [(0,), (1,)]
        assert read(branch="side") == [(0,), (1,), (100,), (2,)]
        assert read(**{"start-snapshot-id": snapshots[0], "end-snapshot-id": snapshots[2]}) == [(1,), (2,)]
        assert rows(session.sql(f"SELECT * FROM {table} VERSION AS OF 'first'")) == [(0,)]
        assert rows(session.sql(f"SELECT * FROM {table} VERSION AS OF {snapshots[0]}")) == [(0,)]
        assert rows(session.sql(f"SELECT * FROM {table} TIMESTAMP AS OF '{times[1]}'")) == [(0,), (1,)]
        assert sorted(row.name for row in session.sql(f"SELECT * FROM {table}.refs").collect()) == ["first", "main", "side"]
    # What Iceberg called these options before Spark had some of its own.
    read = lambda **options: rows(ours.read.format("iceberg").options(**options).load(table))  # noqa: E731
    assert read(**{"snapshot-id": snapshots[1]}) == read(**{"as-of-timestamp": int(times[1].timestamp() * 1000)}) == [(0,), (1,)]
    assert read(tag="first") == [(0,)]
    assert "Cannot find" in str(fails(lambda: ours.sql(f"SELECT * FROM {table} VERSION AS OF 7").collect()))
    assert "Cannot find" in str(fails(lambda: ours.sql(f"SELECT * FROM {table} VERSION AS OF 'none'").collect()))
    assert "Cannot find" in str(fails(lambda: ours.sql(f"SELECT * FROM {table} TIMESTAMP AS OF '2001-01-01'").collect()))


# What we write, by path and in the session's catalog


def current_metadata(folder):
    version = (folder / "metadata" / "version-hint.text").read_text()
    return str(folder / "metadata" / f"v{version}.metadata.json")


def test_pyiceberg_reads_what_we_write(spark, tmp_path):
    folder = tmp_path / "table"
    frame = spark.sql("SELECT id, CAST(id % 3 AS INT) AS p, array(id, NULL) AS a, named_struct('x', CAST(id AS DECIMAL(9, 2))) AS s FROM range(10)")
    frame.write.format("iceberg").partitionBy("p").save(str(folder))
    frame.write.format("iceberg").mode("append").save(str(folder))
    table = StaticTable.from_metadata(current_metadata(folder))
    read = table.scan().to_arrow()
    assert read.num_rows == 20 and sorted(set(read["p"].to_pylist())) == [0, 1, 2]
    assert sorted(read["id"].to_pylist()) == sorted(list(range(10)) * 2)
    assert table.scan(row_filter="p = 1 and id > 5").to_arrow()["id"].to_pylist() == [7, 7]
    assert [s.summary.operation.value for s in table.snapshots()] == ["append", "append"]
    assert read.schema.field("s").type.field("x").type.precision == 9
    frame.filter("id = 1").write.format("iceberg").mode("overwrite").save(str(folder))
    table = StaticTable.from_metadata(current_metadata(folder))
    assert table.scan().to_arrow()["id"].to_pylist() == [1]
    assert table.current_snapshot().summary["deleted-records"] == "20"


def test_paths_and_modes(spark, tmp_path):
    path = str(tmp_path / "table")

    def save(mode, *ids):
        frame = spark.createDataFrame([(i, str(i)) for i in ids], "id INT, name STRING")
        frame.write.format("iceberg").mode(mode).save(path)

    assert fails(lambda: save("append", 1)).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    save("error", 1)
    assert fails(lambda: save("error", 2)).getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    save("ignore", 2)
    save("append", 3)
    assert rows(spark.read.format("iceberg").load(path)) == [(1, "1"), (3, "3")]
    save("overwrite", 4)
    assert rows(spark.sql(f"SELECT id FROM iceberg.`{path}`")) == [(4,)]
    assert spark.read.format("iceberg").load(path + "#snapshots").count() == 3
    outcome = outcome_of(lambda: spark.read.format("iceberg").load([path, path]))
    assert outcome.condition == "UNSUPPORTED_FEATURE.FIRESTEEL" and "several" in outcome.text
    wrong = spark.createDataFrame([(1, 2)], "id INT, other INT")
    assert fails(lambda: wrong.write.format("iceberg").mode("append").save(path)).getCondition().startswith("INCOMPATIBLE_DATA_FOR_TABLE")
    broken = spark.range(100).selectExpr("CAST(1 / (id - 99) AS INT) AS id", "'x' AS name")
    before = len(list((tmp_path / "table" / "data").rglob("*.parquet")))
    assert fails(lambda: broken.write.format("iceberg").mode("append").save(path)).getCondition() == "DIVIDE_BY_ZERO"
    assert len(list((tmp_path / "table" / "data").rglob("*.parquet"))) == before
    assert rows(spark.read.format("iceberg").load(path)) == [(4, "4")]


def test_tables_of_the_session_catalog(spark):
    spark.sql("CREATE TABLE events (id LONG, kind STRING) USING iceberg PARTITIONED BY (kind) TBLPROPERTIES ('owner.team' = 'us')")
    spark.sql("INSERT INTO events VALUES (1, 'a'), (2, 'b')")
    spark.range(3, 5).selectExpr("id", "'b' AS kind").write.format("iceberg").mode("append").saveAsTable("events")
    spark.range(5, 6).selectExpr("'c' AS kind", "id").writeTo("events").append()
    assert rows(spark.table("events")) == [(1, "a"), (2, "b"), (3, "b"), (4, "b"), (5, "c")]
    spark.range(9, 10).selectExpr("id", "'b' AS kind").writeTo("events").overwritePartitions()
    assert rows(spark.table("events")) == [(1, "a"), (5, "c"), (9, "b")]
    assert [row.operation for row in spark.sql("SELECT operation FROM events.snapshots").collect()] == ["append"] * 3 + ["overwrite"]
    described = {row.col_name: row.data_type for row in spark.sql("DESCRIBE TABLE EXTENDED events").collect()}
    assert described["id"] == "bigint" and described["Provider"] == "iceberg"
    assert fails(lambda: spark.sql("CREATE TABLE events (id INT) USING iceberg")).getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    spark.sql("ALTER TABLE events ADD COLUMN more INT")
    spark.sql("ALTER TABLE events RENAME TO happenings")
    assert spark.table("happenings").columns == ["id", "kind", "more"] and spark.table("happenings").count() == 3
    spark.sql("ALTER TABLE happenings RENAME TO events")
    spark.sql("CREATE OR REPLACE TABLE events USING iceberg AS SELECT 'new' AS only")
    assert rows(spark.table("events")) == [("new",)]
    assert spark.sql("SELECT * FROM events.history").count() == 1
    assert spark.sql("SELECT * FROM events.snapshots").count() == 5
    spark.sql("DELETE FROM events WHERE only = 'x'")
    spark.sql("UPDATE events SET only = 'changed'")
    assert rows(spark.table("events")) == [("changed",)]
    spark.sql("DROP TABLE events")
    assert not spark.catalog.tableExists("events")


def test_not_null(ours, name):
    table = f"lake.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id INT NOT NULL) USING iceberg")
    assert fails(lambda: ours.sql(f"INSERT INTO {table} SELECT IF(id = 50, NULL, 1) FROM range(100)")).getCondition() == "NOT_NULL_ASSERT_VIOLATION"
    assert ours.table(table).count() == 0 and ours.sql(f"SELECT * FROM {table}.files").count() == 0


def test_files_are_left_out(ours, name):
    table = f"lake.db.{name}"
    ours.sql(f"CREATE TABLE {table} (id LONG, at TIMESTAMP, text STRING) USING iceberg")
    for start in (0, 100, 200, 300):
        frame = ours.range(start, start + 100).selectExpr("id", "timestamp_seconds(id)", "CAST(id AS STRING)").coalesce(1)
        frame.toDF("id", "at", "text").writeTo(table).append()
    for condition, files in (("id = 150", 1), ("at >= timestamp_seconds(250)", 2), ("text = '42'", 1), ("id > 1000", 0), ("true", 4)):
        plan = ours.sql(f"EXPLAIN SELECT * FROM {table} WHERE {condition}").first()[0]
        assert f"IcebergFiles: {files} of 4" in plan, condition
    assert ours.sql(f"SELECT count(*) FROM {table} WHERE id = 150").first()[0] == 1


def test_writers_at_once(firesteel, theirs, warehouse, name):
    """Of two who write one version one is let in, and the other goes on behind it."""
    table = f"lake.db.{name}"
    sessions = [servers.connect(firesteel) for _ in range(4)]
    for session in sessions:
        for key, value in iceberg.catalog(warehouse).items():
            session.conf.set(key, value)
    sessions[0].sql(f"CREATE TABLE {table} (id LONG) USING iceberg")
    failures = []

    def write(session, first):
        try:
            for i in range(5):
                session.range(first + i, first + i + 1).writeTo(table).append()
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=write, args=(s, 100 * n)) for n, s in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rows(theirs.table(table)) == sorted(((100 * n + i,) for n in range(4) for i in range(5)), key=repr)
    assert theirs.sql(f"SELECT * FROM {table}.snapshots").count() == 20
    for session in sessions:
        session.stop()


def test_changes_at_once(firesteel, theirs, warehouse, name):
    """Changes of the same rows follow one another: none is lost."""
    table = f"lake.db.{name}"
    sessions = [servers.connect(firesteel) for _ in range(3)]
    for session in sessions:
        for key, value in iceberg.catalog(warehouse).items():
            session.conf.set(key, value)
    sessions[0].sql(f"CREATE TABLE {table} USING iceberg AS SELECT 0L AS n")

    def write(session):
        for _ in range(3):
            session.sql(f"UPDATE {table} SET n = n + 1")

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(write, sessions))
    assert rows(theirs.table(table)) == [(9,)]
    for session in sessions:
        session.stop()


def test_sql_catalog(ours, theirs, warehouse):
    """Both engines go on from what the other has left in one SQLite file."""
    for session in (ours, theirs):
        for key, value in iceberg.sql_catalog("books", warehouse).items():
            session.conf.set(key, value)
    theirs.sql("CREATE NAMESPACE books.db")
    make = "CREATE TABLE {t} (id LONG, name STRING) USING iceberg PARTITIONED BY (bucket(2, id)) TBLPROPERTIES ('k' = 'v')"
    for table, first, second in (("books.db.by_spark", theirs, ours), ("books.db.by_us", ours, theirs)):
        first.sql(make.format(t=table))
        first.sql(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
        second.sql(f"INSERT INTO {table} VALUES (3, 'c')")
        second.sql(f"ALTER TABLE {table} RENAME COLUMN name TO label")
        first.sql(f"UPDATE {table} SET label = 'changed' WHERE id = 2")
        second.sql(f"DELETE FROM {table} WHERE id = 1")
        wanted = [(2, "changed"), (3, "c")]
        assert rows(ours.table(table)) == rows(theirs.table(table)) == wanted
        assert ours.sql(f"SELECT * FROM {table}.snapshots").count() == theirs.sql(f"SELECT * FROM {table}.snapshots").count() == 4
    assert sorted(row.tableName for row in theirs.sql("SHOW TABLES IN books.db").collect()) == ["by_spark", "by_us"]
    assert fails(lambda: ours.sql(make.format(t="books.db.by_spark"))).getCondition() == "TABLE_OR_VIEW_ALREADY_EXISTS"
    # Writers take turns: each change is there once.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: (theirs if i % 2 else ours).sql(f"INSERT INTO books.db.by_us VALUES ({100 + i}, 'x')"), range(8)))
    assert rows(theirs.sql("SELECT id FROM books.db.by_us WHERE id >= 100")) == [(100 + i,) for i in range(8)]
    ours.sql("CREATE OR REPLACE TABLE books.db.by_spark USING iceberg AS SELECT 'new' AS only")
    assert rows(theirs.table("books.db.by_spark")) == [("new",)]
    ours.sql("DROP TABLE books.db.by_us")
    assert [row.tableName for row in theirs.sql("SHOW TABLES IN books.db").collect()] == ["by_spark"]
    assert not ours.catalog.tableExists("books.db.by_us") and ours.catalog.tableExists("books.db.by_spark")
    ours.conf.set("spark.sql.catalog.books.uri", "jdbc:mysql://host/db")
    assert "jdbc:mysql" in str(fails(lambda: ours.table("books.db.by_spark").collect()))


def test_what_is_not_supported_says_so(ours, theirs, name):
    table = f"lake.db.{name}"
    theirs.sql(f"CREATE TABLE {table} (id INT) USING iceberg TBLPROPERTIES ('format-version' = '3')")
    assert "format version 3" in str(fails(lambda: ours.table(table).collect()))
    theirs.sql(f"CREATE TABLE {table}_1 (id INT) USING iceberg TBLPROPERTIES ('format-version' = '1')")
    theirs.sql(f"INSERT INTO {table}_1 VALUES (1)")
    assert rows(ours.table(f"{table}_1")) == [(1,)]
    assert "format version 1" in str(fails(lambda: ours.sql(f"INSERT INTO {table}_1 VALUES (2)")))
    assert fails(lambda: ours.sql("SELECT * FROM lake.db.nothing").collect()).getCondition() == "TABLE_OR_VIEW_NOT_FOUND"
    ours.conf.set("spark.sql.catalog.other", "org.apache.iceberg.spark.SparkCatalog")
    ours.conf.set("spark.sql.catalog.other.type", "glue")
    assert "type glue" in str(fails(lambda: ours.sql("SELECT * FROM other.db.t").collect()))
