"""What is asked of every object store. A test file's class below `StoreTests` has the fixtures `session` (with the store's
settings), `store`, `folder` (a prefix of a test's own), `path` (a table's below it), `proxy` and `through` (settings that lead
through the proxy), and `bucket` and `root`."""
import concurrent.futures
import time

import deltalake
import pytest
from pyspark.errors import PySparkException
from pyspark.sql.connect import functions as F
from support import rest, servers, stores


def rows(frame):
    return sorted(tuple(row) for row in frame.collect())


def configure(session, values):
    for key, value in values.items():
        session.conf.set(key, value)


class StoreTests:
    bucket = "lake"
    root = ""
    # The key of how often a request is sent again
    retries = ""
    # What no message may have
    secrets = ()
    # Settings that put the same credentials wrong
    wrong = {}

    def fails(self, action):
        with pytest.raises(PySparkException) as caught:
            action()
        assert not [secret for secret in self.secrets if secret in str(caught.value)]
        return str(caught.value)

    @pytest.mark.parametrize("format", ["parquet", "csv", "json", "orc", "avro"])
    def test_formats_go_round(self, session, store, folder, path, format):
        frame = session.createDataFrame([(1, "a"), (2, "ü b"), (3, None)], "id INT, name STRING")
        frame.repartition(2).write.format(format).option("header", True).save(path)
        keys = store.keys(self.bucket, folder)
        assert f"{folder}/table/_SUCCESS" in keys and not store.uploads(self.bucket)
        assert not any("_temporary" in key for key in keys)
        back = session.read.format(format).option("header", True).schema("id INT, name STRING").load(path)
        assert rows(back.filter("id < 3")) == [(1, "a"), (2, "ü b")]
        assert back.count() == 3
        inferred = session.read.format(format).option("header", True).option("inferSchema", True).load(path)
        assert [name.lower() for name in inferred.columns] == ["id", "name"]
        place = inferred.select(F.input_file_name(), "_metadata.file_path").first()
        assert place[0].startswith(path) and place[1].startswith(path)

    def test_files_of_others(self, session, store, folder):
        root = f"{self.root}/{folder}"
        store.put(self.bucket, f"{folder}/t/a b + ü%20.txt", "one\ntwo\n".encode())
        assert rows(session.read.text(f"{root}/t")) == [("one",), ("two",)]
        found = session.read.format("binaryFile").load(f"{root}/t/*.txt").first()
        assert found.path == f"{root}/t/a b + ü%20.txt" and bytes(found.content) == b"one\ntwo\n"
        for year in ("2023", "2024"):
            for month in ("01", "02"):
                store.put(self.bucket, f"{folder}/g/{year}/{month}/x.csv", f"{year},{month}\n".encode())
        assert session.read.csv(f"{root}/g/*/01/*.csv").count() == 2
        assert session.read.csv(f"{root}/g/{{2023,2024}}/0[12]").count() == 4
        assert session.read.csv(f"{root}/g/2024/*/").count() == 2
        with pytest.raises(PySparkException) as caught:
            session.read.csv(f"{root}/g/2025").collect()
        assert caught.value.getCondition() == "PATH_NOT_FOUND" and f"{root}/g/2025" in str(caught.value)

    def test_modes_and_partitions(self, session, store, path):
        frame = session.range(20).selectExpr("id", "id % 3 AS part", "concat('a ', id % 2) AS name")
        frame.write.partitionBy("part", "name").parquet(path)
        with pytest.raises(PySparkException) as caught:
            frame.write.parquet(path)
        assert caught.value.getCondition() == "PATH_ALREADY_EXISTS"
        frame.write.mode("ignore").parquet(path)
        assert session.read.parquet(path).filter("part = 1 AND name = 'a 0'").count() == 3
        # Only the partitions that get rows are replaced.
        more = session.range(5).selectExpr("id + 100 AS id", "1L AS part", "'a 0' AS name").write.mode("overwrite")
        more.partitionBy("part", "name").option("partitionOverwriteMode", "dynamic").parquet(path)
        assert session.read.parquet(path).count() == 20 - 3 + 5
        frame.write.mode("append").partitionBy("part", "name").parquet(path)
        assert session.read.parquet(path).count() == 42
        frame.limit(1).write.mode("overwrite").partitionBy("part", "name").parquet(path)
        assert session.read.parquet(path).count() == 1
        broken = session.range(0, 100_000, 1, 4).selectExpr("if(id = 99999, raise_error('stop'), id) AS id", "id % 3 AS part")
        before = store.keys(self.bucket)
        self.fails(lambda: broken.write.mode("overwrite").partitionBy("part").parquet(path))
        assert store.keys(self.bucket) == before

    def test_large_files_are_sent_in_parts(self, session, path):
        frame = session.range(0, 400_000, 1, 1).selectExpr("id", "sha2(CAST(id AS STRING), 256) AS text")
        frame.write.option("compression", "none").parquet(path)
        back = session.read.parquet(path)
        assert back.agg(F.count("id"), F.sum("id")).first() == (400_000, 79_999_800_000)
        assert back.filter("id = 234567").first().text == frame.filter("id = 234567").first().text

    def test_catalog_tables(self, session, store, folder, path):
        name = "t_" + folder.replace("-", "_")
        session.sql(f"CREATE TABLE {name} (id INT, p STRING) USING parquet PARTITIONED BY (p) LOCATION '{path} ü'")
        assert session.table(name).count() == 0
        session.sql(f"INSERT INTO {name} VALUES (1, 'x'), (2, 'y')")
        session.sql(f"ALTER TABLE {name} DROP PARTITION (p = 'x')")
        session.sql(f"INSERT OVERWRITE {name} SELECT id + 1, p FROM {name}")
        assert rows(session.table(name)) == [(3, "y")]
        session.sql(f"DROP TABLE {name}")
        assert store.keys(self.bucket, folder), "the files of an external table stay"
        session.sql(f"CREATE DATABASE db_{name} LOCATION '{self.root}/{folder}/db'")
        session.sql(f"CREATE TABLE db_{name}.t AS SELECT 1 AS a")
        session.sql(f"ALTER TABLE db_{name}.t RENAME TO db_{name}.u")
        assert rows(session.table(f"db_{name}.u")) == [(1,)]
        session.sql(f"DROP DATABASE db_{name} CASCADE")
        assert [key for key in store.keys(self.bucket, f"{folder}/db") if key.endswith(".parquet")] == []

    def test_delta(self, session, store, folder, path):
        def read(**options):
            return rows(session.read.format("delta").options(**options).load(path))

        session.createDataFrame([(1, "a"), (2, "b")], "id INT, name STRING").write.format("delta").save(path)
        session.createDataFrame([(3, "c")], "id INT, name STRING").write.format("delta").mode("append").save(path)
        session.sql(f"UPDATE delta.`{path}` SET name = 'B' WHERE id = 2")
        session.sql(f"DELETE FROM delta.`{path}` WHERE id = 1")
        session.createDataFrame([(3, "C"), (4, "d")], "id INT, name STRING").createOrReplaceTempView("changes")
        session.sql(
            f"MERGE INTO delta.`{path}` t USING changes s ON t.id = s.id "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )
        assert read() == [(2, "B"), (3, "C"), (4, "d")] == self.others(store, path)
        assert read(versionAsOf="1") == [(1, "a"), (2, "b"), (3, "c")]
        history = session.sql(f"DESCRIBE HISTORY delta.`{path}`").orderBy("version").collect()
        assert [row.operation for row in history] == ["WRITE", "WRITE", "UPDATE", "DELETE", "MERGE"]
        at = session.sql(f"DESCRIBE HISTORY delta.`{path}`").filter("version = 1").selectExpr("CAST(timestamp AS STRING)").first()[0]
        assert read(timestampAsOf=at) == read(versionAsOf="1")
        session.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        session.sql(f"OPTIMIZE delta.`{path}`")
        before = len(store.keys(self.bucket, folder))
        session.sql(f"VACUUM delta.`{path}` RETAIN 0 HOURS")
        assert len(store.keys(self.bucket, folder)) < before
        session.sql(f"DELETE FROM delta.`{path}`")
        session.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 5")
        assert read() == [(2, "B"), (3, "C"), (4, "d")] == self.others(store, path)

    def test_iceberg(self, session, path):
        def read(**options):
            return rows(session.read.format("iceberg").options(**options).load(path))

        session.createDataFrame([(1, "a"), (2, "b")], "id INT, name STRING").write.format("iceberg").save(path)
        session.createDataFrame([(3, "c")], "id INT, name STRING").write.format("iceberg").mode("append").save(path)
        session.sql(f"UPDATE iceberg.`{path}` SET name = 'B' WHERE id = 2")
        session.sql(f"DELETE FROM iceberg.`{path}` WHERE id = 1")
        session.createDataFrame([(3, "C"), (4, "d")], "id INT, name STRING").createOrReplaceTempView("changes")
        session.sql(
            f"MERGE INTO iceberg.`{path}` t USING changes s ON t.id = s.id "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        )
        assert read() == [(2, "B"), (3, "C"), (4, "d")]
        snapshots = session.read.format("iceberg").load(f"{path}#snapshots").orderBy("committed_at").collect()
        assert read(versionAsOf=snapshots[1].snapshot_id) == [(1, "a"), (2, "b"), (3, "c")]

    def test_hudi(self, session, path):
        options = {f"hoodie.datasource.write.{key}.field": name for key, name in (("recordkey", "id"), ("partitionpath", "p"))}
        options |= {"hoodie.table.name": "t", "hoodie.datasource.write.precombine.field": "ts"}

        def write(ids, ts, operation):
            frame = session.createDataFrame([(i, ts, f"p{i % 2}") for i in ids], "id INT, ts INT, p STRING")
            frame.write.format("hudi").options(**options).option("hoodie.datasource.write.operation", operation).mode("append").save(path)

        def read(**options):
            return rows(session.read.format("hudi").options(**options).load(path).select("id", "ts"))

        write(range(3), 1, "insert")
        first = session.read.format("hudi").load(path).select("_hoodie_commit_time").first()[0]
        write(range(1, 5), 2, "upsert")
        assert read() == [(0, 1), (1, 2), (2, 2), (3, 2), (4, 2)]
        write([0], 3, "delete")
        assert read() == [(1, 2), (2, 2), (3, 2), (4, 2)]
        assert read(**{"as.of.instant": first}) == [(0, 1), (1, 1), (2, 1)]

    def others(self, store, path):
        """The rows as PyPI's `deltalake` reads them."""
        place, options = self.known_to_others(store, path)
        table = deltalake.DeltaTable(place, storage_options=options).to_pyarrow_table()
        return sorted(tuple(row.values()) for row in table.to_pylist())

    def test_writers_do_not_lose_commits(self, session, path, firesteel, settings):
        session.range(1).write.format("delta").save(path)
        session.range(1).write.format("iceberg").save(f"{path}-iceberg")
        other = servers.connect(firesteel)
        configure(other, settings)

        def append(session):
            for _ in range(3):
                session.range(1).write.format("delta").mode("append").save(path)
                session.range(1).write.format("iceberg").mode("append").save(f"{path}-iceberg")

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for writer in [pool.submit(append, session), pool.submit(append, other)]:
                writer.result()
        other.stop()
        assert session.read.format("delta").load(path).count() == 7
        assert session.read.format("iceberg").load(f"{path}-iceberg").count() == 7

    def test_no_such_bucket(self, session):
        missing = self.root.replace(self.bucket, "no-such-place", 1)
        for action in (lambda: session.read.parquet(f"{missing}/x").count(), lambda: session.range(1).write.parquet(f"{missing}/x")):
            message = self.fails(action)
            assert "FileNotFoundException" in message and "there is no bucket or container" in message and missing in message

    def test_wrong_credentials(self, session, spark, path, settings):
        """Those of a session, and those of one request, which stand above them."""
        session.range(3).write.parquet(path)
        configure(session, self.wrong)
        for action in (lambda: session.read.parquet(path).count(), lambda: session.range(1).write.mode("append").parquet(path)):
            message = self.fails(action)
            assert "AccessDeniedException" in message and path in message
        right = {key.removeprefix("spark.hadoop."): settings[key] for key in settings if key.removeprefix("spark.hadoop.") in self.wrong}
        assert right, "the settings have what was put wrong"
        session.range(1).write.mode("append").options(**right).parquet(path)
        assert session.read.options(**right).parquet(path).count() == 4
        shown = str([tuple(row) for row in session.sql("SET").collect()])
        assert not [secret for secret in self.secrets if secret in shown]

    def test_rest(self, firesteel_rest, session, path, settings):
        """A request brings its settings along; another request does not have them."""
        api = rest.Api(firesteel_rest)
        session.range(5).write.format("delta").save(path)
        data, own = {"path": path, "format": "delta"}, {"credentials": {"options": settings}}
        answer = api.ok("/v1/datasets/query", {**data, **own, "order_by": ["id"], "limit": 2})
        assert rest.ids(answer) == [0, 1]
        for credentials in ({}, {"credentials": {"options": {**settings, **self.wrong}}}):
            problem = api.post("/v1/datasets/query", {**data, **credentials})
            assert problem.status_code >= 400 and not [secret for secret in self.secrets if secret in problem.text]
        assert problem.status_code == 403 and problem.json()["condition"] == "STORAGE_ACCESS_DENIED", problem.text
        change = {"sql": "SELECT id + 10 AS id FROM data_table", "output_path": path, "output_format": "delta", "mode": "append"}
        api.job("/v1/datasets/modify", {**data, **own, **change})
        api.job("/v1/delta/delete", {"path": path, "condition": "id = 14", **own})
        assert api.ok("/v1/datasets/count", {**data, **own})["count"] == 9

    def test_a_store_that_recovers(self, spark, proxy, through, path):
        left = [5]

        def failing(request):
            left[0] -= 1
            return (503, "ServerBusy") if left[0] >= 0 and left[0] % 2 == 0 else None

        configure(spark, through)
        spark.range(10).write.parquet(path)
        proxy.answer, left[0] = failing, 9
        assert spark.read.parquet(path).count() == 10
        left[0] = 9
        spark.range(5).write.mode("append").parquet(path)
        left[0] = 9
        spark.range(5).write.format("delta").save(f"{path}-delta")
        assert left[0] < 5
        proxy.answer = lambda request: None
        assert spark.read.parquet(path).count() == 15
        assert spark.read.format("delta").load(f"{path}-delta").count() == 5

    def test_a_store_that_stays_broken(self, spark, proxy, through, path):
        configure(spark, through)
        spark.conf.set(self.retries, "2")
        proxy.answer = lambda request: (500, "InternalError")
        message = self.fails(lambda: spark.read.parquet(path).count())
        assert path in message and "500" in message and "IOException" in message
        assert len(proxy.requests) == 3

    def test_a_lost_answer(self, spark, proxy, through, path):
        """The commit is stored and its answer lost: it is there once."""
        configure(spark, through)
        spark.range(1).write.format("delta").save(path)
        lost = []

        def lose(request):
            if request.method == "PUT" and "00000000000000000001.json" in request.path.replace("%2E", ".") and not lost:
                lost.append(request.path)
                return 500, "InternalError"
            return None

        proxy.lose = lose
        spark.range(1).write.format("delta").mode("append").save(path)
        assert lost
        assert spark.read.format("delta").load(path).count() == 2

    def test_nobody_answers(self, spark, through, path, silent):
        silence = stores.Silence()
        for endpoint in (silence.endpoint, f"http://127.0.0.1:{servers.free_port()}"):
            configure(spark, {**through, **silent(endpoint), self.retries: "1"})
            start = time.monotonic()
            message = self.fails(lambda: spark.read.parquet(path).count())
            assert time.monotonic() - start < 8
            assert path in message and "does not answer" in message
        silence.close()
