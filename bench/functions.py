"""One query per family of functions over 10 million rows: Firesteel beside DuckDB and real Spark.

    make bench-functions                                     all families
    python bench/functions.py --binary PATH --only decimal   families whose name holds a word

A family is several functions in one SELECT over the same Parquet file (1 file, one column per type). Each result goes
through an aggregate, so that every value is computed and one row is returned. `base` is a query that only reads the
columns: what a family costs above it is the function's own time. Writes bench/functions.md.
"""
import argparse
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
import beside  # noqa: E402
from support import servers  # noqa: E402

# Texts are different in every row, so that no engine can compute once for all equal ones. Columns: i INT, l BIGINT, d DOUBLE, m DECIMAL(12,2), s STRING (about 20 characters), w STRING (one of 1,000 words),
# day DATE, at TIMESTAMP, a ARRAY<INT> of 5, j STRING of JSON, n INT with a third NULL.
MAKE = """
COPY (
  SELECT i::INT AS i, (i * 7919) % 1000003 AS l, sqrt(i) - 1500 AS d, ((i * 37) % 100000000 / 100)::DECIMAL(12, 2) AS m,
    'Row ' || i || ' of ' || (i * 31) % 977 || ' Rows' AS s, 'word' || (i * 13) % 1000 AS w,
    DATE '1992-01-01' + ((i * 17) % 10000)::INT AS day, TIMESTAMP '2001-02-03 04:05:06' + to_seconds((i * 101) % 500000000) AS "at",
    [i % 7, i % 5, i % 11, i % 3, i % 13]::INT[] AS a, '{{"id":' || i || ',"name":"n' || i % 100 || '"}}' AS j,
    CASE WHEN i % 3 = 0 THEN NULL ELSE (i % 1000)::INT END AS n
  FROM range({rows}) t(i)
) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 500000)
"""

