"""TPC-H on one machine, in one run: Firesteel, real Spark, Sail, DuckDB and Polars.

    make bench                              all of them at scale 1
    python bench/tpch.py --engines firesteel,duckdb --scale 0.1

Each engine runs in a process of its own that is started for it and stopped by its id, reads the same Parquet files, and
runs every query `--repeat` times; the best time counts. Writes a table of times and of peak resident memory to
bench/README.md.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support import servers  # noqa: E402

TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]


def make_data(scale, folder):
    """Parquet files of all tables, and the 22 queries."""
    import duckdb
    import duckdb_extensions

    duckdb_extensions.import_extension("tpch")
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as database:
        database.execute("LOAD tpch")
        if not (folder / "complete").exists():
            database.execute(f"CALL dbgen(sf = {scale})")
            for table in TABLES:
                database.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet)")
            (folder / "complete").touch()
        queries = database.execute("SELECT query_nr, query FROM tpch_queries() ORDER BY 1").fetchall()
    return {number: text.strip().rstrip(";") for number, text in queries}


def timed(run, queries, repeat):
    """Best time of each query in seconds; None where it fails."""
    times = {}
    for number, text in queries.items():
        best = None
        for _ in range(repeat):
            start = time.perf_counter()
            try:
                run(text)
            except Exception as error:  # noqa: BLE001 - a failure is a result
                print(f"  query {number}: {str(error)[:200]}", flush=True)
                best = None
                break
            took = time.perf_counter() - start
            best = took if best is None else min(best, took)
        times[number] = best
    return times


def over_connect(remote, folder, queries, repeat):
    from pyspark.sql.connect.session import SparkSession

    session = SparkSession.builder.remote(remote).create()
    try:
        for table in TABLES:
            session.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
        return timed(lambda text: session.sql(text).collect(), queries, repeat)
    finally:
        session.stop()  # else the client looks for the stopped server when this process ends


def group_peak_bytes(server):
    """Peak memory of a server with the processes it started."""
    total = 0
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            pid = int(status.parent.name)
            if os.getpgid(pid) == server.process.pid:
                lines = status.read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        except OSError:
            continue
    return total


def served(start):
    def bench(folder, queries, repeat):
        server = start()
        try:
            return over_connect(server.remote, folder, queries, repeat), group_peak_bytes(server)
        finally:
            server.close()

    return bench


def start_sail():
    port = servers.free_port()
    sail = pathlib.Path(sys.executable).parent / "sail"
    server = servers.Server(lambda _: [str(sail), "spark", "server", "--ip", "127.0.0.1", "--port", str(port)])
    server.remote = f"sc://127.0.0.1:{port}"
    time.sleep(3)
    return server


def in_process(name):
    """DuckDB and Polars are libraries: they run in a child process of this file."""

    def bench(folder, queries, repeat):
        command = [sys.executable, __file__, "--child", name, "--data", str(folder), "--repeat", str(repeat)]
        run = subprocess.run(command, input=json.dumps(queries), capture_output=True, text=True, check=True)
        answer = json.loads(run.stdout.splitlines()[-1])
        return {int(number): seconds for number, seconds in answer["times"].items()}, answer["peak"]

    return bench


def child(name, folder, repeat):
    queries = {int(number): text for number, text in json.load(sys.stdin).items()}
    if name == "duckdb":
        import duckdb

        database = duckdb.connect()
        for table in TABLES:
            database.execute(f"CREATE VIEW {table} AS SELECT * FROM '{folder}/{table}.parquet'")
        times = timed(lambda text: database.execute(text).fetchall(), queries, repeat)
    else:
        import polars

        context = polars.SQLContext({table: polars.scan_parquet(f"{folder}/{table}.parquet") for table in TABLES})
        times = timed(lambda text: context.execute(text).collect(), queries, repeat)
    # Not getrusage: a child starts with the peak of the process that started it.
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"times": times, "peak": peak}))


ENGINES = {
    "firesteel": served(servers.start_firesteel),
    "spark": served(lambda: servers.start_spark({"spark.driver.memory": "4g"})),
    "sail": served(start_sail),
    "duckdb": in_process("duckdb"),
    "polars": in_process("polars"),
}


def report(results, queries, scale, repeat):
    names = list(results)
    total = {n: sum(t for t in results[n][0].values() if t is not None) for n in names}
    failed = {n: sum(t is None for t in results[n][0].values()) for n in names}
    cell = lambda seconds: "failed" if seconds is None else f"{seconds:.2f}"  # noqa: E731
    rows = [[f"Q{q}", *(cell(results[n][0].get(q)) for n in names)] for q in queries]
    rows.append(["**total, seconds**", *(f"**{total[n]:.1f}**" for n in names)])
    rows.append(["failed", *(str(failed[n]) for n in names)])
    rows.append(["peak memory, MB", *(f"{results[n][1] / 1e6:.0f}" for n in names)])
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`: TPC-H, each engine started alone on the same Parquet files, the best of "
        f"{repeat} runs of each query in seconds. Scale {scale}, {os.cpu_count()} cores, {platform.machine()}, "
        f"{time.strftime('%Y-%m-%d')}.",
        "",
        "| query | " + " | ".join(names) + " |",
        "|---|" + "--:|" * len(names),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    (HERE / "README.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the firesteel binary")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--data", type=pathlib.Path, help="folder to keep the data in")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.data, options.repeat)
    if options.binary:
        os.environ["FIRESTEEL_BINARY"] = options.binary
    folder = options.data or pathlib.Path.home() / ".cache" / "firesteel" / f"tpch-{options.scale:g}"
    queries = make_data(options.scale, folder)
    results = {}
    for name in options.engines.split(","):
        print(f"{name} …", flush=True)
        results[name] = ENGINES[name](folder, queries, options.repeat)
    report(results, queries, options.scale, options.repeat)


if __name__ == "__main__":
    main()
