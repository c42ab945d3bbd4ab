"""The REST API on one machine, in one run: Firesteel, and an application of FastAPI and DuckDB that does the same.

    make bench-rest                                  all of it: a dataset of 10 million rows
    python bench/rest.py --rows 1000000 --seconds 5

Point queries: 16 clients, each on its connection, ask for the row of a random `id` as JSON, over and over; warm. Streams: the
whole dataset once, as NDJSON and as Arrow, with the server's memory before and at its highest. Writes bench/rest.md.
"""
import argparse
import json
import os
import pathlib
import random
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time

import beside

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "python" / "src")]
from support import servers  # noqa: E402

CLIENTS = 16
FILES = 10
WARM_SECONDS = 3
BARS = {"p50_ms": 10, "p99_ms": 50, "times": 5, "growth_mb": 150, "arrow_mb_s": 300}
ROW = """i::BIGINT AS id, 'name ' || i AS name, (i % 100)::INT AS age, (i * 7919 % 1000003) / 7.0 AS value,
         DATE '2020-01-01' + (i % 2000)::INT AS day"""
# DuckDB's own size of a row group.
GROUP_ROWS = 122_880
REPEATING = ["age", "day"]

APPLICATION = '''
import os

import duckdb
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
database = duckdb.connect()
# What Parquet's footers say is kept between queries, as a server would have it, and the workers share the cores.
database.execute("SET parquet_metadata_cache = true")
database.execute(f"SET threads = {os.environ['THREADS']}")
database.execute(f"CREATE VIEW data AS SELECT * FROM read_parquet('{os.environ['DATASET']}/*.parquet')")


class Query(BaseModel):
    id: int


@app.post("/query")
def query(request: Query):
    found = database.cursor().execute("SELECT * FROM data WHERE id = ?", [request.id])
    names = [column[0] for column in found.description]
    return {"data": [dict(zip(names, row)) for row in found.fetchall()]}
'''


def make_dataset(rows):
    """Ten files as Spark writes them: with an index of their pages, and without a dictionary of values that do not repeat."""
    import duckdb
    import pyarrow.parquet

    folder = pathlib.Path.home() / ".cache" / "firesteel" / f"rest-as-spark-{rows}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        step = rows // FILES
        for number in range(FILES):
            table = duckdb.sql(f"SELECT {ROW} FROM range({number * step}, {(number + 1) * step}) t(i)").to_arrow_table()
            file = part / f"{number}.parquet"
            options = {"row_group_size": GROUP_ROWS, "use_dictionary": REPEATING, "write_page_index": True}
            pyarrow.parquet.write_table(table, file, **options)
        part.rename(folder)
    return folder


# Point queries


class Asker:
    """One connection that asks again and again. Little work, so that the servers are what is measured."""

    def __init__(self, address, request, rows):
        self.request, self.rows = request, rows
        self.connection = socket.create_connection(address)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self):
        self.wanted, self.received = random.randrange(self.rows), b""
        self.begun = time.perf_counter()
        self.connection.sendall(self.request(self.wanted))

    def answer(self):
        """The body, once all of it is here."""
        part = self.connection.recv(1 << 16)
        if not part:
            raise RuntimeError("the connection was closed")
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].split(None, 1)[0]):
            return None
        if head[9:12] != b"200":
            raise RuntimeError(self.received[:600].decode(errors="replace"))
        return body


def ask_for(seconds, askers):
    """Seconds of each answer, what was asked for and what came, and how long it all took."""
    times, answers, begun = [], [], time.perf_counter()
    until = begun + seconds
    with selectors.DefaultSelector() as selector:
        for asker in askers:
            selector.register(asker.connection, selectors.EVENT_READ, asker)
            asker.ask()
        while selector.get_map():
            for key, _ in selector.select():
                answer = key.data.answer()
                if answer is None:
                    continue
                now = time.perf_counter()
                times.append(now - key.data.begun)
                answers.append((key.data.wanted, answer))
                if now < until:
                    key.data.ask()
                else:
                    selector.unregister(key.fileobj)
    return times, answers, time.perf_counter() - begun


