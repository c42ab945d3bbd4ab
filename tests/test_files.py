"""Files written by one server are read by the other, both ways."""
import datetime
import decimal

import pytest
from support.outcome import outcome_of

ROWS = [
    (1, "a", 1.5, decimal.Decimal("1.25"), datetime.date(2020, 2, 29), datetime.datetime(2020, 1, 1, 12, 30), True),
    (2, None, float("inf"), None, datetime.date(1600, 1, 1), None, None),
    (-3, "ü,\"x\"\n", -0.0, decimal.Decimal("-99.99"), None, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), False),
]
SCHEMA = "i INT, s STRING, d DOUBLE, n DECIMAL(10, 2), day DATE, at TIMESTAMP, b BOOLEAN"
NESTED = "SELECT 1 AS id, array(1, NULL) AS a, map('k', named_struct('x', 1, 'y', 'z')) AS m UNION ALL SELECT 2, NULL, NULL"



def directions(*formats):
    """Each format both ways."""
    return [pytest.param(format, ours) for ours in (True, False) for format in formats]


def check_flat(format, writer, reader, rows, schema, path):
    options = {"multiLine": "true", "escape": '"'} if format == "csv" else {}
    writer.createDataFrame(rows, schema).write.format(format).options(**options).save(path)
    frames = [outcome_of(lambda: s.read.schema(schema).options(**options).format(format).load(path)) for s in (reader, writer)]
    assert not frames[0].failed, frames[0].text
    assert sorted(frames[0].rows) == sorted(frames[1].rows)
    assert len(frames[0].rows) == len(rows)


@pytest.mark.parametrize("format, writer_is_ours", directions("parquet", "orc", "json", "csv"))
def test_flat(format, writer_is_ours, spark, reference_spark, tmp_path):
    writer, reader = (spark, reference_spark) if writer_is_ours else (reference_spark, spark)
    check_flat(format, writer, reader, ROWS, SCHEMA, str(tmp_path / "data"))


@pytest.mark.parametrize("format, writer_is_ours", directions("parquet", "orc", "json"))
def test_nested_and_partitioned(format, writer_is_ours, spark, reference_spark, tmp_path):
    writer, reader = (spark, reference_spark) if writer_is_ours else (reference_spark, spark)
    path = str(tmp_path / "data")
    writer.sql(NESTED).write.format(format).partitionBy("id").save(path)
    theirs, ours = (outcome_of(lambda: s.read.format(format).load(path)) for s in (reader, writer))
    assert not theirs.failed, theirs.text
    assert sorted(theirs.rows) == sorted(ours.rows) and theirs.schema == ours.schema


@pytest.mark.parametrize("format", ("parquet", "orc", "json"))
def test_filters_on_odd_names(format, spark, reference_spark, tmp_path):
    """Columns and partitions whose names have capitals, dots, blanks, quotes, other letters."""
    path = str(tmp_path / "data")
    names = ["Name", "`a.b`", "`Straße`", "` sp ace `", "`\"q\"`"]
    columns = ", ".join(f"concat('v', id) AS {name}" for name in names)
    reference_spark.sql(f"SELECT id AS Id, {columns}, id % 2 AS Part, concat('p', id % 3) AS `P.q` FROM range(20)").write.format(
        format
    ).partitionBy("Part", "P.q").save(path)
    for condition in [*(f"{name} = 'v7'" for name in names), "Id > 17", "id > 17", "Part = 1 AND Id < 4", "`P.q` = 'p2'", "`p.Q` = 'p1' AND name > 'v5'"]:
        answers = [sorted(s.read.format(format).load(path).filter(condition).collect()) for s in (spark, reference_spark)]
        assert answers[0] == answers[1] and answers[0], condition


def test_a_failed_write_leaves_nothing(spark, tmp_path):
    path = tmp_path / "data"
    frame = spark.range(1000).selectExpr("1 / (id - 999) AS x")
    assert outcome_of(lambda: frame.write.parquet(str(path))).condition == "DIVIDE_BY_ZERO"
    assert not list(path.rglob("*.parquet")) and not (path / "_SUCCESS").exists()


def test_a_truncated_file_is_an_error(spark, tmp_path):
    path = tmp_path / "data"
    spark.range(1000).write.parquet(str(path))
    for file in path.rglob("*.parquet"):
        file.write_bytes(file.read_bytes()[:100])
    assert outcome_of(lambda: spark.read.parquet(str(path)).agg({"id": "sum"})).failed
    assert spark.range(3).count() == 3


@pytest.mark.parametrize("writer_is_ours", (True, False))
def test_groups_of_texts_in_dictionaries(writer_is_ours, spark, reference_spark, tmp_path):
    """Files whose dictionaries differ, NULL in keys, a column that is no dictionary in one of the files."""
    writer = spark if writer_is_ours else reference_spark
    parts = []
    for number in range(3):
        path = str(tmp_path / f"part{number}")
        frame = writer.range(number * 5000, number * 5000 + 20000, 1, 2).selectExpr(
            "CAST(id AS INT) AS i",
            f"CASE WHEN id % 11 = 0 THEN NULL WHEN id % 5 = {number} THEN '' ELSE concat('w', (id * {number + 1}) % 40) END AS w",
            "CASE id % 3 WHEN 0 THEN 'N' WHEN 1 THEN 'R' ELSE 'ü' END AS flag",
            f"IF({number} = 2, concat('every', id), 'same') AS mixed",
            "timestamp_seconds(id) AS at",
            "array(struct(CAST(id AS STRING) AS s)) AS nested",
        )
        frame.write.parquet(path)
        parts.append(path)
    queries = [
        "SELECT w, count(*), sum(i), min(flag) FROM t GROUP BY w",
        "SELECT w, flag, count(i), avg(i) FROM t WHERE i % 7 <> 0 GROUP BY w, flag",
        "SELECT DISTINCT flag FROM t",
        "SELECT upper(w) AS u, count(*) FROM t GROUP BY w",
        "SELECT w, flag, count(*) FROM t WHERE w > 'w2' GROUP BY ROLLUP (w, flag)",
        "SELECT mixed, count(*) FROM t GROUP BY mixed",
        "SELECT flag, max(at), max(nested[0].s) FROM t WHERE w IN ('w1', 'w3', '') GROUP BY flag",
        "SELECT count(DISTINCT w), max(w) FROM t",
        "SELECT a.w, b.n FROM t a JOIN (SELECT w, count(*) AS n FROM t GROUP BY w) b USING (w) WHERE a.i < 30",
    ]
    answers = []
    for session in (spark, reference_spark):
        session.read.parquet(*parts).createOrReplaceTempView("t")
        answers.append([sorted(session.sql(query).collect(), key=str) for query in queries])
    assert answers[0] == answers[1]
    plans = [spark.sql(f"EXPLAIN {query}").collect()[0][0] for query in queries]
    assert all("text(" in plans[at] for at in (0, 1, 2, 3, 4, 6, 8)), plans
