"""Hudi tables of the catalog: statements here and the same ones in real Spark with Hudi, on a table each."""
import json

import pytest
from support import hudi
from support.outcome import outcome_of

COLUMNS = "id, name, price, ts, part"
DEFINITION = """CREATE TABLE {name} (id BIGINT, name STRING, price DECIMAL(10, 2), ts BIGINT, part STRING) USING hudi
    TBLPROPERTIES (primaryKey = 'id', preCombineField = 'ts'{more}) {clause} LOCATION '{path}'"""
STATEMENTS = [
    "INSERT INTO {name} VALUES (1, 'a1', 1.5, 10, 'p0'), (2, 'a2', 2.5, 10, 'p0'), (3, 'a3', NULL, 10, 'p1')",
    "INSERT INTO {name} VALUES (1, 'b1', 1.5, 9, 'p0'), (2, 'b2', 2.5, 11, 'p0'), (4, 'b4', 4, 10, 'p1')",
    "UPDATE {name} SET price = price * 2, name = concat(name, '!') WHERE id IN (2, 3)",
    "DELETE FROM {name} WHERE id = 1",
    """MERGE INTO {name} t USING (SELECT id, name, CAST(price AS DECIMAL(10, 2)) AS price, ts, part FROM
        VALUES (2L, 'm2', 7.0, 20L, 'p0'), (4L, 'm4', 8.0, 5L, 'p1'), (5L, 'm5', 9.0, 1L, 'p2') AS s(id, name, price, ts, part)) s ON t.id = s.id
        WHEN MATCHED THEN UPDATE SET name = s.name, ts = s.ts WHEN NOT MATCHED THEN INSERT *""",
    """MERGE INTO {name} t USING (SELECT 3L AS id, 'x' AS name, CAST(1 AS DECIMAL(10, 2)) AS price, 30L AS ts, 'p1' AS part) s ON t.id = s.id
        WHEN MATCHED AND s.name = 'x' THEN DELETE WHEN NOT MATCHED THEN INSERT *""",
    "INSERT INTO {name} (ts, id, name, part, price) VALUES (1, 6, 'six', 'p0', 6.25)",
    "DELETE FROM {name} WHERE id = 100",
]


@pytest.fixture(scope="module")
def hudi_spark(tmp_path_factory):
    session = hudi.Session(tmp_path_factory.mktemp("hudi-session") / "log")
    yield session
    session.close()


def rows(frame):
    return sorted(row[0] for row in frame.selectExpr(f"to_json(struct({COLUMNS}))").collect())


def same_statements(spark, hudi_spark, kind, path, twin, clause):
    """Makes the tables `ours_KIND` here and `theirs_KIND` in Spark, and runs the same statements on both."""
    ours, theirs = f"ours_{kind}", f"theirs_{kind}"
    more = ", type = 'mor'" if kind.startswith("merged") else ""
    spark.sql(DEFINITION.format(name=ours, clause=clause, path=path, more=more))
    hudi_spark.sql(DEFINITION.format(name=theirs, clause=clause, path=twin, more=more))
    assert spark.read.table(ours).count() == 0
    for statement in STATEMENTS:
        spark.sql(statement.format(name=ours))
        hudi_spark.sql(statement.format(name=theirs))
        assert rows(spark.read.table(ours)) == hudi_spark.sql(f"SELECT {COLUMNS} FROM {theirs}") != [], statement


@pytest.mark.parametrize("kind", ["partitioned", "plain", "merged"])
def test_statements(kind, spark, hudi_spark, tmp_path):
    """The same statements make the same rows; a table made here is then changed by Hudi's own statements."""
    clause = "" if kind == "plain" else "PARTITIONED BY (part)"
    ours, theirs = f"ours_{kind}", f"theirs_{kind}"
    path = tmp_path / "ours"
    same_statements(spark, hudi_spark, kind, path, tmp_path / "theirs", clause)
    read = lambda: hudi_spark.sql(f"SELECT {COLUMNS} FROM {theirs}")  # noqa: E731
    assert rows(spark.read.table(ours)) == hudi_spark.rows(path, COLUMNS)
    own = "_hoodie_record_key, _hoodie_partition_path, id"
    assert hudi_spark.rows(path, own) == hudi_spark.rows(tmp_path / "theirs", own)
    hudi_spark.sql(f"CREATE TABLE again_{kind} USING hudi LOCATION '{path}'")
    for statement in ("UPDATE {name} SET name = 'u' WHERE id = 2", "DELETE FROM {name} WHERE id = 4", "INSERT INTO {name} VALUES (7, 'c7', 7, 1, 'p9')"):
        hudi_spark.sql(statement.format(name=f"again_{kind}"))
        spark.sql(statement.format(name=ours))
    assert rows(spark.read.table(ours)) == hudi_spark.rows(path, COLUMNS)
    for overwrite in ("INSERT OVERWRITE {name} VALUES (8, 'o8', 8, 1, 'p0'), (9, 'o9', 9, 1, 'p1')",):
        spark.sql(overwrite.format(name=ours))
        hudi_spark.sql(overwrite.format(name=theirs))
        assert rows(spark.read.table(ours)) == read() == hudi_spark.rows(path, COLUMNS)
    spark.sql(f"DROP TABLE {ours}")


