"""Delta tables of real Spark with delta-spark read and changed here, and the other way round.

Each case is made by the one engine, changed by the other, and read by both, in both directions: what the two read must be
the same, and the same whichever made it. `docs/delta.md` shows the cases as a matrix.
"""
import os
import time

import pytest
from support import servers
from support.outcome import difference, outcome_of

# What makes a real Spark one with Delta tables.
DELTA = {
    "spark.jars.packages": "io.delta:delta-spark_4.2_2.13:4.4.0",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Its default, 50 tasks for the log of every small table, takes most of the time.
    "spark.databricks.delta.snapshotPartitions": "2",
}

ROWS = "INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, NULL), (NULL, 'd')"

# name: what the first engine runs, what the second runs, what both are asked
VACUUM = [
    "SET spark.databricks.delta.retentionDurationCheck.enabled = false",
    "VACUUM {t} RETAIN 0 HOURS",
    "SET spark.databricks.delta.retentionDurationCheck.enabled = true",
]

CASES = {
    "types": (
        [
            """CREATE TABLE {t} USING delta LOCATION '{path}' AS SELECT CAST(1 AS TINYINT) a, CAST(2 AS SMALLINT) b, 3 c, 4L d,
               CAST(1.5 AS FLOAT) e, 2.5D f, 12.34BD g, CAST(1 AS DECIMAL(38, 18)) g2, 'x' h, X'0102' i,
               DATE'1900-02-28' j, TIMESTAMP'2024-02-29 12:34:56.789012' k, TIMESTAMP_NTZ'2024-02-29 12:34:56' l, true m,
               array(1, null) n, map('k', 1) o, struct(1 AS x, struct('y' AS y) AS z) p""",
        ],
        ["INSERT INTO {t} SELECT null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null"],
        ["SELECT * FROM {t} ORDER BY c"],
    ),
    "partitions": (
        [
            "CREATE TABLE {t} (id INT, p STRING, d DATE) USING delta LOCATION '{path}' PARTITIONED BY (p, d)",
            "INSERT INTO {t} VALUES (1, 'a b/c%', DATE'2024-01-01'), (2, NULL, NULL), (3, 'x', DATE'1999-12-31')",
        ],
        ["INSERT INTO {t} VALUES (4, 'x', DATE'1999-12-31'), (5, '', NULL)", "DELETE FROM {t} WHERE p = 'x' AND id = 3"],
        ["SELECT * FROM {t} ORDER BY id", "SELECT id FROM {t} WHERE d = DATE'1999-12-31'"],
    ),
    "update, delete, merge": (
        ["CREATE TABLE {t} (id INT, name STRING) USING delta LOCATION '{path}'", ROWS],
        [
            "UPDATE {t} SET name = upper(name) WHERE id >= 2",
            "DELETE FROM {t} WHERE id IS NULL",
            """MERGE INTO {t} t USING (SELECT * FROM VALUES (1, 'z'), (9, 'n') AS v(id, name)) s ON t.id = s.id
               WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *""",
        ],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "deletion vectors": (
        [
            "CREATE TABLE {t} (id LONG, name STRING) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
            "INSERT INTO {t} SELECT id, CAST(id AS STRING) FROM range(0, 1000, 1, 1)",
            "DELETE FROM {t} WHERE id % 7 = 3",
        ],
        ["UPDATE {t} SET name = 'even' WHERE id % 2 = 0", "DELETE FROM {t} WHERE id < 10"],
        ["SELECT count(*), sum(id), min(id) FROM {t}", "SELECT name, count(*) FROM {t} WHERE id > 900 GROUP BY name ORDER BY name"],
    ),
    "column mapping by name": (
        [
            """CREATE TABLE {t} (id INT, `a b` STRUCT<x: INT, y: STRING>, p STRING) USING delta LOCATION '{path}' PARTITIONED BY (p)
               TBLPROPERTIES ('delta.columnMapping.mode' = 'name')""",
            "INSERT INTO {t} VALUES (1, named_struct('x', 1, 'y', 'one'), 'p'), (2, NULL, NULL)",
            "ALTER TABLE {t} RENAME COLUMN id TO number",
            "ALTER TABLE {t} RENAME COLUMN `a b`.x TO z",
        ],
        [
            "INSERT INTO {t} VALUES (3, named_struct('z', 3, 'y', 'three'), 'q')",
            "ALTER TABLE {t} ADD COLUMN late STRING",
            "UPDATE {t} SET late = 'set' WHERE number = 3",
            "ALTER TABLE {t} RENAME COLUMN p TO part",
        ],
        ["SELECT * FROM {t} ORDER BY number", "SELECT `a b`.z FROM {t} WHERE number = 1", "SELECT number FROM {t} WHERE part = 'q'"],
    ),
    "column mapping of a table that was there": (
        [
            "CREATE TABLE {t} (id INT, name STRING, more STRING) USING delta LOCATION '{path}'",
            "INSERT INTO {t} VALUES (1, 'a', 'x')",
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')",
            "ALTER TABLE {t} DROP COLUMN more",
        ],
        ["ALTER TABLE {t} ADD COLUMN more INT", "INSERT INTO {t} VALUES (2, 'b', 7)"],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "column mapping by id": (
        [
            """CREATE TABLE {t} (id INT, name STRING) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.columnMapping.mode' = 'id')""",
            ROWS,
        ],
        ["DELETE FROM {t} WHERE id = 1", "INSERT INTO {t} VALUES (7, 'seven')"],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "evolution": (
        ["CREATE TABLE {t} (id INT) USING delta LOCATION '{path}'", "INSERT INTO {t} VALUES (1)"],
        ["ALTER TABLE {t} ADD COLUMNS (s STRUCT<a: INT>, name STRING)", "INSERT INTO {t} VALUES (2, named_struct('a', 2), 'two')", "ALTER TABLE {t} ADD COLUMNS (s.b STRING)"],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "time travel and restore": (
        ["CREATE TABLE {t} (id INT, name STRING) USING delta LOCATION '{path}'", ROWS, "DELETE FROM {t} WHERE id = 1"],
        ["DELETE FROM {t}", "RESTORE TABLE {t} TO VERSION AS OF 2"],
        ["SELECT * FROM {t} ORDER BY id", "SELECT * FROM {t} VERSION AS OF 1 ORDER BY id", "SELECT count(*) FROM {t} VERSION AS OF 3"],
    ),
    "constraints and generated columns": (
        [
            "CREATE TABLE {t} (id INT NOT NULL, twice INT GENERATED ALWAYS AS (id * 2)) USING delta LOCATION '{path}'",
            "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (id > 0)",
            "INSERT INTO {t} (id) VALUES (1)",
        ],
        ["INSERT INTO {t} (id) VALUES (5)", "INSERT INTO {t} (id) VALUES (-1)", "INSERT INTO {t} (id) VALUES (NULL)", "INSERT INTO {t} VALUES (4, 9)"],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "column defaults": (
        [
            """CREATE TABLE {t} (id INT, name STRING DEFAULT 'none', n INT DEFAULT 1 + 1) USING delta LOCATION '{path}'
               TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')""",
            "INSERT INTO {t} (id) VALUES (1)",
            "INSERT INTO {t} VALUES (2, DEFAULT, 7)",
            "ALTER TABLE {t} ADD COLUMN more INT DEFAULT 5",
        ],
        [
            "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 9",
            "INSERT INTO {t} (id, name) VALUES (3, 'c'), (4, DEFAULT)",
            "UPDATE {t} SET name = DEFAULT, n = DEFAULT WHERE id = 3",
            "UPDATE {t} SET name = DEFAULT WHERE id = 99",
            """MERGE INTO {t} t USING (SELECT explode(array(1, 5, 6)) AS id) s ON t.id = s.id
               WHEN MATCHED THEN UPDATE SET n = 0 WHEN NOT MATCHED AND s.id = 5 THEN INSERT (id) VALUES (s.id)
               WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'm')""",
            "ALTER TABLE {t} ALTER COLUMN name DROP DEFAULT",
            "INSERT INTO {t} (id) VALUES (7)",
            "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 'x'",
        ],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "column defaults without the feature": (
        ["CREATE TABLE {t} (id INT, n INT) USING delta LOCATION '{path}'", "INSERT INTO {t} VALUES (1, 1)"],
        [
            "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 9",
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'yes')",
            "ALTER TABLE {t} SET TBLPROPERTIES ('delta.feature.allowcolumndefaults' = 'supported')",
            "ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 9",
            "INSERT INTO {t} (id) VALUES (2)",
        ],
        ["SELECT * FROM {t} ORDER BY id"],
    ),
    "change data feed": (
        ["CREATE TABLE {t} (id INT, name STRING) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')", ROWS],
        ["UPDATE {t} SET name = 'u' WHERE id = 1", "DELETE FROM {t} WHERE id = 2"],
        ["SELECT id, name, _change_type, _commit_version FROM table_changes_by_path('{path}', 0) ORDER BY ALL"],
    ),
    "optimize and vacuum": (
        ["CREATE TABLE {t} (id INT, name STRING) USING delta LOCATION '{path}'", ROWS, ROWS],
        ["OPTIMIZE {t}", "OPTIMIZE {t} ZORDER BY (id)", "VACUUM {t} RETAIN 0 HOURS", *VACUUM],
        ["SELECT * FROM {t} ORDER BY ALL", "SELECT * FROM {t} VERSION AS OF 0"],
    ),
    "vacuum of a table with vectors and constraints": (
        [
            "CREATE TABLE {t} (id LONG, name STRING) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
            "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (id >= 0)",
            "INSERT INTO {t} SELECT id, CAST(id AS STRING) FROM range(0, 1000, 1, 1)",
            "DELETE FROM {t} WHERE id % 7 = 3",
            "INSERT INTO {t} SELECT id, 'old' FROM range(1000, 1100, 1, 1)",
            "DELETE FROM {t} WHERE name = 'old'",
        ],
        VACUUM,
        ["SELECT count(*), sum(id), min(id) FROM {t}"],
    ),
    "many versions and checkpoints": (
        ["CREATE TABLE {t} (id INT, name STRING) USING delta LOCATION '{path}'"] + [ROWS] * 12,
        [ROWS] * 12 + ["DELETE FROM {t} WHERE id = 3"],
        ["SELECT id, name, count(*) FROM {t} GROUP BY ALL ORDER BY ALL"],
    ),
}


@pytest.fixture(scope="module")
def delta_spark():
    server = servers.start_spark(DELTA)
    session = servers.connect(server.remote)
    yield session
    session.stop()
    server.close()


def run(session, statements, table, path):
    return [outcome_of(lambda s=s: session.sql(s.format(t=table, path=path))) for s in statements]


def both_directions(spark, delta_spark, folder, name):
    """The case, in tables below `folder`."""
    first, second, queries = CASES[name]
    answers = {}
    for made_by, changed_by, direction in ((delta_spark, spark, "spark"), (spark, delta_spark, "firesteel")):
        path, table = f"{folder}/{direction}", f"interop_{list(CASES).index(name)}_{direction}"
        answers[direction, "first"] = run(made_by, first, table, path)
        changed_by.sql(f"CREATE TABLE {table} USING delta LOCATION '{path}'")
        answers[direction, "second"] = run(changed_by, second, table, path)
        for reader, session in (("spark reads", delta_spark), ("firesteel reads", spark)):
            session.sql(f"REFRESH TABLE {table}")
            answers[direction, reader] = run(session, queries, table, path)
        for session in (delta_spark, spark):
            session.sql(f"DROP TABLE {table}")
    # Each statement comes to the same, whichever engine runs it.
    for part, statements in (("first", first), ("second", second)):
        for statement, one, other in zip(statements, answers["spark", part], answers["firesteel", part]):
            assert one.condition == other.condition, f"{statement}: {one.text[:300]} / {other.text[:300]}"
    for direction in ("spark", "firesteel"):
        for reader in ("spark reads", "firesteel reads"):
            for query, want, got in zip(queries, answers["spark", "spark reads"], answers[direction, reader]):
                assert difference(want, got, "ORDER BY" in query) is None, f"made by {direction}, {reader}: {query}"


@pytest.mark.parametrize("name", CASES)
def test_both_directions(spark, delta_spark, tmp_path, name):
    both_directions(spark, delta_spark, tmp_path, name)


def test_deleted_rows_stay_deleted(spark, delta_spark, tmp_path):
    """However often a small part of a file is asked for whose deleted rows only the log knows."""
    path = tmp_path / "t"
    table = f"delta.`{path}`"
    delta_spark.sql(f"CREATE TABLE {table} (id LONG, name STRING) USING delta TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    delta_spark.sql(f"INSERT INTO {table} SELECT id, CAST(id AS STRING) FROM range(0, 1000, 1, 1)")
    wanted = [8, 9, 10, 11, 12]
    for delete in (None, "id % 7 = 3", "id = 9"):
        if delete:
            delta_spark.sql(f"DELETE FROM {table} WHERE {delete}")
            wanted = [row.id for row in delta_spark.sql(f"SELECT id FROM {table} WHERE id BETWEEN 8 AND 12 ORDER BY id").collect()]
        for file in (path / "_delta_log").iterdir():
            os.utime(file, (time.time() - 60,) * 2)
        for _ in range(4):
            assert [row.id for row in spark.sql(f"SELECT id FROM {table} WHERE id BETWEEN 8 AND 12").collect()] == wanted
    assert wanted == [8, 11, 12]


# Tables that need something of their writers which is not kept here: what makes one, and how Delta calls it
NEEDS = {
    "identityColumns": "(id LONG GENERATED ALWAYS AS IDENTITY, v INT) USING delta LOCATION '{path}'",
    "clustering": "(id LONG, v INT) USING delta LOCATION '{path}' CLUSTER BY (v)",
    "rowTracking": "(id LONG, v INT) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.enableRowTracking' = 'true')",
    "typeWidening": "(id LONG, v INT) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.enableTypeWidening' = 'true')",
    "inCommitTimestamp": "(id LONG, v INT) USING delta LOCATION '{path}' TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')",
}


@pytest.mark.parametrize("feature", NEEDS)
def test_tables_that_are_only_read(feature, spark, delta_spark, tmp_path):
    path, table = tmp_path / "t", f"needs_{feature}"
    delta_spark.sql(f"CREATE TABLE {table} {NEEDS[feature].format(path=path)}")
    delta_spark.sql(f"INSERT INTO {table} (v) VALUES (1), (2)")
    delta_spark.sql(f"INSERT INTO {table} (v) VALUES (3)")
    query = f"SELECT * FROM delta.`{path}` ORDER BY v"
    theirs = outcome_of(lambda: delta_spark.sql(query))
    assert difference(theirs, outcome_of(lambda: spark.sql(query)), ordered=True) is None
    before = sorted(path.rglob("*"))
    changes = ["INSERT INTO {} VALUES (7, 7)", "UPDATE {} SET v = 5", "DELETE FROM {} WHERE v = 1", "OPTIMIZE {}"]
    for change in changes:
        refused = outcome_of(lambda: spark.sql(change.format(f"delta.`{path}`")))
        assert feature.lower() in refused.text.lower(), refused.text
    assert sorted(path.rglob("*")) == before
    delta_spark.sql(f"DROP TABLE {table}")
