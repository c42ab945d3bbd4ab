"""Files and tables on HDFS: Hadoop's own small cluster with two name nodes, read and written by real Spark too."""
import threading
import uuid

import pytest
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions as F
from support import hdfs, servers, stores
from support.hdfs import firesteel  # noqa: F401 - fixtures
from support.outcome import outcome_of
from test_delta_interop import DELTA, both_directions


@pytest.fixture(scope="module")
def cluster():
    cluster = hdfs.Cluster()
    cluster.open_folder()
    cluster.shell("-mkdir", "/closed")
    cluster.shell("-chmod", "700", "/closed")
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def theirs(cluster):
    server = servers.start_spark({**DELTA, **cluster.hadoop_settings})
    session = servers.connect(server.remote)
    yield session
    session.stop()
    server.close()


@pytest.fixture
def path():
    return f"{hdfs.ROOT}/t-{uuid.uuid4().hex[:12]}/table"


def rows(frame):
    return sorted(tuple(row) for row in frame.collect())


def fails(action):
    with pytest.raises(PySparkException) as caught:
        action()
    return str(caught.value)


# Files

FRAME = ([(1, "a", 0.5), (2, "ü b", None), (3, None, -1.0)], "id INT, name STRING, x DOUBLE")


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("format", ["parquet", "csv", "json", "orc"])
def test_formats_both_ways(spark, theirs, path, format, ours_first):
    writer, reader = (spark, theirs) if ours_first else (theirs, spark)
    writer.createDataFrame(*FRAME).repartition(2).write.format(format).option("header", True).save(path)
    answers = [
        rows(session.read.format(format).option("header", True).schema(FRAME[1]).load(path).na.fill(0).na.fill("-"))
        for session in (reader, writer)
    ]
    assert answers[0] == answers[1] and len(answers[0]) == 3
    place = reader.read.format(format).option("header", True).schema(FRAME[1]).load(path)
    assert all(name.startswith(path) for name in place.inputFiles())


def test_avro_text_and_binary(spark, path):
    spark.createDataFrame(*FRAME).write.format("avro").save(path + "/avro")
    assert spark.read.format("avro").load(path + "/avro").count() == 3
    spark.createDataFrame([("one",), ("two",)], "value STRING").coalesce(1).write.text(path + "/a b%20")
    assert rows(spark.read.text(path + "/a b%20")) == [("one",), ("two",)]
    found = spark.read.format("binaryFile").load(path + "/a b%20/*.txt").first()
    assert bytes(found.content) == b"one\ntwo\n" and found.path.startswith(path + "/a b%20/")


def test_partitions_both_ways(spark, theirs, path):
    frame = spark.createDataFrame([(1, "x y"), (2, None), (3, "a/b")], "id INT, p STRING")
    frame.write.partitionBy("p").parquet(path)
    theirs.createDataFrame([(4, "x y"), (5, "new")], "id INT, p STRING").write.partitionBy("p").mode("append").parquet(path)
    expected = [(1, "x y"), (2, None), (3, "a/b"), (4, "x y"), (5, "new")]
    for session in (spark, theirs):
        assert sorted(map(tuple, session.read.parquet(path).collect())) == expected
        assert rows(session.read.parquet(path).filter("p = 'x y'").select("id")) == [(1,), (4,)]


def test_modes(spark, cluster, path):
    def frame(*ids):
        return spark.createDataFrame([(i, i % 2) for i in ids], "id INT, p INT")

    frame(1).write.partitionBy("p").parquet(path)
    with pytest.raises(PySparkException) as caught:
        frame(2).write.parquet(path)
    assert caught.value.getCondition() == "PATH_ALREADY_EXISTS"
    frame(2).write.mode("ignore").parquet(path)
    frame(2, 3).write.partitionBy("p").mode("append").parquet(path)
    assert rows(spark.read.parquet(path).select("id")) == [(1,), (2,), (3,)]
    frame(4).write.partitionBy("p").mode("overwrite").option("partitionOverwriteMode", "dynamic").parquet(path)
    assert rows(spark.read.parquet(path).select("id")) == [(1,), (3,), (4,)]
    frame(5, 6).write.partitionBy("p").mode("overwrite").parquet(path)
    assert rows(spark.read.parquet(path).select("id")) == [(5,), (6,)]
    left = cluster.names(path)
    assert not any("_temporary" in name or "._" in name for name in left)
    assert len([name for name in left if name.endswith(".parquet")]) == 2


