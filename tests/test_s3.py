"""Tables on S3: `moto` is the service, boto3 looks at it from outside, and PyPI's `deltalake` reads what was written."""
import threading
import time
import uuid

import deltalake
import pytest
from pyiceberg.table import StaticTable
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions as F
from support import servers, stores

BUCKET = "lake"
SECRET = "tell-nobody"


@pytest.fixture(scope="module")
def store():
    store = stores.Store()
    store.client.create_bucket(Bucket=BUCKET)
    yield store
    store.close()


def settings(endpoint, key="somebody", secret=SECRET):
    return {
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.access.key": key,
        "fs.s3a.secret.key": secret,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.retry.interval": "50ms",
    }


def configure(session, values, prefix="spark.hadoop."):
    for key, value in values.items():
        session.conf.set(prefix + key, value)


@pytest.fixture
def s3(spark, store):
    """A session with the service's endpoint and credentials."""
    configure(spark, settings(store.endpoint))
    return spark


@pytest.fixture
def folder():
    """A prefix of one test's own."""
    return "t-" + uuid.uuid4().hex[:12]


@pytest.fixture
def path(folder):
    return f"s3a://{BUCKET}/{folder}/table"


@pytest.fixture
def proxy(store):
    proxy = stores.Proxy(store)
    yield proxy
    proxy.close()


def rows(frame):
    return sorted(tuple(row) for row in frame.collect())


def fails(action):
    with pytest.raises(PySparkException) as caught:
        action()
    assert SECRET not in str(caught.value)
    return str(caught.value)


# Files


@pytest.mark.parametrize("format", ["parquet", "csv", "json", "orc", "avro"])
def test_formats_go_round(s3, store, folder, path, format):
    frame = s3.createDataFrame([(1, "a"), (2, "ü b"), (3, None)], "id INT, name STRING")
    frame.repartition(2).write.format(format).option("header", True).save(path)
    keys = store.keys(BUCKET, folder)
    assert f"{folder}/table/_SUCCESS" in keys and not store.uploads(BUCKET)
    assert not any("_temporary" in key for key in keys)
    back = s3.read.format(format).option("header", True).schema("id INT, name STRING").load(path)
    assert rows(back.filter("id < 3")) == [(1, "a"), (2, "ü b")]
    assert back.count() == 3
    inferred = s3.read.format(format).option("header", True).option("inferSchema", True).load(path)
    assert [name.lower() for name in inferred.columns] == ["id", "name"]
    assert all(name.startswith(path) for name in inferred.inputFiles())
    place = inferred.select(F.input_file_name(), "_metadata.file_path").first()
    assert place[0].startswith(path) and place[1].startswith(path)


def test_text_and_binary_files(s3, store, folder):
    store.client.put_object(Bucket=BUCKET, Key=f"{folder}/a b.txt", Body="one\ntwo\n".encode())
    assert rows(s3.read.text(f"s3a://{BUCKET}/{folder}")) == [("one",), ("two",)]
    found = s3.read.format("binaryFile").load(f"s3a://{BUCKET}/{folder}/*.txt").first()
    assert found.path == f"s3a://{BUCKET}/{folder}/a b.txt" and bytes(found.content) == b"one\ntwo\n"


def test_modes(s3, store, folder, path):
    def frame(*ids):
        return s3.createDataFrame([(i,) for i in ids], "id INT")

    frame(1).write.parquet(path)
    with pytest.raises(PySparkException) as caught:
        frame(2).write.parquet(path)
    assert caught.value.getCondition() == "PATH_ALREADY_EXISTS"
    frame(2).write.mode("ignore").parquet(path)
    frame(3).write.mode("append").parquet(path)
    assert rows(s3.read.parquet(path)) == [(1,), (3,)]
    frame(4, 5).write.mode("overwrite").parquet(path)
    assert rows(s3.read.parquet(path)) == [(4,), (5,)]
    # What was replaced is gone.
    assert s3.read.parquet(path).count() == 2
    frame().write.mode("overwrite").parquet(path)
    assert rows(s3.read.parquet(path)) == []


