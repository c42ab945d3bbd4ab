"""Delta tables on one machine, in one run: Firesteel, real Spark with delta-spark, and PyPI's `deltalake`.

    make bench-delta                                all of it: 20 million rows, 1 million changed
    python bench/delta.py --rows 2000000 --engines firesteel,deltalake

Each engine gets a copy of the same table and does the same to it: MERGE of a twentieth of its rows (half of them new), UPDATE
of one row in a hundred, OPTIMIZE ZORDER BY, then a query for one row in a hundred. The last line is a query over a table of 10,000
files, of which it needs one, in a server that has just started. Writes bench/delta.md.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
import beside  # noqa: E402
from support import servers  # noqa: E402
from test_delta_interop import DELTA  # noqa: E402

FILES = 10_000
ROWS_OF_A_FILE = 100
SEED = "SELECT i::BIGINT AS id, (i * 7919 % 1000003)::BIGINT AS k, i % 1000 AS g, (i % 9973) / 7.0 AS v, 'name ' || (i % 100000) AS s"

MERGE = """MERGE INTO delta.`{t}` t USING parquet.`{changes}` s ON t.id = s.id
           WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"""
UPDATE = "UPDATE delta.`{t}` SET v = v + 1 WHERE g BETWEEN 10 AND 19"
OPTIMIZE = "OPTIMIZE delta.`{t}` ZORDER BY (k, g)"
QUERY = "SELECT count(*), sum(v) FROM delta.`{t}` WHERE k BETWEEN 500000 AND 510000"
MANY = "SELECT count(*), sum(v) FROM delta.`{many}` WHERE id BETWEEN 424210 AND 424250"


def make_table(rows, folder):
    """The table that each engine starts with, and the rows to merge."""
    import deltalake
    import duckdb

    table, changes = folder / "table", folder / "changes.parquet"
    if changes.exists():
        return table, changes
    database = duckdb.connect()
    step = max(rows // 20, 1)
    for start in range(0, rows, step):
        batch = database.execute(f"{SEED} FROM range({start}, {min(start + step, rows)}) t(i)").to_arrow_table()
        deltalake.write_deltalake(str(table), batch, mode="append")
    half = max(rows // 40, 1)
    database.execute(
        f"COPY ({SEED} FROM (SELECT i * {rows // half} AS i FROM range({half}) t(i)"
        f" UNION ALL SELECT {rows} + i FROM range({half}) t(i))) TO '{changes}.part' (FORMAT parquet)"
    )
    pathlib.Path(f"{changes}.part").rename(changes)
    return table, changes


def make_many(folder):
    """A table of many small files, with their statistics in its log."""
    import pyarrow
    import pyarrow.parquet

    table = folder / "many"
    log = table / "_delta_log" / f"{0:020}.json"
    if log.exists():
        return table
    log.parent.mkdir(parents=True, exist_ok=True)
    fields = [{"name": n, "type": t, "nullable": True, "metadata": {}} for n, t in (("id", "long"), ("v", "double"))]
    metadata = {
        "id": "00000000-0000-4000-8000-000000000000",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": 0,
    }
    actions = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]
    for number in range(FILES):
        first = number * ROWS_OF_A_FILE
        ids = list(range(first, first + ROWS_OF_A_FILE))
        name = f"part-{number:05}.parquet"
        rows = pyarrow.table({"id": pyarrow.array(ids, pyarrow.int64()), "v": pyarrow.array([i / 2 for i in ids])})
        pyarrow.parquet.write_table(rows, table / name)
        bounds = {"id": first}, {"id": ids[-1]}
        statistics = {"numRecords": len(ids), "minValues": bounds[0], "maxValues": bounds[1], "nullCount": {"id": 0, "v": 0}}
        size = (table / name).stat().st_size
        add = {"path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True}
        actions.append({"add": {**add, "stats": json.dumps(statistics)}})
    log.with_suffix(".part").write_text("\n".join(map(json.dumps, actions)) + "\n")
    log.with_suffix(".part").rename(log)
    return table


def timed(times, name, run):
    start = time.perf_counter()
    answer = run()
    times[name] = time.perf_counter() - start
    print(f"  {name}: {times[name]:.2f} s {answer if answer is not None else ''}", flush=True)


def over_connect(start, places):
    times = {}
    server = start()
    try:
        session = servers.connect(server.remote)

        def run(text):
            return [tuple(row) for row in session.sql(text.format(**places)).collect()]

        run("SELECT 1")
        timed(times, "merge", lambda: run(MERGE))
        timed(times, "update", lambda: run(UPDATE))
        timed(times, "optimize", lambda: len(run(OPTIMIZE)))
        timed(times, "query after Z-order", lambda: run(QUERY))
    finally:
        server.close()
    server = start()
    try:
        session = servers.connect(server.remote)
        session.sql("SELECT 1").collect()
        timed(times, "10,000 files, cold", lambda: session.sql(MANY.format(**places)).collect())
        timed(times, "10,000 files, again", lambda: session.sql(MANY.format(**places)).collect())
    finally:
        server.close()
    return times


def over_deltalake(places):
    import deltalake
    import pyarrow.dataset
    import pyarrow.parquet
    from pyarrow import compute

    times = {}

    def merge():
        source = pyarrow.parquet.read_table(places["changes"])
        table = deltalake.DeltaTable(places["t"])
        merger = table.merge(source, "t.id = s.id", source_alias="s", target_alias="t")
        merger.when_matched_update_all().when_not_matched_insert_all().execute()

    def rows_of(path, column, low, high):
        wanted = (pyarrow.dataset.field(column) >= low) & (pyarrow.dataset.field(column) <= high)
        found = deltalake.DeltaTable(path).to_pyarrow_dataset().to_table(columns=["v"], filter=wanted)
        return [(found.num_rows, compute.sum(found["v"]).as_py())]

    timed(times, "merge", merge)
    timed(times, "update", lambda: deltalake.DeltaTable(places["t"]).update({"v": "v + 1"}, predicate="g BETWEEN 10 AND 19") and None)
    timed(times, "optimize", lambda: deltalake.DeltaTable(places["t"]).optimize.z_order(["k", "g"])["numFilesAdded"])
    timed(times, "query after Z-order", lambda: rows_of(places["t"], "k", 500000, 510000))
    timed(times, "10,000 files, cold", lambda: rows_of(places["many"], "id", 424210, 424250))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the firesteel binary")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--engines", default="firesteel,deltalake,spark")
    parser.add_argument("--output", help="where the table goes; bench/delta.md for a whole run")
    options = parser.parse_args()
    if options.binary:
        os.environ["FIRESTEEL_BINARY"] = options.binary
    cache = pathlib.Path.home() / ".cache" / "firesteel" / f"delta-{options.rows}"
    cache.mkdir(parents=True, exist_ok=True)
    table, changes = make_table(options.rows, cache)
    many = make_many(cache)
    engines = {
        "firesteel": lambda places: over_connect(servers.start_firesteel, places),
        "deltalake": over_deltalake,
        "spark": lambda places: over_connect(lambda: servers.start_spark({**DELTA, "spark.driver.memory": "6g"}), places),
    }
    results = {}
    for name in options.engines.split(","):
        print(name, flush=True)
        with tempfile.TemporaryDirectory(prefix="firesteel-delta-") as folder:
            copy = pathlib.Path(folder) / "table"
            shutil.copytree(table, copy)
            results[name] = engines[name]({"t": str(copy), "changes": str(changes), "many": str(many)})
    about = f"Made by `make bench-delta`: seconds, {options.rows:,} rows, one run"
    text = beside.page("Delta Lake", about, "", results, results[next(iter(results))])
    print(text)
    output = options.output or (HERE / "delta.md" if len(results) == len(engines) and options.rows == 20_000_000 else None)
    if output:
        pathlib.Path(output).write_text(text)


if __name__ == "__main__":
    main()
