"""TPC-H and TPC-DS: the same rows as real Spark. DuckDB's extensions make the data and hold the query texts."""
import decimal

import duckdb
import pytest
from support import ratchet
from support.outcome import outcome_of, value_text

SCALES = {"tpch": "CALL dbgen(sf = 0.01)", "tpcds": "CALL dsdgen(sf = 0.01)"}


@pytest.fixture(scope="module", params=SCALES)
def benchmark(request, tmp_path_factory):
    """Name, folder of Parquet files, table names and query texts."""
    import duckdb_extensions

    name = request.param
    folder = tmp_path_factory.mktemp(name)
    duckdb_extensions.import_extension(name)
    with duckdb.connect() as database:
        database.execute(f"LOAD {name}")
        database.execute(SCALES[name])
        tables = [row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        for table in tables:
            database.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet)")
        queries = database.execute(f"SELECT query_nr, query FROM {name}_queries() ORDER BY 1").fetchall()
    return name, folder, tables, queries


def rounded(rows):
    """Sums of doubles depend on the order of addition: compared to ten digits."""

    def short(value):
        return float(f"{value:.10g}") if isinstance(value, float) else value

    return sorted(value_text(tuple(short(v) for v in row)) for row in rows)


def run(session, text):
    frame = session.sql(text)
    return rounded(tuple(float(v) if isinstance(v, decimal.Decimal) else v for v in row) for row in frame.collect())


def test_same_rows(benchmark, spark, reference_spark):
    name, folder, tables, queries = benchmark
    for session in (spark, reference_spark):
        # Some queries name columns as "30 days".
        session.conf.set("spark.sql.ansi.doubleQuotedIdentifiers", "true")
        for table in tables:
            session.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
    passed, failed = [], {}
    for number, text in queries:
        case, text = f"{name} {number:02d}", text.rstrip().rstrip(";")
        expected = outcome_of(lambda: run(reference_spark, text))
        actual = outcome_of(lambda: run(spark, text))
        assert not expected.failed, f"{case} on real Spark: {expected.text[:300]}"
        if actual.failed or expected.rows != actual.rows:
            failed[case] = actual.text[:300] or f"expected {expected.rows[0][:300]}\n  actual {actual.rows[0][:300]}"
            print(f"\n{case}\n  {failed[case]}")
        else:
            passed.append(case)
    ratchet.check("tpc", passed, failed, scope=f"{name} ")