def test_a_failed_write_leaves_nothing(spark, cluster, path):
    frame = spark.range(1000).selectExpr("1 / (id - 999) AS x")
    assert outcome_of(lambda: frame.write.parquet(path)).condition == "DIVIDE_BY_ZERO"
    folder = path.rsplit("/", 2)[1]
    assert not any(folder in name or "_temporary" in name for name in cluster.names(hdfs.ROOT))


def test_large_files_and_ranges(spark, theirs, path):
    """Several blocks' worth of rows, of which a filter reads a part."""
    frame = spark.range(500_000).withColumn("text", F.md5(F.col("id").cast("string")))
    frame.repartition(1).write.option("parquet.block.size", 1 << 20).parquet(path)
    assert spark.read.parquet(path).filter("id BETWEEN 1000 AND 1009").agg(F.sum("id")).first()[0] == 10045
    totals = [s.read.parquet(path).agg(F.count("*"), F.sum("id"), F.max("text")).first() for s in (spark, theirs)]
    assert tuple(totals[0]) == tuple(totals[1]) and totals[0][0] == 500_000


def test_tables(spark, cluster, path):
    spark.createDataFrame([(1, "a"), (2, "b")], "id INT, name STRING").write.saveAsTable("on_hdfs", path=path)
    spark.sql("INSERT INTO on_hdfs VALUES (3, 'c')")
    assert rows(spark.table("on_hdfs").select("id")) == [(1,), (2,), (3,)]
    spark.sql("INSERT OVERWRITE on_hdfs VALUES (4, 'd')")
    assert rows(spark.table("on_hdfs")) == [(4, "d")]
    spark.sql("DROP TABLE on_hdfs")
    # An external table's files stay; globs find their way.
    spark.createDataFrame([(7,)], "id INT").write.parquet(path + "-2024/a")
    spark.createDataFrame([(8,)], "id INT").write.parquet(path + "-2025/a")
    assert rows(spark.read.parquet(path + "-20{24,25}/[a-c]")) == [(7,), (8,)]


# Delta tables


def test_delta_both_ways(spark, theirs, path):
    changes = [
        "CREATE TABLE delta.`{path}` (id INT, name STRING) USING delta",
        "INSERT INTO delta.`{path}` VALUES (1, 'a'), (2, 'b'), (3, 'c')",
        "UPDATE delta.`{path}` SET name = upper(name) WHERE id > 1",
        "DELETE FROM delta.`{path}` WHERE id = 3",
        """MERGE INTO delta.`{path}` t USING (SELECT * FROM VALUES (2, 'm'), (9, 'n') AS v(id, name)) s ON t.id = s.id
           WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *""",
        "OPTIMIZE delta.`{path}`",
    ]
    # They take turns, so that each reads and changes what the other wrote.
    for index, change in enumerate(changes):
        (spark if index % 2 == 0 else theirs).sql(change.format(path=path))
    for session in (spark, theirs):
        read = session.read.format("delta")
        assert rows(read.load(path)) == [(1, "a"), (2, "m"), (9, "n")]
        assert rows(read.option("versionAsOf", 1).load(path)) == [(1, "a"), (2, "b"), (3, "c")]
        assert rows(session.sql(f"SELECT id FROM delta.`{path}` VERSION AS OF 2 WHERE name = 'C'")) == [(3,)]
    spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 1")
    assert theirs.read.format("delta").load(path).count() == 3
    history = spark.sql(f"DESCRIBE HISTORY delta.`{path}`").selectExpr("version", "CAST(timestamp AS STRING) AS at").collect()
    versions = [row.version for row in history]
    assert versions == sorted(versions, reverse=True) and versions[-1] == 0
    then = next(row.at for row in history if row.version == 1)
    for session in (spark, theirs):
        assert rows(session.read.format("delta").option("timestampAsOf", then).load(path)) == [(1, "a"), (2, "b"), (3, "c")]
        assert session.sql(f"SELECT * FROM delta.`{path}` TIMESTAMP AS OF '{then}' WHERE id = 3").count() == 1


@pytest.mark.parametrize("case", ["deletion vectors", "time travel and restore", "change data feed", "optimize and vacuum"])
def test_delta_cases(spark, theirs, path, case):
    both_directions(spark, theirs, path, case)


