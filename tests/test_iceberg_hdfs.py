"""Iceberg tables in a folder of a real HDFS, between real Spark and Firesteel, both ways: tests of test_iceberg.py, there."""
import pytest
from pyspark.errors import PySparkException
from support import hdfs, iceberg, servers
from support.hdfs import cluster, firesteel  # noqa: F401 - fixtures

# The same tests, whose `warehouse` is another.
from test_iceberg import (  # noqa: F401
    CASES,
    both_directions,
    name,
    ours,
    rows,
    rows_that_change,
    test_changes_at_once,
    test_dataframes_merge,
    test_position_deletes,
    test_time_travel_branches_and_tags,
    test_writers_at_once,
)


@pytest.fixture(scope="module")
def warehouse():
    return f"{hdfs.ROOT}/iceberg"


@pytest.fixture(scope="module")
def theirs(cluster, warehouse):
    server = iceberg.start_spark(warehouse, more_settings=cluster.hadoop_settings)
    session = servers.connect(server.remote)
    yield session
    session.stop()
    server.close()


@pytest.mark.parametrize("case", ["types", "append and overwrite", "partitions by value", "partitions by transforms", "many snapshots"])
def test_both_directions(ours, theirs, name, case):
    both_directions(ours, theirs, f"lake.db.{name}", case)


def test_rows_that_change_there(ours, theirs, name):
    rows_that_change(ours, theirs, name, "")


def test_tables_by_path(spark, theirs, cluster, name):
    """Without a catalog: the table is its folder."""
    path = f"{hdfs.ROOT}/{name}/table"
    frame = spark.createDataFrame([(1, "a"), (2, "b")], "id INT, name STRING")
    frame.write.format("iceberg").save(path)
    spark.sql(f"INSERT INTO iceberg.`{path}` VALUES (3, 'c')")
    spark.sql(f"UPDATE iceberg.`{path}` SET name = 'B' WHERE id = 2")
    assert rows(theirs.read.format("iceberg").load(path)) == [(1, "a"), (2, "B"), (3, "c")]
    for metadata, count in (("snapshots", 3), ("history", 3), ("files", 2), ("metadata_log_entries", 3)):
        wanted = theirs.read.format("iceberg").load(f"{path}#{metadata}").count()
        assert spark.read.format("iceberg").load(f"{path}#{metadata}").count() == wanted >= count - 1, metadata
    failing = spark.range(100).selectExpr("CAST(1 / (id - 99) AS INT) AS id", "'x' AS name")
    before = cluster.names(path)
    with pytest.raises(PySparkException):
        failing.write.format("iceberg").mode("append").save(path)
    assert cluster.names(path) == before
    assert not any("/._" in name or "_temporary" in name for name in before)
