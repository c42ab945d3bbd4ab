"""TPC-H in little memory: seconds, CPU seconds and peak resident memory of every query, one after the other.

    python bench/memory.py --binary target/debug/firesteel --scale 10 --conf spark.driver.memory=1g
    python bench/memory.py --binary target/debug/firesteel --scale 1 --queries 18,21

The server is Firesteel, started for the run. The peak is the server's, counted anew for each query (Linux).
"""
import argparse
import os
import pathlib
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]
from support import servers  # noqa: E402
from tpch import TABLES, make_data  # noqa: E402


class Process:
    """What the kernel says of a process."""

    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")

    def forget_peak(self):
        (self.folder / "clear_refs").write_text("5")

    def megabytes(self, field):
        lines = (self.folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) // 1024

    def cpu_seconds(self):
        fields = (self.folder / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(session, process, queries, limit):
    seconds = cpu_seconds = peak = failed = 0
    for number, text in queries.items():
        process.forget_peak()
        before, start = process.cpu_seconds(), time.perf_counter()
        timer = threading.Timer(limit, session.interruptAll)
        timer.start()
        note = ""
        try:
            session.sql(text).collect()
        except Exception as error:  # noqa: BLE001 - a failure is a result
            failed += 1
            note = str(error)[:200].replace("\n", " ")
        timer.cancel()
        took, cpu = time.perf_counter() - start, process.cpu_seconds() - before
        most, rest = process.megabytes("VmHWM"), process.megabytes("VmRSS")
        seconds, cpu_seconds, peak = seconds + took, cpu_seconds + cpu, max(peak, most)
        print(f"Q{number}: {took:.2f} s, CPU {cpu:.2f} s, peak {most} MB, then {rest} MB {note}", flush=True)
    print(f"total: {seconds:.1f} s, CPU {cpu_seconds:.1f} s, peak {peak} MB, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the firesteel binary")
    parser.add_argument("--scale", type=float, default=10)
    parser.add_argument("--data", type=pathlib.Path, help="folder to keep the data in")
    parser.add_argument("--queries", help="numbers, with commas; all without it")
    parser.add_argument("--conf", action="append", default=[], help="key=value for the server")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a query is interrupted")
    options = parser.parse_args()
    if options.binary:
        os.environ["FIRESTEEL_BINARY"] = options.binary
    folder = options.data or pathlib.Path.home() / ".cache" / "firesteel" / f"tpch-{options.scale:g}"
    queries = make_data(options.scale, folder)
    if options.queries:
        queries = {number: queries[number] for number in map(int, options.queries.split(","))}
    server = servers.start_firesteel(dict(item.split("=", 1) for item in options.conf))
    try:
        session = servers.connect(server.remote)
        for table in TABLES:
            session.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
        return run(session, Process(server.process.pid), queries, options.limit)
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(bool(main()))
