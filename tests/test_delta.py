"""Delta tables: written and changed here, read back here and by PyPI's `deltalake`, an implementation of its own."""
import os
import threading

import deltalake
import pytest
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions as F


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "table")


@pytest.fixture
def name(spark):
    name = "delta_" + threading.current_thread().name.replace("-", "_").lower() + "_t"
    spark.sql(f"DROP TABLE IF EXISTS {name}")
    yield name
    spark.sql(f"DROP TABLE IF EXISTS {name}")


def rows(frame):
    return sorted(tuple(row) for row in frame.collect())


def read(spark, path, **options):
    return spark.read.format("delta").options(**options).load(path)


def others(path, version=None):
    """The rows as the other implementation reads them."""
    table = deltalake.DeltaTable(path, version=version).to_pyarrow_table()
    return sorted(tuple(row.values()) for row in table.to_pylist())


def save(frame, path, mode="error", partition_by=(), **options):
    writer = frame.write.format("delta").mode(mode).options(**options)
    (writer.partitionBy(*partition_by) if partition_by else writer).save(path)


def fails(condition, action):
    with pytest.raises(PySparkException) as caught:
        action()
    assert caught.value.getCondition() == condition, str(caught.value)
    return caught.value


def operations(spark, path):
    history = spark.sql(f"DESCRIBE HISTORY delta.`{path}`")
    return [row.operation for row in history.orderBy("version").collect()]


# Writing


def test_save_modes(spark, path):
    frame = spark.createDataFrame([(1, "a"), (2, None)], "id INT, name STRING")
    save(frame, path)
    assert rows(read(spark, path)) == [(1, "a"), (2, None)] == others(path)
    fails("DELTA_PATH_EXISTS", lambda: save(frame, path))
    save(frame, path, "ignore")
    assert read(spark, path).count() == 2
    save(frame.limit(1), path, "append")
    assert read(spark, path).count() == 3
    save(frame.filter("id = 2"), path, "overwrite")
    assert rows(read(spark, path)) == [(2, None)] == others(path)
    assert rows(read(spark, path, versionAsOf="0")) == [(1, "a"), (2, None)] == others(path, 0)
    assert operations(spark, path) == ["WRITE"] * 3


def test_every_type_goes_round(spark, path):
    frame = spark.sql(
        """SELECT CAST(1 AS TINYINT) a, CAST(2 AS SMALLINT) b, 3 c, 4L d, CAST(1.5 AS FLOAT) e, 2.5D f, 12.34BD g,
           'x' h, X'0102' i, DATE'2024-02-29' j, TIMESTAMP'2024-02-29 12:34:56.789' k,
           TIMESTAMP_NTZ'2024-02-29 12:34:56' l, true m, array(1, null) n, map('k', 1) o, struct(1 AS x, 'y' AS y) p
           UNION ALL SELECT null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null"""
    )
    save(frame, path)
    assert read(spark, path).schema.simpleString() == frame.schema.simpleString()
    key = str
    assert sorted(map(tuple, read(spark, path).collect()), key=key) == sorted(map(tuple, frame.collect()), key=key)
    table = deltalake.DeltaTable(path).to_pyarrow_table()
    assert table.num_rows == 2 and table.column("g").to_pylist() in ([None, frame.collect()[0].g], [frame.collect()[0].g, None])


def test_partitions(spark, path):
    frame = spark.range(6).selectExpr("id", "id % 3 AS p", "IF(id = 5, NULL, concat('a b/', id % 2)) AS q")
    save(frame, path, partition_by=["p", "q"])
    assert rows(read(spark, path).select("id", "p", "q")) == rows(frame)
    assert sorted(deltalake.DeltaTable(path).to_pyarrow_table().column("id").to_pylist()) == list(range(6))
    assert rows(read(spark, path).filter("p = 1 AND q = 'a b/1'").select("id")) == [(1,)]
    fails("DELTA_METADATA_MISMATCH.PARTITIONING_MISMATCH", lambda: save(frame, path, "append", ["q"]))


