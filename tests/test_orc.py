"""ORC in depth: every type both ways with real Spark, filters that use our indexes, codecs, stripes, old times."""
import datetime
import decimal

import pytest
from support import servers
from support.outcome import outcome_of

ROWS = 3000
# Small stripes and row groups, so that a small table has many of both.
SMALL = {"orc.stripe.size": "100000", "orc.row.index.stride": "1000", "orc.rows.between.memory.checks": "500"}
# Spark itself writes the times of `at` that lie in the last second before 1970 wrongly; none is among these.
COLUMNS = [
    "id",
    "CAST(id % 200 - 100 AS TINYINT) AS tiny",
    "CAST(IF(id % 7 = 0, NULL, id * 20 - 30000) AS SMALLINT) AS small",
    "CAST(id * 700001 % 1000003 - 500000 AS INT) AS whole",
    "IF(id = 5, 9223372036854775807, IF(id = 6, -9223372036854775808, id * id * id)) AS big",
    "IF(id % 1000 = 999, CAST('NaN' AS FLOAT), CAST(id AS FLOAT) / 3) AS f",
    "IF(id % 3 = 0, -0.0D, id / 7.0D - 100) AS d",
    "id % 3 = 1 AS flag",
    "IF(id > 1000 AND id < 2000, NULL, id % 2 = 0) AS gap",
    "CAST(id AS DECIMAL(9, 2)) / 4 AS n",
    "CAST(IF(id % 2 = 0, '-', '') || '1234567890123456789012345678' || '.' || lpad(id, 10, '0') AS DECIMAL(38, 10)) AS wide",
    "IF(id % 11 = 0, NULL, concat('text ', id % 40, 'ü')) AS word",
    "IF(id % 13 = 0, '', concat(sha1(CAST(id AS STRING)), id)) AS text",
    "CAST(concat('b', id) AS BINARY) AS bytes",
    "date_add(DATE'0001-01-01', CAST(id AS INT) * 1216) AS day",
    "timestamp_micros(-62135596800000000 + id * 105169651123457) AS at",
    "CAST(timestamp_micros(id * 1000003 - 1500000000001) AS TIMESTAMP_NTZ) AS local",
    "make_dt_interval(0, 0, 0, id - 1500.5) AS span",
    "IF(id % 5 = 0, NULL, named_struct('x', IF(id % 3 = 0, NULL, id), 'in', named_struct('y', CAST(id AS STRING)))) AS st",
    "IF(id % 6 = 0, NULL, sequence(0, id % 4)) AS list",
    "IF(id % 4 = 0, array(), array(array(CAST(id AS INT)), NULL, array(), array(NULL, 2))) AS lists",
    "IF(id % 9 = 0, NULL, map(concat('k', id % 3), id, 'other', NULL)) AS m",
    "IF(id % 8 = 0, array(), array(map(id, named_struct('t', timestamp_seconds(id), 'n', CAST(id AS DECIMAL(20, 5)))))) AS deep",
]
FILTERS = [
    "id = 2500",
    "id BETWEEN 900 AND 1100 AND word = 'text 3ü'",
    "id IN (1, 1501, 2999)",
    "tiny < -98",
    "small IS NULL AND id > 2900",
    "small = 10000",
    "whole > 499000",
    "big <= -9223372036854775808",
    "f < 1.5",
    "d = 0.0",
    "d > 328",
    "gap AND id > 990",
    "gap IS NULL",
    "n = 12.5",
    "wide < -1234567890123456789012345678.0000002990",
    "word IS NULL",
    "text = ''",
    "text > 'ff'",
    "day < DATE'0010-01-01'",
    "day = DATE'1582-10-15' OR day > DATE'9990-01-01'",
    "at > TIMESTAMP'9990-01-01'",
    "at < TIMESTAMP'0003-01-01'",
    "local >= TIMESTAMP_NTZ'1970-01-01 00:00:00'",
    "st.x = 2501",
    "st IS NULL AND id < 20",
    "size(list) = 4 AND id < 100",
]

