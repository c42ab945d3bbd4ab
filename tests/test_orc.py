"""ORC in depth: every type both ways with real Spark, filters that use our indexes, codecs, stripes, old times."""
import datetime
import decimal

import pytest
from support import servers
from support.outcome import outcome_of

ROWS = 3000
# Small stripes and row groups, so that a small table has many of both.
SMALL = {"orc.stripe.size": "100000", "orc.row.index.stride": "1000"}
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
        writer.stop(), reader.stop()
    finally:
        server.close()


def test_what_orc_has_no_type_for_is_refused(spark, tmp_path):
    path = tmp_path / "data"
    for column in ("make_interval(1)", "parse_json('1')", "array(NULL)"):
        outcome = outcome_of(lambda: spark.sql(f"SELECT {column} AS c").write.orc(str(path)))
        assert outcome.condition == "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE", (column, outcome.text)
        assert not list(path.rglob("*.orc"))
