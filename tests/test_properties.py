"""Expressions over values at the edges of their types: the same on Firesteel and real Spark, value by value.

Without ANSI mode a query computes all values at once; with it, each value that fails has to fail with the same condition.
Columns hold NULLs, come in one batch, in many, and in none.
"""
import itertools

import pytest
from support import ratchet
from support.outcome import difference, outcome_of

VALUES = {
    "TINYINT": ["-128Y", "-1Y", "0Y", "1Y", "127Y", "NULL"],
    "INT": ["-2147483648", "-1", "0", "1", "7", "2147483647", "NULL"],
    "BIGINT": ["-9223372036854775808L", "-1L", "0L", "1L", "4294967296L", "9223372036854775807L", "NULL"],
    "DOUBLE": ["double('NaN')", "double('-Infinity')", "-1.5D", "-0.0D", "0.0D", "4.9E-324D", "1.5D", "1E300D", "NULL"],
    "FLOAT": ["float('NaN')", "float('Infinity')", "-0.0F", "0.1F", "3.4028234E38F", "1.0E10F", "NULL"],
    "DECIMAL(10, 2)": ["-99999999.99BD", "-0.01BD", "0.00BD", "0.05BD", "2.50BD", "99999999.99BD", "NULL"],
    "DECIMAL(38, 18)": ["-99999999999999999999.999999999999999999BD", "0BD", "0.000000000000000001BD", "1.5BD", "NULL"],
    "STRING": ["''", "' 12 '", "'1e3'", "'-0'", "'NaN'", "'true'", "'2020-02-30'", "'2020-02-29 23:59:59.999999'", "'é𝄞'", "NULL"],
    "DATE": ["DATE'0001-01-01'", "DATE'1582-10-15'", "DATE'1970-01-01'", "DATE'2020-02-29'", "DATE'9999-12-31'", "NULL"],
    "TIMESTAMP": ["TIMESTAMP'0001-01-01 00:00:00'", "TIMESTAMP'1969-12-31 23:59:59.999999'", "TIMESTAMP'2020-02-29 12:00:00'", "NULL"],
    "BOOLEAN": ["true", "false", "NULL"],
}
NUMBERS = ["TINYINT", "INT", "BIGINT", "DOUBLE", "FLOAT", "DECIMAL(10, 2)", "DECIMAL(38, 18)"]
UNARY = {
    **{t: ["-v", "abs(v)", "sign(v)", "round(v, 1)", "bround(v, -1)", "ceil(v)", "floor(v)", "sqrt(v)", "hash(v)", "xxhash64(v)"] for t in NUMBERS},
    "STRING": ["length(v)", "upper(v)", "reverse(v)", "trim(v)", "substring(v, -3, 2)", "initcap(v)", "hex(v)", "md5(v)", "hash(v)", "v LIKE '%2%'"],
    "DATE": ["year(v)", "dayofweek(v)", "weekofyear(v)", "last_day(v)", "add_months(v, 1)", "date_add(v, 1)", "trunc(v, 'MM')", "hash(v)", "date_format(v, 'y-MM-dd E')"],
    "TIMESTAMP": ["hour(v)", "date_trunc('HOUR', v)", "unix_micros(v)", "v + INTERVAL 1 MONTH", "hash(v)", "date_format(v, 'yyyy-MM-dd HH:mm:ss.SSSSSS')"],
    "BOOLEAN": ["NOT v", "v AND NULL", "v OR NULL", "hash(v)"],
}
BINARY = ["a + b", "a - b", "a * b", "a / b", "a % b", "a div b", "pmod(a, b)", "a < b", "a <=> b", "greatest(a, b)", "nullif(a, b)"]


def table(types):
    """All combinations of the values, as a relation with the columns of `types`."""
    rows = ", ".join("(" + ", ".join(row) + ")" for row in itertools.product(*(VALUES[t] for t in types.values())))
    names = ", ".join(types)
    casts = ", ".join(f"CAST({name} AS {data_type}) AS {name}" for name, data_type in types.items())
    return f"(SELECT {casts} FROM VALUES {rows} AS t({names}))"


def compare(suite, scope, statements, spark, reference_spark):
    passed, failed = [], {}
    for case, statement in statements:
        expected = outcome_of(lambda: reference_spark.sql(statement))
        why = difference(expected, outcome_of(lambda: spark.sql(statement)), ordered=False)
        if why is None:
            passed.append(case)
        else:
            failed[case] = f"{statement[:200]}\n  {why[:1500]}"
            print(f"\n{case}: {failed[case]}")
    ratchet.check(suite, passed, failed, scope=scope)


@pytest.fixture
def without_ansi(spark, reference_spark):
    for session in (spark, reference_spark):
        session.conf.set("spark.sql.ansi.enabled", "false")


@pytest.mark.parametrize("data_type", UNARY)
def test_unary(data_type, spark, reference_spark, without_ansi):
    source = table({"v": data_type})
    statements = [(f"unary {data_type}: {text}", f"SELECT v, {text} AS r FROM {source}") for text in UNARY[data_type]]
    compare("properties", f"unary {data_type}: ", statements, spark, reference_spark)


@pytest.mark.parametrize("data_type", VALUES)
def test_casts(data_type, spark, reference_spark, without_ansi):
    source = table({"v": data_type})
    statements = [
        (f"cast {data_type}: {to}", f"SELECT v, CAST(v AS {to}) AS r, TRY_CAST(v AS {to}) AS t FROM {source}")
        for to in [*VALUES, "BINARY", "SMALLINT", "TIMESTAMP_NTZ"]
    ]
    compare("properties", f"cast {data_type}: ", statements, spark, reference_spark)


@pytest.mark.parametrize("types", itertools.product(NUMBERS, NUMBERS), ids=" and ".join)
def test_binary(types, spark, reference_spark, without_ansi):
    scope = f"binary {' and '.join(types)}: "
    source = table(dict(zip("ab", types)))
    statements = [(scope + text, f"SELECT a, b, {text} AS r FROM {source}") for text in BINARY]
    compare("properties", scope, statements, spark, reference_spark)


@pytest.mark.parametrize("data_type", ["INT", "BIGINT", "DECIMAL(10, 2)", "STRING", "DATE"])
def test_ansi_errors(data_type, spark, reference_spark):
    texts = [f"CAST(v AS {to})" for to in ("TINYINT", "INT", "DATE", "DECIMAL(3, 1)", "BOOLEAN")]
    texts += [] if data_type in ("STRING", "DATE") else ["-v", "v * v", "v + v", "1 / v", "abs(v)"]
    statements = [
        (f"ansi {data_type}: {text} of {value}", f"SELECT {text} FROM (SELECT CAST({value} AS {data_type}) AS v)")
        for value, text in itertools.product(VALUES[data_type], texts)
    ]
    compare("properties", f"ansi {data_type}: ", statements, spark, reference_spark)


@pytest.mark.parametrize("rows", [0, 1, 100_000])
def test_batches(rows, spark, reference_spark):
    """Nothing depends on how rows are cut into batches."""
    texts = ["sum(v)", "count(s)", "max(s)", "avg(v % 7)", "collect_set(v % 3)", "max(array(v, NULL))", "sum(size(split(s, '1')))"]
    source = f"(SELECT id AS v, CASE WHEN id % 5 <> 0 THEN CAST(id AS STRING) END AS s FROM range(0, {rows}, 1, 7))"
    statements = [(f"batches {rows}: {text}", f"SELECT sort_array(array({text})) FROM {source}") for text in texts]
    compare("properties", f"batches {rows}: ", statements, spark, reference_spark)
