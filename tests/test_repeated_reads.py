"""Small queries that are asked again and again are answered from what was decoded before: with the same rows, in the same
order, and with others as soon as the files are others."""
import concurrent.futures
import os
import pathlib
import shutil
import time

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import servers
from support.outcome import difference, outcome_of
from support.rest import Api

ROWS = """SELECT id, CAST(id % 7 AS TINYINT) AS small, IF(id % 11 = 0, NULL, concat('name ', id)) AS name, concat('g', id % 5) AS g,
  CAST(id AS DECIMAL(20, 3)) / 7 AS price, id / 3.0D AS ratio, date_add(DATE '1999-12-30', CAST(id % 900 AS INT)) AS day,
  timestamp_micros(id * 86400000123) AS at, timestamp_ntz '1960-01-01 00:00:00' + make_interval(0, 0, 0, CAST(id AS INT)) AS local,
  array(id, NULL, id + 1) AS items, map('k', id) AS pairs, named_struct('a', id, 'b', struct(concat('x', id) AS c)) AS nested,
  unhex(hex(id)) AS raw, id % 2 = 0 AS even, CAST(id % 3 AS INT) AS p FROM range(0, 30000)"""
QUERIES = [
    "SELECT * FROM t WHERE id = 4711",
    "SELECT * FROM t WHERE id = -1",
    "SELECT name FROM t WHERE id BETWEEN 9990 AND 10010",
    "SELECT id, nested.b.c AS c FROM t WHERE id IN (1, 15000, 29999)",
    "SELECT g, items, pairs FROM t WHERE id < 3 AND p = 1",
    "SELECT id + 1 AS next, upper(name) AS name FROM t WHERE id > 29990",
    "SELECT id, day FROM t WHERE name = 'name 777'",
    "SELECT id FROM t WHERE name IS NULL AND id < 100",
    "SELECT id, at, local FROM t WHERE at < TIMESTAMP '1970-01-03 00:00:00' AND even",
    "SELECT id, price, ratio FROM t WHERE price BETWEEN 100 AND 101",
    "SELECT raw, small FROM t WHERE id = 256 OR id = 257",
    "SELECT id FROM t WHERE g = 'g3' LIMIT 7",
    "SELECT p, id FROM t WHERE p = 2 AND id > 29000 LIMIT 1000",
    "SELECT id FROM t WHERE id > 100 AND id < 90",
]


@pytest.fixture(scope="module")
def data(reference, tmp_path_factory):
    """Files of real Spark in three partitions, of many row groups each."""
    path = str(tmp_path_factory.mktemp("repeated") / "data")
    session = servers.connect(reference)
    frame = session.sql(ROWS).repartition(1)
    frame.write.option("parquet.block.size", 65536).partitionBy("p").parquet(path)
    session.stop()
    settle(path)
    return path


def settle(path):
    """What was written just now may be written again within the same tick: it is not kept. This was written long ago."""
    for file in pathlib.Path(path).rglob("*.parquet"):
        before = time.time() - 60
        os.utime(file, (before, before))


@pytest.mark.parametrize("query", QUERIES)
def test_the_same_rows_each_time(query, spark, reference_spark, data):
    for session in (spark, reference_spark):
        session.read.parquet(data).createOrReplaceTempView("t")
    theirs = outcome_of(lambda: reference_spark.sql(query))
    assert not theirs.failed, theirs.text
    ours = [outcome_of(lambda: spark.sql(query)) for _ in range(4)]
    # Which rows a LIMIT takes is up to the engine, but it takes the same each time.
    if "LIMIT" not in query:
        assert difference(theirs, ours[0], ordered=False) is None
    for again in ours[1:]:
        assert difference(ours[0], again, ordered=True) is None


def test_metadata_of_files(spark, reference_spark, data):
    query = "SELECT id, _metadata.file_name, _metadata.file_size FROM t WHERE id IN (5, 6)"
    for session in (spark, reference_spark):
        session.read.parquet(data).createOrReplaceTempView("t")
    theirs = outcome_of(lambda: reference_spark.sql(query))
    for _ in range(4):
        assert difference(theirs, outcome_of(lambda: spark.sql(query)), ordered=False) is None


@pytest.fixture(scope="module")
def api():
    server = servers.start_firesteel(http=True)
    yield Api(server.rest)
    server.close()


def write(path, first, rows=20_000):
    ids = list(range(first, first + rows))
    table = pa.table({"id": ids, "name": [f"name {i}" for i in ids], "g": [f"g{i % 5}" for i in ids]})
    pq.write_table(table, path, row_group_size=4_000)


def ask(api, path, filters, **more):
    return api.ok("/v1/datasets/query", {"path": str(path), "filters": filters, **more})


def test_nothing_is_read_again_until_the_files_change(api, tmp_path):
    write(tmp_path / "a.parquet", 0)
    settle(tmp_path)
    found = [ask(api, tmp_path, {"id": 4711}) for _ in range(3)]
    assert [answer["data"] for answer in found] == [[{"id": 4711, "name": "name 4711", "g": "g1"}]] * 3
    assert [answer["stats"]["bytes_scanned"] > 0 for answer in found] == [True, True, False]
    assert {answer["stats"]["rows_scanned"] for answer in found[1:]} == {4000}
    # Another row of the same part, and fewer columns of it.
    assert ask(api, tmp_path, {"id": 4712}, columns=["name"])["stats"]["bytes_scanned"] == 0
    write(tmp_path / "b.parquet", 4000)
    settle(tmp_path)
    assert len(ask(api, tmp_path, {"id": 4711})["data"]) == 2
    write(tmp_path / "a.parquet", 100_000)
    settle(tmp_path)
    for _ in range(3):
        assert len(ask(api, tmp_path, {"id": 4711})["data"]) == 1
    (tmp_path / "b.parquet").unlink()
    assert ask(api, tmp_path, {"id": 4711})["data"] == []