def test_delta_writers_at_once(firesteel, theirs, cluster, path):
    """Of two who write one version one is let in, and the other goes on behind it."""
    sessions = [servers.connect(firesteel) for _ in range(4)]
    sessions[0].sql(f"CREATE TABLE delta.`{path}` (id LONG) USING delta")
    failures = []

    def write(session, first):
        try:
            for i in range(5):
                session.range(first + i, first + i + 1).write.format("delta").mode("append").save(path)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=write, args=(s, 100 * n)) for n, s in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    expected = sorted((100 * n + i,) for n in range(4) for i in range(5))
    assert rows(theirs.read.format("delta").load(path)) == expected
    # Twenty appends: twenty versions after the first, and nothing staged is left.
    log = cluster.names(path + "/_delta_log")
    assert len([name for name in log if name.endswith(".json")]) == 21
    assert not any("/._" in name for name in log)
    for session in sessions:
        session.stop()


# Name nodes


def test_failover(spark, cluster, path):
    """The active name node steps down while rows are appended, then its successor is killed: every row is there once."""
    spark.sql(f"CREATE TABLE delta.`{path}` (id LONG) USING delta")
    done, failures = threading.Event(), []
    written = []

    def write():
        try:
            while not done.is_set():
                spark.range(len(written), len(written) + 1).write.format("delta").mode("append").save(path)
                written.append(len(written))
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    for command in ("standby", "active", "kill", "restart"):
        before = len(written)
        cluster.tell(command)
        if command != "standby":
            for _ in range(600):
                if len(written) >= before + 2 or failures:
                    break
                done.wait(0.1)
            assert len(written) >= before + 2 or failures, command
    done.set()
    writer.join()
    assert not failures
    assert rows(spark.read.format("delta").load(path)) == [(i,) for i in written]
    assert spark.sql(f"DESCRIBE HISTORY delta.`{path}`").count() == len(written) + 1


# Settings and errors


@pytest.fixture(scope="module")
def unconfigured(cluster):
    """A server that was told nothing about HDFS."""
    server = servers.start_firesteel(environment={"HADOOP_USER_NAME": hdfs.USER})
    yield server.remote
    server.close()


def test_settings_of_a_session(unconfigured, spark, cluster, path):
    spark.range(3).write.parquet(path)
    session = servers.connect(unconfigured)
    # Without settings the name of the service is that of a host.
    assert "does not answer" in fails(lambda: session.read.parquet(path).count())
    assert "no name node" in fails(lambda: session.read.parquet(path.replace(hdfs.SERVICE, "", 1)).count())
    for key, value in cluster.settings.items():
        session.conf.set(f"spark.hadoop.{key}", value)
    assert session.read.parquet(path).count() == 3
    session.conf.set("spark.hadoop.fs.defaultFS", f"hdfs://{hdfs.SERVICE}")
    assert session.read.parquet(path.replace(hdfs.SERVICE, "", 1)).count() == 3
    session.stop()
    # Options of one read, for one who knows the active node's address.
    other = servers.connect(unconfigured)
    assert other.read.options(**cluster.settings).parquet(path).count() == 3
    other.stop()


def test_view_file_system(spark, cluster, path):
    spark.range(4).write.parquet(path)
    spark.conf.set("spark.hadoop.fs.viewfs.mounttable.all.link./data", hdfs.ROOT)
    spark.conf.set("spark.hadoop.fs.viewfs.mounttable.all.linkFallback", f"hdfs://{hdfs.SERVICE}/")
    place = path.replace(hdfs.ROOT, "viewfs://all/data")
    assert spark.read.parquet(place).count() == 4
    spark.range(5).write.mode("overwrite").parquet(place)
    assert spark.read.parquet(path).count() == 5


def test_permissions(spark):
    text = fails(lambda: spark.range(1).write.parquet(f"hdfs://{hdfs.SERVICE}/closed/x"))
    assert "AccessDenied" in text and "AccessControlException" in text and hdfs.USER in text
    assert "\tat " not in text
    assert "PATH_NOT_FOUND" in fails(lambda: spark.read.parquet(hdfs.ROOT + "/nothing").count())


def test_nobody_answers(spark):
    spark.conf.set("spark.hadoop.dfs.client.failover.max.attempts", "1")
    text = fails(lambda: spark.read.parquet(f"hdfs://127.0.0.1:{servers.free_port()}/x").count())
    assert "IOException" in text and "does not answer" in text


def test_silence(spark):
    silence = stores.Silence()
    spark.conf.set("spark.hadoop.ipc.client.rpc-timeout.ms", "500")
    place = silence.endpoint.replace("http", "hdfs")
    text = fails(lambda: spark.read.parquet(f"{place}/x").count())
    assert "IOException" in text and "timed out" in text
    silence.close()


def test_settings_that_make_no_sense(spark):
    spark.conf.set("spark.hadoop.dfs.client.socket-timeout", "soon")
    assert "must be a duration" in fails(lambda: spark.read.parquet(hdfs.ROOT).count())