def post(path, body, accept="application/json"):
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAccept: {accept}\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def cpu_seconds(pid):
    """What a server and the processes that it has started have used of the processors."""
    ticks, parents = {}, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        parents[number], ticks[number] = int(fields[1]), int(fields[11]) + int(fields[12])
    tree, wanted = {pid}, 0
    while len(tree) > wanted:
        wanted = len(tree)
        tree |= {child for child, parent in parents.items() if parent in tree}
    return sum(ticks.get(number, 0) for number in tree) / os.sysconf("SC_CLK_TCK")


def point_queries(address, pid, request, rows, seconds):
    askers = [Asker(address, request, rows) for _ in range(CLIENTS)]
    ask_for(WARM_SECONDS, askers)
    before = cpu_seconds(pid)
    times, answers, took = ask_for(seconds, askers)
    used = cpu_seconds(pid) - before
    for asker in askers:
        asker.connection.close()
    for wanted, answer in answers:
        found = json.loads(answer)["data"]
        if len(found) != 1 or found[0]["id"] != wanted or found[0]["name"] != f"name {wanted}":
            raise RuntimeError(f"a wrong answer for {wanted}: {answer[:500]}")
    cuts = statistics.quantiles(times, n=100)
    rates = {"per_second": len(times) / took, "cpu_ms": used / len(times) * 1000}
    return {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000, **rates}


# Streams