# Values at the edges of each column's range, inside it, and outside.
PROBES = {
    "id": ["-1", "0", "1500", "2999", "3000"],
    "tiny": ["-100Y", "-98Y", "0Y", "99Y"],
    "small": ["-30000S", "-10S", "30000S"],
    "whole": ["-500000", "201", "499999", "1000000000000"],
    "big": ["-9223372036854775808", "0", "9223372036854775807"],
    "f": ["CAST(100.5 AS FLOAT)", "CAST('NaN' AS FLOAT)"],
    "d": ["-100.0D", "0.0D", "-0.0D", "328.0D"],
    "flag": ["true", "false"],
    "gap": ["true", "false"],
    "n": ["-1", "0", "12.5", "749.75", "749.751"],
    "wide": ["-1234567890123456789012345678.0000002998", "1234567890123456789012345678.0000000001"],
    "word": ["''", "'text 3ü'", "'text 9ü'", "'z'"],
    "text": ["''", "'7'", "'ff'", "'g'"],
    "bytes": ["X'6230'", "X'62393939'", "X''"],
    "day": ["DATE'0001-01-01'", "DATE'1582-10-04'", "DATE'1582-10-15'", "DATE'9990-01-01'"],
    "at": ["TIMESTAMP'0001-01-01'", "TIMESTAMP'1969-12-31 23:59:59.5'", "TIMESTAMP'5000-01-01 12:00:00'", "TIMESTAMP'9998-01-01'"],
    "local": ["TIMESTAMP_NTZ'1969-12-14'", "TIMESTAMP_NTZ'1969-12-14 15:19:59.999999'", "TIMESTAMP_NTZ'1969-12-14 15:45:00'"],
    "span": ["make_dt_interval(0, 0, 0, -1500.5)", "make_dt_interval(0, 0, 0, 0)", "make_dt_interval(0, 0, 50, 0)"],
}


def conditions():
    """Every operator on every column, and some together."""
    for column, values in PROBES.items():
        yield from (f"{column} {operator} {value}" for operator in ("=", "<", "<=", ">", ">=", "<>", "<=>") for value in values)
        first, second, last = values[0], values[1], values[-1]
        yield from (f"{column} IN ({first}, {last})", f"{column} NOT IN ({first}, {last})")
        yield from (f"{column} BETWEEN {second} AND {last}", f"{column} NOT BETWEEN {first} AND {second}")
        yield from (f"{column} IS NULL", f"{column} IS NOT NULL", f"NOT ({column} > {first} OR {column} IS NULL)")
    for column in ("word", "text"):
        yield from (f"{column} {negation}LIKE '{pattern}'" for negation in ("", "NOT ") for pattern in ("text 3%", "t%", "f%", "%f", "a_b%", "", "zz%"))
        yield f"startswith({column}, 'ab')"
    yield "id < 100 OR word = 'text 3ü'"
    yield "NOT (id >= 10 AND small IS NOT NULL)"
    yield "(id > 2990 AND gap IS NULL) OR tiny = -100Y"
    yield "id > 2990 AND id % 2 = 0 AND CAST(id AS STRING) > '2995'"
    yield "tiny > 98 AND small > CAST(id AS SMALLINT)"
    yield "CAST(small AS INT) < -29900 AND n * 2 < 100"
    yield "list IS NULL AND st IS NULL AND m IS NULL AND id > 100"
    yield "st.x IS NOT NULL AND st.in.y = '2501'"


def scanned(frame):
    """What a query says it read: rows, bytes, stripes left out, files left out."""
    frame.collect()
    _, nodes = frame.executionInfo.metrics.extract_graph()
    found = {}
    for node in nodes.values():
        for metric in node.metrics:
            found[metric.name] = found.get(metric.name, 0) + metric.value
    return [found[name] for name in ("number_of_input_rows", "number_of_stripes_pruned", "number_of_files_pruned", "size_of_input")]


def everything(session):
    return session.range(0, ROWS, 1, 1).selectExpr(*COLUMNS)


@pytest.mark.parametrize("writer_is_ours", [True, False])
def test_every_type(writer_is_ours, spark, reference_spark, tmp_path):
    """The other engine reads what one engine wrote: schema, rows, and rows by filter, which Spark finds by our indexes."""
    writer, reader = (spark, reference_spark) if writer_is_ours else (reference_spark, spark)
    path = str(tmp_path / "data")
    everything(writer).write.options(**SMALL).orc(path)
    frames = [session.read.orc(path) for session in (reader, writer)]
    assert frames[0].schema == frames[1].schema
    assert frames[0].schema.simpleString() == everything(spark).schema.simpleString()
    read, written = (sorted(frame.collect(), key=lambda row: row["id"]) for frame in (frames[0], everything(spark)))
    for theirs, ours in zip(read, written, strict=True):
        assert repr(theirs) == repr(ours)
    counts = [[frame.where(condition).count() for condition in FILTERS] for frame in frames]
    expected = everything(spark).selectExpr(*[f"count_if({condition})" for condition in FILTERS]).collect()[0]
    assert counts[0] == counts[1] == list(expected)