def test_pages_keep_their_order(api, tmp_path):
    for number in range(4):
        write(tmp_path / f"{number}.parquet", number * 20_000, rows=20_000 - number * 4_500)
    settle(tmp_path)
    wanted = {"g": "g2", "id": {"between": [17_000, 49_000]}}
    for _ in range(3):
        rows, more = [], {"limit": 1000, "paginate": True}
        page = ask(api, tmp_path, wanted, **more)
        while True:
            rows += [row["id"] for row in page["data"]]
            if not page["next_cursor"]:
                break
            page = api.ok("/v1/datasets/query", {"cursor": page["next_cursor"]})
        lengths = [20_000 - number * 4_500 for number in range(4)]
        ids = [n * 20_000 + i for n, length in enumerate(lengths) for i in range(length)]
        assert sorted(rows) == [i for i in ids if i % 5 == 2 and 17_000 <= i <= 49_000]


def test_many_at_once(api, tmp_path):
    write(tmp_path / "a.parquet", 0)
    settle(tmp_path)

    def one(number):
        return ask(api, tmp_path, {"id": number}, columns=["id", "name"])["data"] == [{"id": number, "name": f"name {number}"}]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, [i * 37 % 20_000 for i in range(400)]))


def test_parts_that_are_too_large(api, tmp_path):
    """Few texts of a hundred letters, a million times: small in the file, large in memory. They are read each time."""
    rows = 1_000_000
    texts = pa.array([letter * 100 for letter in "abcd"] * (rows // 4))
    pq.write_table(pa.table({"id": range(rows), "text": texts}), tmp_path / "a.parquet", row_group_size=rows)
    settle(tmp_path)
    for columns in (["id"], ["id"], ["id", "text"], ["id", "text"]):
        found = [ask(api, tmp_path, {"id": {"in": [7, 999_998]}}, columns=columns, order_by=["id"]) for _ in range(2)]
        wanted = [{"id": 7, "text": "d" * 100}, {"id": 999_998, "text": "c" * 100}]
        for answer in found:
            assert answer["data"] == [{name: row[name] for name in columns} for row in wanted]
    assert found[-1]["stats"]["bytes_scanned"] > 0


def delta_rows(first, rows=20_000):
    ids = list(range(first, first + rows))
    return pa.table({"id": ids, "name": [f"name {i}" for i in ids]})


def settle_log(path):
    before = time.time() - 60
    for file in (path / "_delta_log").iterdir():
        os.utime(file, (before, before))


def test_delta_tables_of_other_writers(api, tmp_path):
    """Each commit of somebody else is seen at once, however often the table was read before."""
    path = tmp_path / "t"
    wanted = {}

    def check(*ids):
        settle_log(path)
        for _ in range(3):
            for number in ids:
                answer = ask(api, path, {"id": number}, format="delta")
                assert [row["name"] for row in answer["data"]] == wanted.get(number, []), number
                assert answer["stats"]["version"] == deltalake.DeltaTable(str(path)).version()
        return answer

    deltalake.write_deltalake(str(path), delta_rows(0))
    wanted[4711] = ["name 4711"]
    assert check(4711)["stats"]["bytes_scanned"] == 0
    assert ask(api, path, {"id": {"<": 3}}, format="delta", columns=["id"])["stats"]["files_pruned"] == 0
    deltalake.write_deltalake(str(path), delta_rows(20_000), mode="append")
    wanted[20_001] = ["name 20001"]
    assert check(4711, 20_001)["stats"]["files_pruned"] == 1
    deltalake.DeltaTable(str(path)).update({"name": "'changed'"}, predicate="id = 4711")
    wanted[4711] = ["changed"]
    check(4711, 20_001)
    deltalake.DeltaTable(str(path)).delete("id = 20001")
    wanted[20_001] = []
    check(4711, 20_001)
    deltalake.DeltaTable(str(path)).create_checkpoint()
    check(4711, 20_001)
    deltalake.write_deltalake(str(path), delta_rows(4711, 1), mode="overwrite")
    wanted[4711] = ["name 4711"]
    check(4711, 20_001)
    old = ask(api, path, {"id": 20_001}, format="delta", version=1)
    assert [row["name"] for row in old["data"]] == ["name 20001"]
    # Another table in the same place
    shutil.rmtree(path)
    deltalake.write_deltalake(str(path), delta_rows(4711, 2))
    wanted[4712] = ["name 4712"]
    check(4711, 4712)


def test_delta_tables_of_other_shapes(spark, tmp_path):
    """Deleted rows that files still hold, columns that files call otherwise, partitions: read each time as the first time."""
    path = str(tmp_path / "t")
    spark.sql(
        f"""CREATE TABLE delta.`{path}` (id LONG, a STRING, b STRING, p INT) USING delta PARTITIONED BY (p)
            TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"""
    )
    spark.sql(f"INSERT INTO delta.`{path}` SELECT id, concat('a', id), concat('b', id), id % 2 FROM range(1000)")
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        spark.sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN {old} TO {new}")
    settle_log(tmp_path / "t")
    for _ in range(4):
        found = spark.sql(f"SELECT id, a, b FROM delta.`{path}` WHERE a = 'b7' AND p = 1").collect()
        assert [tuple(row) for row in found] == [(7, "b7", "a7")]
        assert spark.sql(f"SELECT id FROM delta.`{path}` WHERE b = 'b7'").collect() == []