# Family: (Spark's expressions, DuckDB's). One number, date or text per row from each; `max` is put around it.
FAMILIES = {
    "arithmetic": ("i + l, i * 3 - n, l % 97, l div 7, abs(d) / 3", "i + l, i * 3 - n, l % 97, l // 7, abs(d) / 3"),
    "decimal": ("m + m, m * CAST(1.07 AS DECIMAL(3,2)), m * (1 - CAST(0.05 AS DECIMAL(3,2))), m / 3",
                "m + m, m * 1.07::DECIMAL(3,2), m * (1 - 0.05::DECIMAL(3,2)), m / 3"),
    "math": ("sqrt(l), exp(d / 1e4), ln(l + 1), sin(d), pow(d, 2), round(d, 2), floor(d), atan2(d, i)",
             "sqrt(l), exp(d / 1e4), ln(l + 1), sin(d), pow(d, 2), round(d, 2), floor(d), atan2(d, i)"),
    "bitwise": ("i & 255, i | 7, i ^ 3, shiftleft(i, 2), bit_count(l)", "i & 255, i | 7, xor(i, 3), (i::BIGINT << 2), bit_count(l)"),
    "comparison": ("i > n, greatest(i, n), least(l, i), i BETWEEN 5 AND 100000, w IN ('word1', 'word2', 'word3')",
                   "i > n, greatest(i, n), least(l, i), i BETWEEN 5 AND 100000, w IN ('word1', 'word2', 'word3')"),
    "conditional": ("coalesce(n, 0), CASE WHEN n > 500 THEN 'a' WHEN n > 100 THEN 'b' ELSE w END, if(i > 10, l, n), nullif(n, 5), nvl2(n, 1, 2)",
                    "coalesce(n, 0), CASE WHEN n > 500 THEN 'a' WHEN n > 100 THEN 'b' ELSE w END, if(i > 10, l, n), nullif(n, 5), CASE WHEN n IS NOT NULL THEN 1 ELSE 2 END"),
    "cast number": ("CAST(i AS STRING), CAST(d AS INT), CAST(m AS DOUBLE), CAST(l AS DECIMAL(20,2))",
                    "CAST(i AS VARCHAR), CAST(d AS INT), CAST(m AS DOUBLE), CAST(l AS DECIMAL(20,2))"),
    "cast text": ("CAST(substr(w, 5) AS INT), CAST(CAST(day AS STRING) AS DATE), CAST(at AS STRING)",
                  "CAST(substr(w, 5) AS INT), CAST(CAST(day AS VARCHAR) AS DATE), CAST(\"at\" AS VARCHAR)"),
    "string": ("length(s), upper(s), substr(s, 3, 7), concat(w, '-', s), trim(s), replace(s, 'Row', 'Line'), lpad(s, 30, '0'), reverse(s)",
               "length(s), upper(s), substr(s, 3, 7), concat(w, '-', s), trim(s), replace(s, 'Row', 'Line'), lpad(s, 30, '0'), reverse(s)"),
    "search": ("instr(s, 'of'), s LIKE '%77%', startswith(s, 'Row 1'), contains(s, '99'), split_part(s, ' ', 2), locate('R', s, 3)",
               "instr(s, 'of'), s LIKE '%77%', starts_with(s, 'Row 1'), contains(s, '99'), split_part(s, ' ', 2), instr(substr(s, 3), 'R')"),
    "regexp": ("regexp_extract(s, '([0-9]+) of', 1), s RLIKE '7+ of', regexp_replace(s, '[0-9]+ of', '#')",
               "regexp_extract(s, '([0-9]+) of', 1), regexp_matches(s, '7+ of'), regexp_replace(s, '[0-9]+ of', '#')"),
    "date": ("year(day), month(day), dayofweek(day), date_add(day, 3), datediff(day, DATE'2000-01-01'), last_day(day), trunc(day, 'MM'), add_months(day, 2)",
             "year(day), month(day), dayofweek(day), day + 3, datediff('day', DATE '2000-01-01', day), last_day(day), date_trunc('month', day), day + INTERVAL 2 MONTH"),
    "timestamp": ("hour(at), date_trunc('HOUR', at), unix_timestamp(at), at + INTERVAL '1' DAY, to_date(at)",
                  "hour(\"at\"), date_trunc('hour', \"at\"), epoch(\"at\"), \"at\" + INTERVAL 1 DAY, CAST(\"at\" AS DATE)"),
    "date format": ("date_format(at, 'yyyy-MM-dd HH:mm'), to_date(CAST(day AS STRING), 'yyyy-MM-dd')",
                    "strftime(\"at\", '%Y-%m-%d %H:%M'), strptime(CAST(day AS VARCHAR), '%Y-%m-%d')"),
    "json": ("get_json_object(j, '$.id'), get_json_object(j, '$.name')", "json_extract_string(j, '$.id'), json_extract_string(j, '$.name')"),
    "hash": ("md5(s), sha2(s, 256), hash(i)", "md5(s), sha256(s), hash(i)"),
    "encode": ("hex(s), base64(CAST(s AS BINARY)), unhex(hex(s))", "hex(s), base64(s::BLOB), unhex(hex(s))"),
    "array": ("size(a), array_contains(a, 7), a[2], array_max(a), element_at(a, 1), array_join(transform(a, x -> CAST(x AS STRING)), ',')",
              "len(a), list_contains(a, 7), a[3], list_max(a), a[1], array_to_string(list_transform(a, lambda x: x::VARCHAR), ',')"),
    "array order": ("array_sort(a)[0], array_distinct(a)[0], size(flatten(array(a, a)))", "list_sort(a)[1], list_distinct(a)[1], len(flatten([a, a]))"),
    "higher-order": ("aggregate(a, 0, (x, y) -> x + y), size(filter(a, x -> x > 3)), exists(a, x -> x = 6)",
                     "list_reduce(a, lambda x, y: x + y), len(list_filter(a, lambda x: x > 3)), list_bool_or(list_transform(a, lambda x: x = 6))"),
    "map, struct": ("map(w, i)[w], named_struct('x', i, 'y', w).y, size(map_keys(map('a', i, 'b', n)))",
                    "map([w], [i])[w], struct_pack(x := i, y := w).y, len(map_keys(map(['a', 'b'], [i, n])))"),
}
# Whole queries, where the family is not a value per row.
QUERIES = {
    "aggregate": ("SELECT sum(i), avg(d), min(s), max(l), count(n), stddev(d), sum(m), avg(m) FROM t",
                  "SELECT sum(i), avg(d), min(s), max(l), count(n), stddev(d), sum(m), avg(m) FROM t"),
    "group by text": ("SELECT max(x) FROM (SELECT w, sum(m) x, avg(d), count(*) FROM t GROUP BY w)",
                      "SELECT max(x) FROM (SELECT w, sum(m) x, avg(d), count(*) FROM t GROUP BY w)"),
    "group by many": ("SELECT max(x) FROM (SELECT l, sum(i) x, min(d) FROM t GROUP BY l)",
                      "SELECT max(x) FROM (SELECT l, sum(i) x, min(d) FROM t GROUP BY l)"),
    "distinct": ("SELECT count(DISTINCT w), count(DISTINCT l) FROM t", "SELECT count(DISTINCT w), count(DISTINCT l) FROM t"),
    "approximate": ("SELECT approx_count_distinct(l), percentile_approx(d, 0.5) FROM t", "SELECT approx_count_distinct(l), approx_quantile(d, 0.5) FROM t"),
    "window": ("SELECT max(x), max(y) FROM (SELECT row_number() OVER (PARTITION BY w ORDER BY l) x, sum(i) OVER (PARTITION BY w ORDER BY l) y FROM t)",
               "SELECT max(x), max(y) FROM (SELECT row_number() OVER (PARTITION BY w ORDER BY l) x, sum(i) OVER (PARTITION BY w ORDER BY l) y FROM t)"),
    "collect": ("SELECT max(size(x)) FROM (SELECT w, collect_list(i) x FROM t GROUP BY w)", "SELECT max(len(x)) FROM (SELECT w, list(i) x FROM t GROUP BY w)"),
    "generator": ("SELECT sum(x) FROM (SELECT explode(a) x FROM t)", "SELECT sum(x) FROM (SELECT unnest(a) x FROM t)"),
    "sort": ("SELECT max(i) FROM (SELECT i FROM t ORDER BY s, d LIMIT 100)", "SELECT max(i) FROM (SELECT i FROM t ORDER BY s, d LIMIT 100)"),
}