@pytest.mark.parametrize("layout", ["stripes", "row groups"])
@pytest.mark.parametrize("writer_is_ours", [True, False])
def test_filters_leave_out_no_row(writer_is_ours, layout, spark, reference_spark, tmp_path):
    """Filters on files answer what they do on the rows that were written, whatever the statistics leave out."""
    path = str(tmp_path / "data")
    options = SMALL if layout == "stripes" else {"orc.row.index.stride": "1000"}
    everything(spark if writer_is_ours else reference_spark).write.options(**options).orc(path)
    asked = list(conditions())
    everything(reference_spark).cache().createOrReplaceTempView("written")
    spark.read.orc(path).createOrReplaceTempView("read")
    for start in range(0, len(asked), 50):
        some = asked[start : start + 50]
        totals = ", ".join(f"sum(IF({condition}, id * id + 1, 0))" for condition in some)
        expected = reference_spark.sql(f"SELECT {totals} FROM written").collect()[0]
        parts = (f"SELECT {n}, coalesce(sum(id * id + 1), 0) FROM read WHERE {condition}" for n, condition in enumerate(some))
        found = dict(map(tuple, spark.sql(" UNION ALL ".join(parts)).collect()))
        for n, condition in enumerate(some):
            assert found[n] == expected[n], condition


@pytest.mark.parametrize("writer_is_ours", [True, False])
def test_parts_without_rows_are_not_read(writer_is_ours, spark, reference_spark, tmp_path):
    stripes, groups, files = (str(tmp_path / name) for name in ("stripes", "groups", "files"))
    writer = spark if writer_is_ours else reference_spark
    everything(writer).write.options(**SMALL).orc(stripes)
    everything(writer).write.options(**{"orc.row.index.stride": "1000"}).orc(groups)
    # Three files, one after another.
    writer.range(0, ROWS, 1, 3).selectExpr("id", "id % 7 AS n", "id % 2 AS half").write.orc(files)
    frame = spark.read.orc(stripes).select("id", "text", "n")
    all_rows, none_pruned, _, all_bytes = scanned(frame)
    assert (all_rows, none_pruned) == (ROWS, 0)
    for condition in ("id >= 2950", "n > 740", "whole IS NULL", "id >= 2950 OR id IS NULL", "local > TIMESTAMP_NTZ'1969-12-14 16:05:00'"):
        found = spark.read.orc(stripes).where(condition).select("id", "text", "n", "whole", "local")
        rows, pruned, _, size = scanned(found)
        assert rows < ROWS and pruned > 0, condition
    rows, pruned, pruned_files, size = scanned(frame.where("id >= 2950"))
    assert size < all_bytes / 2 and pruned_files == 0
    # Within a stripe rows are passed over by group; nothing of a file is read but its end where no row can match.
    assert scanned(spark.read.orc(groups).where("id >= 2950"))[0] == 1000
    assert scanned(spark.read.orc(groups).where("id >= 1000 AND id < 1010").select("id", "deep", "lists"))[0] == 1000
    rows, pruned, pruned_files, size = scanned(spark.read.orc(files).where("id > 2500"))
    assert (rows, pruned, pruned_files) == (1000, 2, 2)
    assert scanned(spark.read.orc(files).where("id < 0"))[:3] == [0, 3, 3]
    assert "pruning_predicate=" in spark.read.orc(files).where("id > 2500")._explain_string()
    # The keys of a join leave out what its other side does not have.
    spark.range(2990, 2995).createOrReplaceTempView("keys")
    joined = spark.read.orc(files).join(spark.table("keys").hint("broadcast"), "id")
    assert joined.count() == 5 and scanned(joined)[2] == 2
    spark.conf.set("spark.sql.orc.filterPushdown", "false")
    unpruned = spark.read.orc(files).where("id > 2500")
    assert scanned(unpruned)[:3] == [ROWS, 0, 0] and unpruned.count() == 499
    assert "predicate=" not in unpruned._explain_string()