def test_dynamic_partition_overwrite(spark, path):
    save(spark.range(6).selectExpr("id", "id % 3 AS p"), path, partition_by=["p"])
    save(spark.sql("SELECT 100L AS id, 1L AS p"), path, "overwrite", partitionOverwriteMode="dynamic")
    assert rows(read(spark, path)) == [(0, 0), (2, 2), (3, 0), (5, 2), (100, 1)] == others(path)


def test_replace_where(spark, path):
    save(spark.range(6).selectExpr("id", "id % 3 AS p"), path, partition_by=["p"])
    save(spark.sql("SELECT 9L AS id, 1L AS p"), path, "overwrite", replaceWhere="p = 1")
    assert rows(read(spark, path)) == [(0, 0), (2, 2), (3, 0), (5, 2), (9, 1)]
    # A condition on other columns rewrites files.
    save(spark.sql("SELECT 5L AS id, 0L AS p"), path, "overwrite", replaceWhere="id >= 5")
    assert rows(read(spark, path)) == [(0, 0), (2, 2), (3, 0), (5, 0)] == others(path)
    fails("DELTA_REPLACE_WHERE_MISMATCH", lambda: save(spark.sql("SELECT 7L AS id, 2L AS p"), path, "overwrite", replaceWhere="p = 1"))
    assert read(spark, path).count() == 4


def test_schema_enforcement(spark, path):
    save(spark.sql("SELECT 1 AS id, 'a' AS name"), path)
    fails("DELTA_METADATA_MISMATCH.SCHEMA_MISMATCH", lambda: save(spark.sql("SELECT 2 AS id, 'b' AS name, 1 AS extra"), path, "append"))
    fails("DELTA_FAILED_TO_MERGE_FIELDS", lambda: save(spark.sql("SELECT 'x' AS id, 'b' AS name"), path, "append"))
    save(spark.sql("SELECT 2 AS ID"), path, "append")
    save(spark.sql("SELECT 3 AS id, 'c' AS name, 1.5D AS extra"), path, "append", mergeSchema="true")
    assert rows(read(spark, path)) == [(1, "a", None), (2, None, None), (3, "c", 1.5)] == others(path)
    fails("DELTA_FAILED_TO_MERGE_FIELDS", lambda: save(spark.sql("SELECT 'x' AS id"), path, "overwrite"))
    save(spark.sql("SELECT 'x' AS other"), path, "overwrite", overwriteSchema="true")
    assert rows(read(spark, path)) == [("x",)] == others(path)


def test_a_failed_write_leaves_nothing(spark, path):
    import os

    save(spark.range(3), path)
    before = sorted(os.listdir(path))
    fails("DIVIDE_BY_ZERO", lambda: save(spark.range(3).selectExpr("1 / (id - 2) AS x", "id").select("id", "x").selectExpr("CAST(x AS BIGINT) AS id"), path, "append"))
    assert sorted(os.listdir(path)) == before and read(spark, path).count() == 3


def test_idempotent_writes(spark, path):
    for _ in range(2):
        save(spark.range(1), path, "append", txnAppId="app", txnVersion="1")
    assert read(spark, path).count() == 2
    for _ in range(2):
        save(spark.range(1), path, "append", txnAppId="app", txnVersion="2")
    assert read(spark, path).count() == 3


# Tables of the catalog