def split(expressions):
    """The expressions of a list that is separated by commas outside of brackets and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for at, character in enumerate(expressions):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character in "([") - (character in ")]")
            if character == "," and depth == 0:
                parts.append(expressions[start:at].strip())
                start = at + 1
    return [*parts, expressions[start:].strip()]


def queries(only):
    """(family, Spark's text, DuckDB's text)."""
    of_rows = {
        family: tuple("SELECT " + ", ".join(f"max({e})" for e in split(text)) + " FROM t" for text in texts)
        for family, texts in FAMILIES.items()
    }
    return {family: texts for family, texts in {**of_rows, **QUERIES}.items() if only in family}


def best(run, text, repeat):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run(text)
        times.append(time.perf_counter() - start)
    return min(times)


def measure(run, texts, repeat, name):
    found = {}
    for family, text in texts.items():
        try:
            found[family] = best(run, text, repeat)
            print(f"  {name} {family}: {found[family]:.2f}", flush=True)
        except Exception as error:  # noqa: BLE001 - a failure is a result
            print(f"  {name} {family}: {str(error)[:300]}", flush=True)
    return found


def over_connect(start, path, texts, repeat, name):
    server = start()
    try:
        session = servers.connect(server.remote)
        session.read.parquet(str(path)).createOrReplaceTempView("t")
        return measure(lambda text: session.sql(text).collect(), texts, repeat, name)
    finally:
        server.close()


def over_duckdb(path, texts, repeat):
    import duckdb

    database = duckdb.connect()
    database.execute(f"CREATE VIEW t AS SELECT * FROM '{path}'")
    return measure(lambda text: database.execute(text).fetchall(), texts, repeat, "duckdb")


def make_data(rows):
    import duckdb

    path = pathlib.Path.home() / ".cache" / "firesteel" / f"functions-{rows}.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".part")
        duckdb.connect().execute(MAKE.format(rows=rows, path=fresh))
        fresh.rename(path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the firesteel binary")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--only", default="", help="families whose name holds this; bench/functions.md stays as it is")
    parser.add_argument("--engines", default="firesteel,duckdb,spark")
    options = parser.parse_args()
    if options.binary:
        os.environ["FIRESTEEL_BINARY"] = options.binary
    path = make_data(options.rows)
    both = queries(options.only)
    ours = {family: texts[0] for family, texts in both.items()}
    theirs = {family: texts[1] for family, texts in both.items()}
    engines = {
        "firesteel": lambda: over_connect(servers.start_firesteel, path, ours, options.repeat, "firesteel"),
        "duckdb": lambda: over_duckdb(path, theirs, options.repeat),
        "spark": lambda: over_connect(lambda: servers.start_spark({"spark.driver.memory": "4g"}), path, ours, options.repeat, "spark"),
    }
    results = {name: engines[name]() for name in options.engines.split(",")}
    about = f"Made by `make bench-functions`: seconds for one query of each family over {options.rows:,} rows, best of {options.repeat}"
    text = beside.page("Functions", about, "family", results, ours)
    print(text)
    if not options.only:
        (HERE / "functions.md").write_text(text)


if __name__ == "__main__":
    main()