def test_filters_on_files_of_other_writers(spark, reference_spark, tmp_path):
    """Apache's C++ library writes; NaN, zeros of both signs, nulls alone, texts that are cut off, old days."""
    orc = pytest.importorskip("pyarrow.orc")
    pa = pytest.importorskip("pyarrow")
    rows = 30_000
    part = rows // 3
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "d": pa.array([float("nan") if i % 9000 == 0 else -0.0 if i < part else i / 3 for i in range(rows)]),
            "nothing": pa.array([None if i < part else i for i in range(rows)], pa.int32()),
            "long": ["x" * 2000 + str(i // 1000).zfill(3) if i % 1000 == 0 else f"y{i:05}" for i in range(rows)],
            "day": pa.array([i * 40 - 719_162 for i in range(rows)], pa.int32()).cast(pa.date32()),
            "at": pa.array([i * 86_400_000_000 - 10**15 for i in range(rows)], pa.timestamp("us")),
            "n": [decimal.Decimal(i - part).scaleb(-2) for i in range(rows)],
            "flag": [i < part for i in range(rows)],
        }
    )
    path = str(tmp_path / "cpp.orc")
    orc.write_table(table, path, stripe_size=64 * 1024, row_index_stride=1000, batch_size=1000)
    assert orc.ORCFile(path).nstripes > 2
    # Spark looks for 0.0 alone and leaves out row groups of -0.0, which equals it.
    assert spark.read.orc(path).where("d = 0.0D").count() == part - 2
    asked = ["d > 9000.0D", "isnan(d)", "d < -1.0D", "nothing IS NULL", "nothing IS NOT NULL", "nothing = 20000", "nothing < 10"]
    asked += [f"long > '{'x' * 2000}'", f"long = '{'x' * 2000}029'", f"long < '{'x' * 1500}'", "long LIKE 'y29%'", "long > 'y2999'"]
    asked += ["day < DATE'0100-01-01'", "day = DATE'1582-10-04'", "day > DATE'3000-01-01'", "n = -1.00", "n > 199.98", "NOT flag", "flag AND id > 9000"]
    asked += ["at > TIMESTAMP'2019-01-01'", "at < TIMESTAMP'1940-01-01'", "at = TIMESTAMP'1969-12-20 22:13:20'"]
    for condition in asked:
        totals = [session.read.orc(path).where(condition).selectExpr("count(*)", "sum(id)").collect()[0] for session in (spark, reference_spark)]
        assert totals[0] == totals[1], condition
    for condition in ("nothing IS NOT NULL", "long > 'y29'", "day > DATE'3000-01-01'", "n > 199.98", "NOT flag", "at > TIMESTAMP'2019-01-01'"):
        assert scanned(spark.read.orc(path).where(condition).select("id"))[1] > 0, condition


def test_filters_on_columns_that_changed(spark, reference_spark, tmp_path):
    """A file's column of another type, and one that no file has."""
    path = str(tmp_path / "data")
    spark.range(0, ROWS, 1, 1).selectExpr("CAST(id AS INT) AS k", "CAST(id AS STRING) AS Word").write.options(**SMALL).orc(path)
    for condition in ("k = 2999", "k > 10000000000", "k < 0", "word = '17'", "added IS NULL", "added IS NOT NULL", "added = 'x'", "added IS NULL AND k < 5"):
        counts = [session.read.schema("k BIGINT, word STRING, added STRING").orc(path).where(condition).count() for session in (spark, reference_spark)]
        assert counts[0] == counts[1], condition


def test_filters_on_padded_texts(spark, reference_spark):
    for session in (spark, reference_spark):
        session.sql("DROP TABLE IF EXISTS padded")
        session.sql("CREATE TABLE padded (c CHAR(5), v VARCHAR(5), n INT) USING orc")
        session.sql("INSERT INTO padded VALUES ('ab', 'ab', 1), ('ab   ', 'ab   ', 2), ('', '', 3), (NULL, NULL, 4)")
    for condition in ("c = 'ab'", "c = 'ab   '", "c < 'ab'", "c > 'ab'", "c LIKE 'ab%'", "v = 'ab'", "v = 'ab   '", "v > 'ab'", "c IS NULL", "c = ''", "v = ''", "v LIKE 'ab'"):
        found = [sorted(row[0] for row in session.sql(f"SELECT n FROM padded WHERE {condition}").collect()) for session in (spark, reference_spark)]
        assert found[0] == found[1], condition
    for session in (spark, reference_spark):
        session.sql("DROP TABLE padded")


def test_stripes_and_indexes_are_there(spark, tmp_path):
    """A reader of Apache's C++ library sees several stripes, and the same values."""
    orc = pytest.importorskip("pyarrow.orc")
    path = tmp_path / "data"
    everything(spark).select("id", "whole", "word", "n", "list", "m").write.options(**SMALL).orc(str(path))
    (file,) = path.glob("*.orc")
    opened = orc.ORCFile(str(file))
    assert opened.nstripes > 2 and opened.nrows == ROWS
    table = opened.read()
    assert table["id"].to_pylist() == list(range(ROWS))
    assert table["n"].to_pylist()[:3] == [decimal.Decimal(n) / 4 for n in range(3)]
    assert table["word"].null_count == len(range(0, ROWS, 11))