class Memory(threading.Thread):
    """The highest resident memory of a process while this runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ended = pid, threading.Event()
        self.before = self.highest = self.now()

    def now(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def run(self):
        while not self.ended.wait(0.02):
            self.highest = max(self.highest, self.now())


def stream(address, pid, dataset, accept):
    """Bytes and seconds of one whole answer, and by how much the server grew."""
    memory = Memory(pid)
    memory.start()
    buffer, total, last = bytearray(1 << 20), 0, b""
    begun = time.perf_counter()
    with socket.create_connection(address) as connection:
        request = post("/v1/datasets/query", {"path": str(dataset)}, accept)
        connection.sendall(request.replace(b"Host:", b"Connection: close\r\nHost:"))
        while size := connection.recv_into(buffer):
            if total == 0 and not buffer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(bytes(buffer[:size]).decode(errors="replace"))
            total += size
            last = (last + bytes(buffer[max(0, size - 8) : size]))[-8:]
    took = time.perf_counter() - begun
    memory.ended.set()
    memory.join()
    if not last.endswith(b"0\r\n\r\n"):
        raise RuntimeError("the answer broke off")
    return {"mb": total / 1e6, "mb_s": total / 1e6 / took, "seconds": took, "growth_mb": (memory.highest - memory.before) / 1e6}


def with_firesteel(dataset, rows, seconds):
    import firesteel

    server = firesteel.EmbeddedServer()
    try:
        url = server.rest.removeprefix("http://")
        address = url.rsplit(":", 1)[0], int(url.rsplit(":", 1)[1])
        query = {"path": str(dataset)}
        request = lambda i: post("/v1/datasets/query", {**query, "filters": {"id": i}})  # noqa: E731
        points = point_queries(address, server.pid, request, rows, seconds)
        print("firesteel", points, flush=True)
        with firesteel.Client(server.rest) as client:
            arrived = sum(batch.num_rows for batch in client.dataset(str(dataset)).batches())
        if arrived != rows:
            raise RuntimeError(f"{arrived} of {rows} rows came")
        streams = {}
        for name, accept in (("NDJSON", "application/x-ndjson"), ("Arrow", "application/vnd.apache.arrow.stream")):
            streams[name] = stream(address, server.pid, dataset, accept)
            print(name, streams[name], flush=True)
        return points, streams
    finally:
        server.stop()


def with_application(dataset, rows, seconds, workers):
    folder = pathlib.Path(servers.tempfile.mkdtemp(prefix="firesteel-bench-"))
    (folder / "application.py").write_text(APPLICATION)
    port = servers.free_port()
    command = [sys.executable, "-m", "uvicorn", "application:app", "--port", str(port), "--workers", str(workers)]
    threads = max(1, (os.cpu_count() or 1) // workers)
    environment = {**os.environ, "DATASET": str(dataset), "THREADS": str(threads)}
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=folder, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.1)
        points = point_queries(("127.0.0.1", port), process.pid, lambda i: post("/query", {"id": i}), rows, seconds)
        print(f"FastAPI and DuckDB, {workers} workers", points, flush=True)
        return points
    finally:
        process.terminate()
        process.wait(30)
        servers.shutil.rmtree(folder, ignore_errors=True)


def verdict(value, bar, below=True):
    met = value < bar if below else value > bar
    return f"{'under' if below else 'over'} {bar:,}", "yes" if met else "no"


def report(rows, ours, theirs, streams):
    lines = [
        "# The REST API",
        "",
        f"Made by `make bench-rest`; {beside.MACHINE}, {time.strftime('%Y-%m-%d')}. The load's program runs on the same cores.",
        "",
        f"Point queries, `id` equals a random number, on {rows:,} rows in {FILES} Parquet files, warm, {CLIENTS} clients:",
        "",
        "| | p50, ms | p99, ms | requests a second | the server's CPU, ms a request |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, point in {"Firesteel": ours, **theirs}.items():
        figures = f"{point['p50_ms']:.1f} | {point['p99_ms']:.1f} | {point['per_second']:,.0f} | {point['cpu_ms']:.2f}"
        lines.append(f"| {name} | {figures} |")
    lines += ["", f"The {rows:,} rows, streamed:", ""]
    lines += ["| | MB | seconds | MB a second | memory grew by, MB |", "|---|--:|--:|--:|--:|"]
    for name, each in streams.items():
        lines.append(f"| {name} | {each['mb']:,.0f} | {each['seconds']:.1f} | {each['mb_s']:,.0f} | {each['growth_mb']:,.0f} |")
    best = max(point["per_second"] for point in theirs.values())
    bars = [("p50, ms", ours["p50_ms"], "p50_ms", True), ("p99, ms", ours["p99_ms"], "p99_ms", True)]
    bars += [("throughput / the better application", ours["per_second"] / best, "times", False)]
    bars += [(f"{name}: memory grew by, MB", each["growth_mb"], "growth_mb", True) for name, each in streams.items()]
    bars += [("Arrow, MB a second", streams["Arrow"]["mb_s"], "arrow_mb_s", False)]
    lines += ["", "| measured | value | bar | met |", "|---|--:|--:|---|"]
    for name, value, bar, below in bars:
        wanted, met = verdict(value, BARS[bar], below)
        lines.append(f"| {name} | {value:,.1f} | {wanted} | {met} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the firesteel binary")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--output", help="where the table goes; bench/rest.md for a whole run")
    options = parser.parse_args()
    os.environ["FIRESTEEL_BINARY"] = options.binary or str(servers.binary())
    dataset = make_dataset(options.rows)
    theirs = {}
    for workers in sorted({1, os.cpu_count() or 1}):
        name = f"FastAPI and DuckDB, {workers} worker{'s' if workers > 1 else ''}"
        theirs[name] = with_application(dataset, options.rows, options.seconds, workers)
    ours, streams = with_firesteel(dataset, options.rows, options.seconds)
    text = report(options.rows, ours, theirs, streams)
    print(text)
    if options.output or options.rows == 10_000_000:
        pathlib.Path(options.output or HERE / "rest.md").write_text(text)


if __name__ == "__main__":
    main()