def test_overwritten_partitions(spark, hudi_spark, tmp_path):
    clause = "PARTITIONED BY (part)"
    for name, run in (("ours_parts", spark.sql), ("theirs_parts", hudi_spark.sql)):
        run(DEFINITION.format(name=name, clause=clause, path=tmp_path / name, more=""))
        run(f"INSERT INTO {name} VALUES (1, 'a', 1, 1, 'p0'), (2, 'b', 2, 1, 'p1'), (3, 'c', 3, 1, 'p2')")
        run(f"INSERT OVERWRITE {name} PARTITION (part = 'p1') SELECT 4L, 'd', 4BD, 1L")
        run("SET spark.sql.sources.partitionOverwriteMode = dynamic")
        run(f"INSERT OVERWRITE {name} VALUES (5, 'e', 5, 1, 'p0')")
        run("SET spark.sql.sources.partitionOverwriteMode = static")
    found = rows(spark.read.table("ours_parts"))
    assert found == hudi_spark.sql(f"SELECT {COLUMNS} FROM theirs_parts") == hudi_spark.rows(tmp_path / "ours_parts", COLUMNS)
    assert [json.loads(row)["name"] for row in found] == ["c", "d", "e"]
    spark.sql("INSERT OVERWRITE ours_parts PARTITION (part = 'p2') SELECT 4L, 'd', 4BD, 1L WHERE false")
    assert spark.read.table("ours_parts").count() == 2


def test_tables_of_queries(spark, hudi_spark, tmp_path):
    """CREATE TABLE AS SELECT, saveAsTable, writeTo; tables without keys."""
    spark.sql("CREATE TABLE of_query USING hudi TBLPROPERTIES (primaryKey = 'id') PARTITIONED BY (part) AS SELECT id, concat('p', id % 2) AS part, 1.5D AS d FROM range(4)")
    location = spark.sql("DESCRIBE EXTENDED of_query").where("col_name = 'Location'").collect()[0][1]
    path = location.removeprefix("file:")
    assert hudi_spark.rows(path, "id, part, d") == [f'{{"id":{i},"part":"p{i % 2}","d":1.5}}' for i in range(4)]
    spark.range(3).selectExpr("id", "'x' AS name").write.format("hudi").option("hoodie.datasource.write.recordkey.field", "id").saveAsTable("saved")
    spark.range(2, 5).selectExpr("id", "'y' AS name").write.format("hudi").mode("append").saveAsTable("saved")
    assert sorted((row.id, row.name) for row in spark.read.table("saved").collect()) == [(0, "x"), (1, "x"), (2, "y"), (3, "y"), (4, "y")]
    spark.range(1).selectExpr("id", "'z' AS name").write.format("hudi").mode("overwrite").saveAsTable("saved")
    assert [row.name for row in spark.read.table("saved").collect()] == ["z"]
    spark.sql("CREATE TABLE keyless (id BIGINT, name STRING) USING hudi")
    spark.sql("INSERT INTO keyless VALUES (1, 'a'), (1, 'a')")
    spark.range(1).selectExpr("id", "'b' AS name").write.insertInto("keyless")
    spark.range(1).selectExpr("'c' AS name", "id").writeTo("keyless").append()
    assert spark.read.table("keyless").count() == 4
    spark.sql("DELETE FROM keyless WHERE name = 'a'")
    spark.sql("UPDATE keyless SET name = 'd' WHERE name = 'c'")
    assert sorted(row.name for row in spark.read.table("keyless").collect()) == ["b", "d"]
    for name in ("of_query", "saved", "keyless"):
        spark.sql(f"DROP TABLE {name}")


def test_what_is_refused(spark, tmp_path):
    path = tmp_path / "table"
    spark.sql(DEFINITION.format(name="refusing", clause="PARTITIONED BY (part)", path=path, more=""))
    spark.sql("INSERT INTO refusing VALUES (1, 'a', 1, 1, 'p0')")
    before = sorted(file.name for file in path.rglob("*"))
    for statement in (
        "UPDATE refusing SET id = 2",
        "UPDATE refusing SET part = 'p1'",
        "UPDATE refusing SET nowhere = 1",
        "INSERT INTO refusing VALUES (1, 'a')",
        "INSERT INTO refusing VALUES ('no number', 'a', 1, 1, 'p')",
        "CREATE OR REPLACE TABLE refusing (id BIGINT) USING hudi",
        "CREATE TABLE second USING hudi LOCATION '{path}' AS SELECT 1 AS id",
        "MERGE INTO refusing t USING (SELECT 1L AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *",
        "CREATE TABLE refusing2 (id BIGINT, at TIMESTAMP_NTZ) USING hudi",
        "CREATE TABLE refusing2 (id BIGINT) USING hudi TBLPROPERTIES (primaryKey = 'nowhere')",
    ):
        assert outcome_of(lambda statement=statement: spark.sql(statement.format(path=path))).text, statement
        assert sorted(file.name for file in path.rglob("*")) == before, statement
    assert not spark.catalog.tableExists("refusing2") and not spark.catalog.tableExists("second")
    twice = "MERGE INTO refusing t USING (SELECT 1L AS id, name FROM VALUES ('x'), ('y') AS v(name)) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.name"
    assert outcome_of(lambda: spark.sql(twice)).condition == "MERGE_CARDINALITY_VIOLATION"
    spark.sql("DROP TABLE refusing")
    assert path.exists()