def test_partitions(s3, store, folder, path):
    frame = s3.range(20).selectExpr("id", "id % 3 AS part", "concat('a ', id % 2) AS name")
    frame.write.partitionBy("part", "name").parquet(path)
    assert any("/part=0/name=a 1/" in key for key in store.keys(BUCKET, folder))
    assert s3.read.parquet(path).filter("part = 1 AND name = 'a 0'").count() == 3
    # Only the partitions that get rows are replaced.
    s3.range(5).selectExpr("id + 100 AS id", "1L AS part", "'a 0' AS name").write.mode("overwrite").partitionBy(
        "part", "name"
    ).option("partitionOverwriteMode", "dynamic").parquet(path)
    back = s3.read.parquet(path)
    assert back.count() == 20 - 3 + 5
    assert back.filter("part = 1 AND name = 'a 0'").agg(F.min("id")).first()[0] == 100
    frame.limit(1).write.mode("overwrite").partitionBy("part", "name").parquet(path)
    assert s3.read.parquet(path).count() == 1


def test_globs_and_missing_paths(s3, store, folder):
    for year in ("2023", "2024"):
        for month in ("01", "02"):
            key = f"{folder}/{year}/{month}/x.csv"
            store.client.put_object(Bucket=BUCKET, Key=key, Body=f"{year},{month}\n".encode())
    root = f"s3a://{BUCKET}/{folder}"
    assert s3.read.csv(f"{root}/*/01/*.csv").count() == 2
    assert s3.read.csv(f"{root}/{{2023,2024}}/0[12]").count() == 4
    assert s3.read.csv(f"{root}/2024/*").count() == 2
    with pytest.raises(PySparkException) as caught:
        s3.read.csv(f"{root}/2025").collect()
    assert caught.value.getCondition() == "PATH_NOT_FOUND" and f"{root}/2025" in str(caught.value)


def test_markers_of_other_programs(s3, store, folder):
    """A folder that a console makes is an empty object whose key ends with a slash."""
    root = f"s3a://{BUCKET}/{folder}"
    store.client.put_object(Bucket=BUCKET, Key=f"{folder}/", Body=b"")
    store.client.put_object(Bucket=BUCKET, Key=f"{folder}/part=1/", Body=b"")
    store.client.put_object(Bucket=BUCKET, Key=f"{folder}/part=1/x.csv", Body=b"a\n")
    assert rows(s3.read.csv(root)) == [("a", 1)]
    s3.createDataFrame([("b",)], "c STRING").write.mode("overwrite").csv(root)
    assert rows(s3.read.csv(root)) == [("b",)]


def test_large_files_are_sent_in_parts(s3, store, folder, path):
    s3.conf.set("fs.s3a.multipart.size", "5M")
    frame = s3.range(0, 2_000_000, 1, 1).selectExpr("id", "sha2(CAST(id AS STRING), 256) AS text")
    frame.write.option("compression", "none").parquet(path)
    data = [key for key in store.keys(BUCKET, folder) if key.endswith(".parquet")]
    tag = store.client.head_object(Bucket=BUCKET, Key=data[0])["ETag"]
    assert int(tag.strip('"').split("-")[1]) > 3
    back = s3.read.parquet(path)
    assert back.agg(F.count("id"), F.sum("id")).first() == (2_000_000, 1_999_999_000_000)
    assert back.filter("id = 1234567").first().text == frame.filter("id = 1234567").first().text


# Tables


def test_catalog_tables(s3, store, folder, path):
    name = "s3_" + folder.replace("-", "_")
    s3.range(5).write.option("path", path).saveAsTable(name)
    s3.sql(f"INSERT INTO {name} VALUES (10)")
    assert s3.table(name).agg(F.sum("id")).first()[0] == 20
    s3.sql(f"INSERT OVERWRITE {name} VALUES (7)")
    assert rows(s3.table(name)) == [(7,)]
    s3.sql(f"DROP TABLE {name}")
    assert store.keys(BUCKET, folder), "the files of an external table stay"
    s3.sql(f"CREATE TABLE {name} (id INT, p STRING) USING parquet PARTITIONED BY (p) LOCATION '{path}2'")
    assert s3.table(name).count() == 0
    s3.sql(f"INSERT INTO {name} VALUES (1, 'x'), (2, 'y')")
    assert rows(s3.table(name).filter("p = 'y'")) == [(2, "y")]
    s3.sql(f"ALTER TABLE {name} DROP PARTITION (p = 'x')")
    assert rows(s3.table(name)) == [(2, "y")]
    s3.sql(f"DROP TABLE {name}")


def test_a_database_on_s3(s3, store, folder):
    name = "db_" + folder.replace("-", "_")
    s3.sql(f"CREATE DATABASE {name} LOCATION 's3a://{BUCKET}/{folder}/db'")
    s3.sql(f"CREATE TABLE {name}.t AS SELECT 1 AS a")
    assert f"{folder}/db/t/_SUCCESS" in store.keys(BUCKET, folder)
    s3.sql(f"ALTER TABLE {name}.t RENAME TO {name}.u")
    assert rows(s3.table(f"{name}.u")) == [(1,)]
    s3.sql(f"DROP DATABASE {name} CASCADE")
    assert [key for key in store.keys(BUCKET, folder) if key.endswith(".parquet")] == []