@pytest.mark.parametrize("codec", ["none", "snappy", "zlib", "lzo", "lz4", "zstd"])
def test_codecs(codec, spark, reference_spark, tmp_path):
    for name, writer, reader in (("ours", spark, reference_spark), ("theirs", reference_spark, spark)):
        path = tmp_path / name
        frame = writer.range(0, 2000, 1, 1).selectExpr("id", "repeat(concat('x', id % 7), 300) AS s", "uuid() AS u")
        frame.write.option("compression", codec).orc(str(path))
        (file,) = path.glob("*.orc")
        assert codec == "none" or f".{codec}." in file.name
        read = reader.read.orc(str(path))
        assert read.selectExpr("count(*)", "sum(id)", "sum(length(s))", "sum(length(u))").collect()[0] == (
            2000,
            1999000,
            2000 * 600,
            2000 * 36,
        )
        assert codec != "zstd" or file.stat().st_size < 200_000


def test_an_unknown_codec_is_refused(spark, tmp_path):
    outcome = outcome_of(lambda: spark.range(1).write.option("compression", "pkzip").orc(str(tmp_path / "data")))
    assert outcome.condition == "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION"


def test_no_rows_and_nulls_alone(spark, reference_spark, tmp_path):
    empty, nulls = str(tmp_path / "empty"), str(tmp_path / "nulls")
    everything(spark).where("id < 0").write.orc(empty)
    everything(spark).limit(5).selectExpr("id", *[f"IF(id < 9, NULL, {name}) AS {name}" for name in ("word", "n", "at", "st", "list", "m")]).write.orc(nulls)
    for session in (spark, reference_spark):
        assert session.read.orc(empty).schema.simpleString() == everything(spark).schema.simpleString()
        assert session.read.orc(empty).count() == 0
        assert {tuple(row) for row in session.read.orc(nulls).collect()} == {(n, *[None] * 6) for n in range(5)}
        assert session.read.orc(nulls).where("word = 'x' OR st.x = 1").count() == 0


def test_the_last_second_before_1970(spark, reference_spark, tmp_path):
    """The format has no word for these times in UTC: we write them in a zone where they are ordinary."""
    path = str(tmp_path / "data")
    micros = [-1, -999_000, -999_001, -1_000_000, -1_000_001, 0, 1, 999_999, -3_600_000_001]
    spark.createDataFrame([(n,) for n in micros], "n LONG").coalesce(1).selectExpr(
        "n", "timestamp_micros(n) AS at", "array(CAST(timestamp_micros(n) AS TIMESTAMP_NTZ)) AS local"
    ).write.orc(path)
    for session in (spark, reference_spark):
        read = session.read.orc(path).selectExpr("n", "unix_micros(at)", "unix_micros(CAST(local[0] AS TIMESTAMP))")
        assert sorted(tuple(row) for row in read.collect()) == sorted((n, n, n) for n in micros)


def test_sessions_of_other_zones_read_the_same_times(tmp_path):
    """Times in files are those of the server's zone, whatever the session's."""
    server = servers.start_firesteel(environment={"TZ": "America/Los_Angeles"})
    try:
        path = str(tmp_path / "data")
        writer, reader = servers.connect(server.remote), servers.connect(server.remote)
        writer.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
        reader.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
        seconds = [-2_000_000_000, -1, 0, 1_600_000_000, 1_616_900_000]
        frame = writer.createDataFrame([(n,) for n in seconds], "n LONG").selectExpr("n", "timestamp_seconds(n + 0.5) AS at")
        frame.write.orc(path)
        read = reader.read.orc(path).selectExpr("n", "unix_micros(at)")
        assert sorted(tuple(row) for row in read.collect()) == [(n, n * 1_000_000 + 500_000) for n in seconds]
        for n in seconds:
            assert reader.read.orc(path).where(f"at = timestamp_seconds({n} + 0.5)").count() == 1
        writer.stop(), reader.stop()
    finally:
        server.close()


def test_what_orc_has_no_type_for_is_refused(spark, tmp_path):
    path = tmp_path / "data"
    for column in ("make_interval(1)", "parse_json('1')", "array(NULL)"):
        outcome = outcome_of(lambda: spark.sql(f"SELECT {column} AS c").write.orc(str(path)))
        assert outcome.condition == "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE", (column, outcome.text)
        assert not list(path.rglob("*.orc"))