def test_tables(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT NOT NULL, name STRING COMMENT 'who') USING delta TBLPROPERTIES ('k' = 'v') COMMENT 'people'")
    spark.sql(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')")
    spark.sql(f"INSERT INTO {name} (id) VALUES (3)")
    assert rows(spark.table(name)) == [(1, "a"), (2, "b"), (3, None)]
    spark.sql(f"INSERT OVERWRITE {name} SELECT 9, 'z'")
    assert rows(spark.sql(f"SELECT * FROM {name} VERSION AS OF 2")) == [(1, "a"), (2, "b"), (3, None)]
    spark.createDataFrame([(4, "d")], "id INT, name STRING").write.insertInto(name)
    spark.createDataFrame([("e", 5)], "name STRING, id INT").write.format("delta").mode("append").saveAsTable(name)
    assert rows(spark.table(name)) == [(4, "d"), (5, "e"), (9, "z")]
    fails("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", lambda: spark.sql(f"INSERT INTO {name} VALUES (NULL, 'n')"))
    description = {row.col_name: row.data_type for row in spark.sql(f"DESCRIBE EXTENDED {name}").collect()}
    assert description["id"] == "int" and description["Provider"] == "delta" and description["Comment"] == "people"
    detail = spark.sql(f"DESCRIBE DETAIL {name}").first()
    assert (detail.format, detail.partitionColumns, detail.properties) == ("delta", [], {"k": "v"})
    assert detail.numFiles == 3 and detail.minWriterVersion == 2


def test_create_as_select_and_replace(spark, name):
    spark.sql(f"CREATE TABLE {name} USING delta PARTITIONED BY (p) AS SELECT id, id % 2 AS p FROM range(4)")
    assert rows(spark.table(name)) == [(0, 0), (1, 1), (2, 0), (3, 1)]
    spark.sql(f"CREATE OR REPLACE TABLE {name} USING delta AS SELECT 'x' AS y")
    assert rows(spark.table(name)) == [("x",)]
    assert rows(spark.sql(f"SELECT * FROM {name} VERSION AS OF 0")) == [(0, 0), (1, 1), (2, 0), (3, 1)]
    spark.sql(f"REPLACE TABLE {name} (a INT) USING delta")
    assert spark.table(name).columns == ["a"] and spark.table(name).count() == 0
    fails("TABLE_OR_VIEW_ALREADY_EXISTS", lambda: spark.sql(f"CREATE TABLE {name} (a INT) USING delta"))
    spark.range(2).write.format("delta").mode("overwrite").option("overwriteSchema", "true").saveAsTable(name)
    assert rows(spark.table(name)) == [(0,), (1,)]
    spark.range(3).writeTo(name).append()
    spark.range(1, 2).writeTo(name).overwrite(F.col("id") == 1)
    assert spark.table(name).count() == 4
    spark.range(7, 8).writeTo(name).using("delta").createOrReplace()
    assert rows(spark.table(name)) == [(7,)]


def test_a_table_over_what_is_there(spark, path, name):
    save(spark.range(3).selectExpr("id", "id AS p"), path, partition_by=["p"])
    spark.sql(f"CREATE TABLE {name} USING delta LOCATION '{path}'")
    assert rows(spark.table(name)) == [(0, 0), (1, 1), (2, 2)]
    spark.sql(f"DROP TABLE {name}")
    fails("DELTA_CREATE_TABLE_SCHEME_MISMATCH", lambda: spark.sql(f"CREATE TABLE {name} (x INT) USING delta LOCATION '{path}'"))
    assert read(spark, path).count() == 3


def test_static_partitions(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT, p INT) USING delta PARTITIONED BY (p)")
    spark.sql(f"INSERT INTO {name} VALUES (1, 1), (2, 2)")
    spark.sql(f"INSERT INTO {name} PARTITION (p = 1) VALUES (3)")
    spark.sql(f"INSERT OVERWRITE {name} PARTITION (p = 1) SELECT 9")
    assert rows(spark.table(name)) == [(2, 2), (9, 1)]
    spark.sql(f"INSERT INTO {name} REPLACE WHERE p = 2 SELECT 5, 2")
    assert rows(spark.table(name)) == [(5, 2), (9, 1)]
    spark.sql(f"TRUNCATE TABLE {name}")
    assert spark.table(name).count() == 0


# Time travel


def test_time_travel(spark, path, name):
    for number in range(3):
        save(spark.range(number, number + 1), path, "append")
    history = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").orderBy("version").collect()
    second = str(history[1].timestamp)
    assert rows(read(spark, path, versionAsOf=1)) == [(0,), (1,)]
    assert rows(read(spark, path, timestampAsOf=second)) == [(0,), (1,)]
    assert rows(read(spark, path + "@v1")) == [(0,), (1,)]
    assert rows(spark.sql(f"SELECT * FROM delta.`{path}` VERSION AS OF 0")) == [(0,)]
    assert rows(spark.sql(f"SELECT * FROM delta.`{path}` TIMESTAMP AS OF '{second}'")) == [(0,), (1,)]
    assert rows(spark.sql(f"SELECT * FROM delta.`{path}@v0`")) == [(0,)]
    fails("DELTA_VERSION_NOT_FOUND", lambda: read(spark, path, versionAsOf=9).collect())
    fails("DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION", lambda: read(spark, path, timestampAsOf="2001-01-01").collect())
    fails("DELTA_TIMESTAMP_GREATER_THAN_COMMIT", lambda: read(spark, path, timestampAsOf="2901-01-01").collect())
    fails("DELTA_PATH_DOES_NOT_EXIST", lambda: read(spark, path + "x").collect())


def test_restore(spark, path):
    save(spark.range(3), path)
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 1")
    answer = spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 0").first()
    assert (answer.num_removed_files >= 1, answer.num_restored_files >= 1) == (True, True)
    assert rows(read(spark, path)) == [(0,), (1,), (2,)] == others(path)
    fails("DELTA_CANNOT_RESTORE_TABLE_VERSION", lambda: spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 9"))
    assert operations(spark, path) == ["WRITE", "DELETE", "RESTORE"]


# Row-level changes


def test_delete(spark, path):
    save(spark.range(10).selectExpr("id", "id % 2 AS p", "IF(id = 7, NULL, id) AS x"), path, partition_by=["p"])
    assert spark.sql(f"DELETE FROM delta.`{path}` AS t WHERE t.x > 5").first() == (3,)
    assert [row[0] for row in rows(read(spark, path))] == [0, 1, 2, 3, 4, 5, 7]
    # A whole partition goes without a file being read.
    assert spark.sql(f"DELETE FROM delta.`{path}` WHERE p = 0").first() == (3,)
    assert [row[0] for row in others(path)] == [1, 3, 5, 7]
    assert spark.sql(f"DELETE FROM delta.`{path}` WHERE id IN (SELECT max(id) FROM delta.`{path}`)").first() == (1,)
    assert spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 99").first() == (0,)
    assert spark.sql(f"DELETE FROM delta.`{path}`").first() == (3,)
    assert read(spark, path).count() == 0
    assert operations(spark, path) == ["WRITE"] + ["DELETE"] * 4


def test_update(spark, path):
    save(spark.sql("SELECT id, id % 2 AS p, named_struct('a', id, 'b', 'x') AS s FROM range(4)"), path, partition_by=["p"])
    assert spark.sql(f"UPDATE delta.`{path}` SET p = p + 10, s.b = concat(s.b, '!') WHERE id >= 2").first() == (2,)
    assert sorted((row.id, row.p, row.s.b) for row in read(spark, path).collect()) == [(0, 0, "x"), (1, 1, "x"), (2, 10, "x!"), (3, 11, "x!")]
    assert spark.sql(f"UPDATE delta.`{path}` AS t SET t.p = NULL").first() == (4,)
    assert read(spark, path).filter("p IS NULL").count() == 4 == len(others(path))
    # Values are computed for the rows that change alone, and by Spark's rules.
    spark.sql(f"UPDATE delta.`{path}` SET p = 1 DIV (id - 1) WHERE id <> 1")
    fails("DIVIDE_BY_ZERO", lambda: spark.sql(f"UPDATE delta.`{path}` SET p = 1 DIV (id - 1)"))
    fails("INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST", lambda: spark.sql(f"UPDATE delta.`{path}` SET p = DATE'2024-01-01'"))


def test_merge(spark, path):
    save(spark.sql("SELECT * FROM VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30), (4, 'd', 40) t(id, name, n)"), path)
    spark.createDataFrame([(1, "A", 1), (2, "B", 2), (5, "E", 5), (6, "F", -6)], "id INT, name STRING, n INT").createOrReplaceTempView("changes")
    answer = spark.sql(
        f"""MERGE INTO delta.`{path}` AS t USING changes AS s ON t.id = s.id
            WHEN MATCHED AND s.id = 1 THEN DELETE
            WHEN MATCHED THEN UPDATE SET name = s.name, n = t.n + s.n
            WHEN NOT MATCHED AND s.n > 0 THEN INSERT *
            WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'negative')
            WHEN NOT MATCHED BY SOURCE AND t.id = 4 THEN DELETE
            WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = 0"""
    ).first()
    assert answer.asDict() == {"num_affected_rows": 6, "num_updated_rows": 2, "num_deleted_rows": 2, "num_inserted_rows": 2}
    expected = [(2, "B", 22), (3, "c", 0), (5, "E", 5), (6, "negative", None)]
    assert rows(read(spark, path)) == expected == others(path)


def test_merge_finds_ambiguous_rows(spark, path):
    save(spark.range(3), path)
    merge = f"MERGE INTO delta.`{path}` t USING (SELECT 1L AS id UNION ALL SELECT 1L) s ON t.id = s.id WHEN MATCHED THEN "
    fails("DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", lambda: spark.sql(merge + "UPDATE SET id = 7"))
    assert rows(read(spark, path)) == [(0,), (1,), (2,)]
    spark.sql(merge + "DELETE")
    assert rows(read(spark, path)) == [(0,), (2,)]


def test_merge_with_schema_evolution(spark, path):
    save(spark.sql("SELECT 1 AS id, 'a' AS name"), path)
    source = spark.sql("SELECT * FROM VALUES (1, 'b', true), (2, 'c', false) s(id, name, flag)")
    source.createOrReplaceTempView("evolving")
    merge = f"MERGE %s INTO delta.`{path}` t USING evolving s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    spark.sql(merge % "WITH SCHEMA EVOLUTION")
    assert rows(read(spark, path)) == [(1, "b", True), (2, "c", False)] == others(path)


def test_merge_into_of_a_data_frame(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT, v STRING) USING delta")
    spark.sql(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')")
    source = spark.createDataFrame([(2, "B"), (3, "C")], "id INT, v STRING").alias("s")
    source.mergeInto(name, F.expr(f"{name}.id = s.id")).whenMatched().updateAll().whenNotMatched().insertAll().merge()
    assert rows(spark.table(name)) == [(1, "a"), (2, "B"), (3, "C")]


def test_other_tables_stay_as_they_are(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT) USING parquet")
    for statement in (f"UPDATE {name} SET id = 1", f"DELETE FROM {name}", f"MERGE INTO {name} USING (SELECT 1 AS id) s ON {name}.id = s.id WHEN MATCHED THEN DELETE"):
        fails("UNSUPPORTED_FEATURE.TABLE_OPERATION", lambda: spark.sql(statement))
    fails("DELTA_ONLY_OPERATION", lambda: spark.sql(f"OPTIMIZE {name}"))


# Rules for rows


def test_constraints(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT, v INT) USING delta")
    spark.sql(f"INSERT INTO {name} VALUES (1, 5), (2, -5)")
    fails("DELTA_NEW_CHECK_CONSTRAINT_VIOLATION", lambda: spark.sql(f"ALTER TABLE {name} ADD CONSTRAINT positive CHECK (v > 0)"))
    spark.sql(f"DELETE FROM {name} WHERE v < 0")
    spark.sql(f"ALTER TABLE {name} ADD CONSTRAINT positive CHECK (v > 0)")
    error = fails("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", lambda: spark.sql(f"INSERT INTO {name} VALUES (3, -1)"))
    assert error.getMessageParameters()["constraintName"] == "positive" and "v : -1" in error.getMessageParameters()["values"]
    fails("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", lambda: spark.sql(f"UPDATE {name} SET v = 0"))
    fails("DELTA_CONSTRAINT_ALREADY_EXISTS", lambda: spark.sql(f"ALTER TABLE {name} ADD CONSTRAINT positive CHECK (v > 1)"))
    spark.sql(f"ALTER TABLE {name} DROP CONSTRAINT positive")
    spark.sql(f"INSERT INTO {name} VALUES (3, -1)")
    fails("DELTA_CONSTRAINT_DOES_NOT_EXIST", lambda: spark.sql(f"ALTER TABLE {name} DROP CONSTRAINT positive"))
    assert rows(spark.table(name)) == [(1, 5), (3, -1)]


def test_generated_columns(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT, day DATE, year INT GENERATED ALWAYS AS (year(day))) USING delta")
    spark.sql(f"INSERT INTO {name} (id, day) VALUES (1, DATE'2024-05-06')")
    assert rows(spark.table(name).select("id", "year")) == [(1, 2024)]
    fails("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", lambda: spark.sql(f"INSERT INTO {name} VALUES (2, DATE'2024-05-06', 1999)"))
    spark.sql(f"UPDATE {name} SET day = DATE'2030-01-01'")
    assert rows(spark.table(name).select("id", "year")) == [(1, 2030)]
    fails("WRONG_COLUMN_DEFAULTS_FOR_DELTA_FEATURE_NOT_ENABLED", lambda: spark.sql(f"CREATE OR REPLACE TABLE {name} (n INT DEFAULT 7) USING delta"))


def test_alter_table(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT) USING delta")
    spark.sql(f"INSERT INTO {name} VALUES (1)")
    spark.sql(f"ALTER TABLE {name} ADD COLUMNS (a STRING COMMENT 'new' FIRST, s STRUCT<x: INT>)")
    spark.sql(f"ALTER TABLE {name} ADD COLUMN s.y STRING")
    assert spark.table(name).schema.simpleString() == "struct<a:string,id:int,s:struct<x:int,y:string>>"
    spark.sql(f"ALTER TABLE {name} ALTER COLUMN id COMMENT 'key'")
    assert {row.col_name: row.comment for row in spark.sql(f"DESCRIBE {name}").collect()}["id"] == "key"
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.appendOnly' = 'true', 'x' = 'y')")
    assert ("x", "y") in rows(spark.sql(f"SHOW TBLPROPERTIES {name}"))
    fails("DELTA_CANNOT_MODIFY_APPEND_ONLY", lambda: spark.sql(f"DELETE FROM {name}"))
    spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES ('delta.appendOnly')")
    spark.sql(f"DELETE FROM {name}")
    fails("DELTA_UNKNOWN_CONFIGURATION", lambda: spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.nonsense' = '1')"))
    fails("DELTA_UNSUPPORTED_DROP_COLUMN", lambda: spark.sql(f"ALTER TABLE {name} DROP COLUMN a"))
    fails("DELTA_UNSUPPORTED_RENAME_COLUMN", lambda: spark.sql(f"ALTER TABLE {name} RENAME COLUMN a TO b"))


# Maintenance


def test_optimize_and_vacuum(spark, path):
    import glob

    for number in range(4):
        save(spark.range(number * 10, number * 10 + 10).repartition(1), path, "append")
    answer = spark.sql(f"OPTIMIZE delta.`{path}`").first()
    assert (answer.metrics.numFilesAdded, answer.metrics.numFilesRemoved) == (1, 4)
    assert read(spark, path).count() == 40 == len(others(path))
    assert spark.sql(f"OPTIMIZE delta.`{path}`").first().metrics.numFilesRemoved == 0
    fails("DELTA_VACUUM_RETENTION_PERIOD_TOO_SHORT", lambda: spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS"))
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        assert spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS DRY RUN").count() == 4
        assert len(glob.glob(path + "/*.parquet")) == 5
        spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS")
    finally:
        spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert len(glob.glob(path + "/*.parquet")) == 1 and read(spark, path).count() == 40


@pytest.mark.parametrize(
    "properties", ["'delta.enableChangeDataFeed' = 'true'", "'delta.columnMapping.mode' = 'name'", "'delta.appendOnly' = 'false'"]
)
def test_vacuum_keeps_to_what_the_table_asks_for(spark, path, properties):
    spark.sql(f"CREATE TABLE delta.`{path}` (id INT NOT NULL, v INT) USING delta TBLPROPERTIES ({properties})")
    spark.sql(f"ALTER TABLE delta.`{path}` ADD CONSTRAINT positive CHECK (id > 0)")
    spark.sql(f"INSERT INTO delta.`{path}` VALUES (1, 1), (2, 2)")
    spark.sql(f"UPDATE delta.`{path}` SET v = 3 WHERE id = 1")
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        removed = [row.path for row in spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS DRY RUN").collect()]
        spark.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS")
    finally:
        spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert removed and not [name for name in removed if os.path.exists(name.removeprefix("file:"))]
    assert rows(read(spark, path)) == [(1, 3), (2, 2)]
    assert operations(spark, path)[-2:] == ["VACUUM START", "VACUUM END"]
    metrics = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").orderBy("version").collect()[-2].operationMetrics
    assert int(metrics["numFilesToDelete"]) == len(removed) and int(metrics["sizeOfDataToDelete"]) > 0


def test_protocol_versions(spark, path):
    def protocol():
        row = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first()
        return row.minReaderVersion, row.minWriterVersion

    spark.sql(f"CREATE TABLE delta.`{path}` (id INT) USING delta TBLPROPERTIES ('delta.minWriterVersion' = '4')")
    assert protocol() == (1, 4)
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.minReaderVersion' = '3', 'delta.minWriterVersion' = '7')")
    assert protocol() == (3, 7)
    asked = f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.minWriterVersion' = '8')"
    fails("DELTA_INVALID_PROTOCOL_VERSION", lambda: spark.sql(asked))
    spark.sql(f"INSERT INTO delta.`{path}` VALUES (1)")
    assert others(path) == [(1,)]


def test_z_order(spark, path):
    frame = spark.range(1000).selectExpr("id", "hash(id) AS a", "hash(id + 1) AS b", "id % 2 AS p")
    save(frame, path, partition_by=["p"])
    answer = spark.sql(f"OPTIMIZE delta.`{path}` ZORDER BY (a, b)").first()
    assert answer.metrics.numFilesAdded == 2
    assert rows(read(spark, path)) == rows(frame)
    fails("DELTA_ZORDERING_ON_PARTITION_COLUMN", lambda: spark.sql(f"OPTIMIZE delta.`{path}` ZORDER BY (p)"))
    fails("DELTA_ZORDERING_COLUMN_DOES_NOT_EXIST", lambda: spark.sql(f"OPTIMIZE delta.`{path}` ZORDER BY (zz)"))


def test_data_skipping(spark, path):
    for number in range(4):
        save(spark.range(number * 10, number * 10 + 10).selectExpr("id", "CAST(id AS DECIMAL(10, 2)) AS d", "CAST(id AS STRING) AS s").repartition(1), path, "append")
    for condition, count in (("id = 15", 1), ("id > 35 OR id < 5", 9), ("d BETWEEN 8 AND 11", 4), ("s = '22'", 1), ("id IS NULL", 0)):
        assert read(spark, path).filter(condition).count() == count
    plan = read(spark, path).filter("id = 15")._explain_string() if hasattr(read(spark, path), "_explain_string") else ""
    assert not plan or "1 of 4" in plan


def test_convert_to_delta(spark, path):
    spark.range(6).selectExpr("id", "CAST(id % 2 AS INT) AS p").write.partitionBy("p").parquet(path)
    spark.sql(f"CONVERT TO DELTA parquet.`{path}` PARTITIONED BY (p INT)")
    assert rows(read(spark, path)) == [(i, i % 2) for i in range(6)] == others(path)
    save(spark.sql("SELECT 9L AS id, 1 AS p"), path, "append")
    assert read(spark, path).count() == 7


def test_checkpoints(spark, path):
    import glob

    for number in range(12):
        save(spark.range(number, number + 1), path, "append")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE id = 3")
    assert glob.glob(path + "/_delta_log/*.checkpoint.parquet")
    assert read(spark, path).count() == 11 == len(others(path))
    assert read(spark, path, versionAsOf=4).count() == 5


# Change data feed


def test_change_data_feed(spark, name):
    spark.sql(f"CREATE TABLE {name} (id INT, v STRING) USING delta TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
    spark.sql(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    spark.sql(f"UPDATE {name} SET v = 'B' WHERE id = 2")
    spark.sql(f"DELETE FROM {name} WHERE id = 3")
    spark.sql(f"MERGE INTO {name} t USING (SELECT 1 AS id, 'A' AS v UNION ALL SELECT 4, 'd') s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
    feed = spark.sql(f"SELECT _commit_version, _change_type, id, v FROM table_changes('{name}', 0)")
    expected = [
        (1, "insert", 1, "a"), (1, "insert", 2, "b"), (1, "insert", 3, "c"),
        (2, "update_postimage", 2, "B"), (2, "update_preimage", 2, "b"),
        (3, "delete", 3, "c"),
        (4, "insert", 4, "d"), (4, "update_postimage", 1, "A"), (4, "update_preimage", 1, "a"),
    ]
    assert rows(feed) == expected
    frame = spark.read.option("readChangeFeed", "true").option("startingVersion", 3).option("endingVersion", 3).table(name)
    assert rows(frame.select("_change_type", "id")) == [("delete", 3)]
    fails("DELTA_NO_START_FOR_CDC_READ", lambda: spark.read.option("readChangeFeed", "true").table(name).collect())


def test_a_change_feed_that_was_not_recorded(spark, path):
    save(spark.range(1), path)
    fails("DELTA_MISSING_CHANGE_DATA", lambda: read(spark, path, readChangeFeed="true", startingVersion=0).collect())


# Other writers


def test_tables_of_the_other_implementation(spark, path):
    import pyarrow

    table = pyarrow.table({"id": [1, 2, 3], "p": ["x", "y", None], "v": [1.5, None, float("nan")]})
    deltalake.write_deltalake(path, table, partition_by=["p"])
    assert sorted((row.id, row.p) for row in read(spark, path).collect()) == [(1, "x"), (2, "y"), (3, None)]
    spark.sql(f"UPDATE delta.`{path}` SET v = 9 WHERE p = 'y'")
    assert sorted(deltalake.DeltaTable(path).to_pyarrow_table().column("id").to_pylist()) == [1, 2, 3]
    deltalake.DeltaTable(path).delete("id = 1")
    assert read(spark, path).count() == 2


def test_writers_at_once(firesteel, spark, path):
    """Appends all succeed; of two changes of the same rows one says why it did not."""
    from support import servers

    save(spark.range(1).selectExpr("id", "0 AS n"), path)
    failures = []

    def append(number):
        session = servers.connect(firesteel)
        for each in range(3):
            try:
                save(session.range(1).selectExpr(f"{number * 10 + each + 1}L AS id", "0 AS n"), path, "append")
            except PySparkException as error:
                failures.append(error)
        session.stop()

    conflicts = []

    def update():
        session = servers.connect(firesteel)
        for _ in range(3):
            try:
                session.sql(f"UPDATE delta.`{path}` SET n = n + 1 WHERE id = 0")
            except PySparkException as error:
                conflicts.append(error.getCondition())
        session.stop()

    threads = [threading.Thread(target=append, args=(n,)) for n in range(3)] + [threading.Thread(target=update) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(condition.startswith("DELTA_CONCURRENT_") for condition in conflicts)
    frame = read(spark, path)
    assert frame.count() == 10 == len(others(path))
    assert frame.filter("id = 0").first().n == 6 - len(conflicts)


# The `delta` package


def test_delta_table(spark, path, name):
    tables = pytest.importorskip("delta.connect.tables")
    DeltaTable = tables.DeltaTable
    DeltaTable.create(spark).location(path).addColumn("id", "INT").addColumn("v", "STRING").execute()
    assert DeltaTable.isDeltaTable(spark, path) and not DeltaTable.isDeltaTable(spark, path + "x")
    save(spark.createDataFrame([(1, "a"), (2, "b")], "id INT, v STRING"), path, "append")
    table = DeltaTable.forPath(spark, path)
    source = spark.createDataFrame([(2, "B"), (3, "C")], "id INT, v STRING")
    merge = table.alias("t").merge(source.alias("s"), "t.id = s.id").whenMatchedUpdate(set={"v": "s.v"}).whenNotMatchedInsertAll()
    merge.execute()
    assert rows(table.toDF()) == [(1, "a"), (2, "B"), (3, "C")]
    table.update(F.col("id") == 1, {"v": F.lit("z")})
    table.delete("id = 3")
    assert rows(table.toDF()) == [(1, "z"), (2, "B")]
    assert [row.operation for row in table.history(2).collect()] == ["DELETE", "UPDATE"]
    assert table.detail().first().format == "delta"
    table.optimize().executeCompaction()
    table.optimize().executeZOrderBy("id")
    table.restoreToVersion(1)
    assert rows(table.toDF()) == [(1, "a"), (2, "b")]
    table.vacuum()
    table.addFeatureSupport("allowColumnDefaults")
    assert "allowColumnDefaults" in table.detail().first().tableFeatures
    fails("UNSUPPORTED_FEATURE.FIRESTEEL", lambda: table.addFeatureSupport("rowTracking"))
    DeltaTable.createOrReplace(spark).tableName(name).addColumns(spark.range(0).schema).property("k", "v").execute()
    assert DeltaTable.forName(spark, name).toDF().columns == ["id"]