# Delta


def others(store, path):
    """The rows as the other implementation reads them."""
    options = {
        "AWS_ENDPOINT_URL": store.endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    table = deltalake.DeltaTable(path.replace("s3a:", "s3:"), storage_options=options).to_pyarrow_table()
    return sorted(tuple(row.values()) for row in table.to_pylist())


def test_delta(s3, store, folder, path):
    def read(**options):
        return rows(s3.read.format("delta").options(**options).load(path))

    s3.createDataFrame([(1, "a"), (2, "b")], "id INT, name STRING").write.format("delta").save(path)
    s3.createDataFrame([(3, "c")], "id INT, name STRING").write.format("delta").mode("append").save(path)
    assert read() == [(1, "a"), (2, "b"), (3, "c")] == others(store, path)
    s3.sql(f"UPDATE delta.`{path}` SET name = 'B' WHERE id = 2")
    s3.sql(f"DELETE FROM delta.`{path}` WHERE id = 1")
    s3.createDataFrame([(3, "C"), (4, "d")], "id INT, name STRING").createOrReplaceTempView("changes")
    s3.sql(
        f"MERGE INTO delta.`{path}` t USING changes s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    assert read() == [(2, "B"), (3, "C"), (4, "d")] == others(store, path)
    assert read(versionAsOf="1") == [(1, "a"), (2, "b"), (3, "c")]
    history = s3.sql(f"DESCRIBE HISTORY delta.`{path}`").orderBy("version").collect()
    assert [row.operation for row in history] == ["WRITE", "WRITE", "UPDATE", "DELETE", "MERGE"]
    s3.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    before = len(store.keys(BUCKET, folder))
    s3.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS")
    assert len(store.keys(BUCKET, folder)) < before
    assert read() == [(2, "B"), (3, "C"), (4, "d")] == others(store, path)
    s3.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 4")
    s3.sql(f"DELETE FROM delta.`{path}`")
    s3.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 4")
    assert read() == [(2, "B"), (3, "C"), (4, "d")] == others(store, path)
    history = s3.sql(f"DESCRIBE HISTORY delta.`{path}`").selectExpr("version", "CAST(timestamp AS STRING) AS at").collect()
    emptied = next(row.at for row in history if row.version == max(row.version for row in history) - 1)
    assert read(timestampAsOf=emptied) == []
    assert s3.sql(f"SELECT * FROM delta.`{path}` TIMESTAMP AS OF '{emptied}'").count() == 0


def test_delta_partitions_and_tables(s3, store, folder, path):
    name = "delta_" + folder.replace("-", "_")
    s3.sql(f"CREATE TABLE {name} (id INT, p STRING) USING delta PARTITIONED BY (p) LOCATION '{path}'")
    s3.sql(f"INSERT INTO {name} VALUES (1, 'x'), (2, 'y z')")
    assert rows(s3.table(name).filter("p = 'y z'")) == [(2, "y z")]
    assert others(store, path) == [(1, "x"), (2, "y z")]
    s3.sql(f"OPTIMIZE {name}")
    s3.sql(f"DROP TABLE {name}")


def test_delta_writers_do_not_lose_commits(s3, store, path, firesteel):
    """Two writers put the same version: the store lets one in, and the other goes on behind it."""
    s3.range(1).write.format("delta").save(path)
    other = servers.connect(firesteel)
    configure(other, settings(store.endpoint))

    def append(session):
        for _ in range(4):
            session.range(1).write.format("delta").mode("append").save(path)

    writers = [threading.Thread(target=append, args=(session,)) for session in (s3, other)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert s3.read.format("delta").load(path).count() == 9
    other.stop()


def test_iceberg(s3, store, folder, path, firesteel):
    s3.createDataFrame([(1, "a"), (2, "b")], "id INT, name STRING").write.format("iceberg").save(path)
    s3.createDataFrame([(3, "c")], "id INT, name STRING").write.format("iceberg").mode("append").save(path)
    s3.sql(f"UPDATE iceberg.`{path}` SET name = 'B' WHERE id = 2")
    s3.sql(f"DELETE FROM iceberg.`{path}` WHERE id = 1")
    s3.sql(f"ALTER TABLE iceberg.`{path}` RENAME COLUMN name TO label")
    assert rows(s3.read.format("iceberg").load(path)) == [(2, "B"), (3, "c")]
    s3.createDataFrame([(3, "C"), (4, "d")], "id INT, label STRING").createOrReplaceTempView("changes")
    s3.sql(
        f"MERGE INTO iceberg.`{path}` t USING changes s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    s3.sql(f"DELETE FROM iceberg.`{path}` WHERE id = 4")
    snapshots = s3.read.format("iceberg").load(f"{path}#snapshots").orderBy("committed_at")
    snapshots = snapshots.selectExpr("snapshot_id", "CAST(committed_at AS STRING) AS at").collect()
    assert len(snapshots) == 6
    read = lambda **options: rows(s3.read.format("iceberg").options(**options).load(path))  # noqa: E731
    assert read() == [(2, "B"), (3, "C")]
    for place, wanted in ((0, [(1, "a"), (2, "b")]), (1, [(1, "a"), (2, "b"), (3, "c")]), (4, [(2, "B"), (3, "C"), (4, "d")])):
        assert read(versionAsOf=snapshots[place].snapshot_id) == read(timestampAsOf=snapshots[place].at) == wanted
        assert rows(s3.sql(f"SELECT * FROM iceberg.`{path}` VERSION AS OF {snapshots[place].snapshot_id}")) == wanted
    assert s3.read.format("iceberg").load(f"{path}#files").count() >= 1
    # Two writers put the same version: the store lets one in, and the other goes on behind it.
    other = servers.connect(firesteel)
    configure(other, settings(store.endpoint))

    def append(session):
        for i in range(4):
            session.sql(f"INSERT INTO iceberg.`{path}` VALUES ({100 + i}, 'x')")

    writers = [threading.Thread(target=append, args=(session,)) for session in (s3, other)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    other.stop()
    hint = store.client.get_object(Bucket=BUCKET, Key=f"{folder}/table/metadata/version-hint.text")["Body"].read().decode()
    access = {"s3.endpoint": store.endpoint, "s3.access-key-id": "somebody", "s3.secret-access-key": SECRET, "s3.region": "us-east-1"}
    table = StaticTable.from_metadata(f"{path}/metadata/v{hint}.metadata.json", access)
    expected = sorted([2, 3, *range(100, 104), *range(100, 104)])
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == expected
    assert sorted(row.id for row in s3.read.format("iceberg").load(path).collect()) == expected


# Credentials


def test_sessions_do_not_share_credentials(s3, store, proxy, folder, path, firesteel):
    """The proxy checks signatures, as Amazon does."""
    secret = "known-to-one"
    proxy.answer = stores.checking({"one": secret})
    s3.range(3).write.parquet(path)
    good, bad, unsigned, kept = (servers.connect(firesteel) for _ in range(4))
    configure(good, settings(proxy.endpoint, "one", secret))
    configure(bad, settings(proxy.endpoint, "one", SECRET))
    configure(unsigned, settings(proxy.endpoint))
    anonymous = "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"
    unsigned.conf.set("spark.hadoop.fs.s3a.aws.credentials.provider", anonymous)
    assert good.read.parquet(path).count() == 3
    message = fails(lambda: bad.read.parquet(path).count())
    assert path in message and "403" in message
    message = fails(lambda: unsigned.read.parquet(path).count())
    assert path in message and "403" in message
    assert good.read.parquet(path).count() == 3
    fails(lambda: bad.range(1).write.mode("append").parquet(path))
    # The options of one request stand above the session's settings.
    options = {"fs.s3a.secret.key": secret}
    assert bad.read.options(**options).parquet(path).count() == 3
    bad.range(1).write.mode("append").options(**options).parquet(path)
    fails(lambda: bad.read.parquet(path).count())
    # So do the settings of one bucket.
    configure(kept, settings(proxy.endpoint, "one", SECRET))
    kept.conf.set(f"spark.hadoop.fs.s3a.bucket.{BUCKET}.secret.key", secret)
    assert kept.read.parquet(path).count() == 4
    # Requests for directories, names that need encoding, copies and bulk deletes are signed as well.
    good.sql(f"CREATE TABLE t_{folder[2:]} (a INT) USING parquet LOCATION '{path}2/ü x'")
    assert f"{folder}/table2/ü x/" in store.keys(BUCKET, folder)
    good.sql(f"INSERT INTO t_{folder[2:]} VALUES (1)")
    good.sql(f"INSERT OVERWRITE t_{folder[2:]} VALUES (2)")
    assert rows(good.table(f"t_{folder[2:]}")) == [(2,)]
    good.sql(f"DROP TABLE t_{folder[2:]}")
    for session in (good, bad, unsigned, kept):
        session.stop()


def test_sessions_do_not_share_endpoints(s3, folder, path, firesteel):
    """The same bucket and path in two services."""
    second = stores.Store()
    other = servers.connect(firesteel)
    try:
        second.client.create_bucket(Bucket=BUCKET)
        configure(other, settings(second.endpoint), prefix="")
        s3.range(3).write.parquet(path)
        other.range(5).write.parquet(path)
        for _ in range(2):
            assert s3.read.parquet(path).count() == 3
            assert other.read.parquet(path).count() == 5
    finally:
        other.stop()
        second.close()


def test_secrets_are_not_shown(s3):
    shown = {row.key: row.value for row in s3.sql("SET").collect()}
    assert SECRET not in str(shown)


def test_no_credentials(spark, store, path):
    spark.conf.set("fs.s3a.endpoint", store.endpoint)
    spark.conf.set("fs.s3a.aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider")
    message = fails(lambda: spark.read.parquet(path).count())
    assert "fs.s3a.access.key" in message and path in message


# Failures


def test_no_such_bucket(s3):
    message = fails(lambda: s3.read.parquet("s3a://no-such-bucket/x").count())
    assert "no-such-bucket" in message and "bucket" in message
    message = fails(lambda: s3.range(1).write.parquet("s3a://no-such-bucket/x"))
    assert "no-such-bucket" in message


def test_a_store_that_recovers(spark, store, proxy, path):
    left = [5]

    def failing(request):
        left[0] -= 1
        return (503, "SlowDown") if left[0] >= 0 and left[0] % 2 == 0 else None

    configure(spark, settings(proxy.endpoint))
    spark.range(10).write.parquet(path)
    proxy.answer, left[0] = failing, 9
    assert spark.read.parquet(path).count() == 10
    left[0] = 9
    spark.range(5).write.mode("append").parquet(path)
    proxy.answer = lambda request: None
    assert spark.read.parquet(path).count() == 15


def test_a_store_that_stays_broken(spark, store, proxy, path):
    configure(spark, settings(proxy.endpoint))
    spark.conf.set("fs.s3a.attempts.maximum", "2")
    proxy.answer = lambda request: (500, "InternalError")
    message = fails(lambda: spark.read.parquet(path).count())
    assert path in message and "500" in message
    assert len(proxy.requests) == 3


def test_nobody_answers(spark, path):
    silence = stores.Silence()
    for endpoint in (silence.endpoint, f"http://127.0.0.1:{servers.free_port()}"):
        configure(spark, settings(endpoint))
        spark.conf.set("fs.s3a.connection.timeout", "1s")
        spark.conf.set("fs.s3a.connection.establish.timeout", "1s")
        spark.conf.set("fs.s3a.attempts.maximum", "1")
        start = time.monotonic()
        message = fails(lambda: spark.read.parquet(path).count())
        assert time.monotonic() - start < 8
        assert path in message and "does not answer" in message
    silence.close()


def test_a_write_that_fails_leaves_nothing(s3, store, folder, path):
    broken = s3.range(0, 100_000, 1, 4).selectExpr("if(id = 99999, raise_error('stop'), id) AS id", "id % 3 AS p")
    for mode in ("error", "overwrite"):
        fails(lambda: broken.write.mode(mode).parquet(path))
        fails(lambda: broken.write.mode(mode).partitionBy("p").parquet(path))
    assert store.keys(BUCKET, folder) == [] and store.uploads(BUCKET) == []
    s3.range(3).write.parquet(path)
    before = store.keys(BUCKET, folder)
    fails(lambda: broken.write.mode("overwrite").parquet(path))
    assert store.keys(BUCKET, folder) == before
    assert s3.read.parquet(path).count() == 3


def test_a_commit_that_fails_leaves_nothing(spark, store, proxy, folder, path):
    configure(spark, settings(proxy.endpoint))
    spark.range(3).write.parquet(path)
    before = store.keys(BUCKET, folder)
    completions = []

    def second_fails(request):
        if request.method == "POST" and "uploadId=" in request.path:
            completions.append(request.path)
            return (403, "AccessDenied") if len(completions) > 1 else None
        return None

    proxy.answer = second_fails
    message = fails(lambda: spark.range(0, 100, 1, 4).write.mode("overwrite").parquet(path))
    assert len(completions) == 4 and path in message
    assert store.keys(BUCKET, folder) == before and store.uploads(BUCKET) == []
    assert spark.read.parquet(path).count() == 3
