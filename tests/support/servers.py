"""Starts and stops the two servers that the tests compare: Firesteel and real Spark.

Both speak Spark Connect, so one client (and one piece of code) asks both. A server is stopped by its process id; ports
are picked by the system.
"""
import atexit
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 120
STOP_SECONDS = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def binary():
    """The server's binary, as `make build` leaves it."""
    given = os.environ.get("FIRESTEEL_BINARY")
    if given:
        return pathlib.Path(given)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    return pathlib.Path(target) / "debug" / "firesteel"


class Server:
    """A process and the address it answers at."""

    def __init__(self, command, environment=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="firesteel-test-"))
        self.log = self.folder / "server.log"
        self.remote = None
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command(self.folder),
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, is_ready):
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the server did not start:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, characters=4000):
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def memory_bytes(self, field="VmRSS"):
        """Resident memory of the process; `VmHWM` for its peak."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self):
        if self.process.poll() is None:
            # The JVM runs under a launcher script: its whole process group is ours.
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_firesteel(configuration=(), data_directory=None, environment=None, http=False, arguments=()):
    """`http`: REST too, at `server.rest`. `arguments`: more of them, as a user writes them."""

    def command(folder):
        command = [str(binary()), "server", "--connect-port", "0", "--ready-file", str(folder / "ready.json")]
        command += ["--data-dir", str(data_directory or folder / "data")]
        if http:
            command += ["--http-port", "0"]
        for key, value in dict(configuration).items():
            command += ["--conf", f"{key}={value}"]
        return [*command, *arguments]

    server = Server(command, environment)
    ready = server.folder / "ready.json"
    server.wait_until(ready.exists)
    addresses = json.loads(ready.read_text())
    server.remote, server.rest = addresses["connect"], addresses.get("rest")
    return server


def start_spark(configuration=(), cores=2, home=None):
    """Real Spark from the installed `pyspark` package, or from that at `home`, as a Connect server."""
    import pyspark

    home = home or pathlib.Path(pyspark.__file__).parent
    port = free_port()

    def command(folder):
        settings = {
            "spark.connect.grpc.binding.port": port,
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": 2,
            "spark.sql.warehouse.dir": folder / "warehouse",
            "spark.sql.session.timeZone": "UTC",
            "spark.driver.memory": "2g",
            **dict(configuration),
        }
        arguments = [str(home / "bin" / "spark-submit"), "--master", f"local[{cores}]"]
        arguments += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
        for key, value in settings.items():
            arguments += ["--conf", f"{key}={value}"]
        return arguments

    def listens():
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    server = Server(command, {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"})
    server.wait_until(listens)
    server.remote = f"sc://127.0.0.1:{port}"
    return server


def connect(remote):
    """A session of its own."""
    from pyspark.sql.connect.session import SparkSession

    session = SparkSession.builder.remote(remote).create()
    # A client asks its server for a last favour when the process ends, and asks again for minutes where a test has killed it.
    atexit.unregister(session.client._on_exit)
    # Checkpoints are read with the active session: the first one, even when a test has killed its server.
    SparkSession._default_session = SparkSession._active_session.session = session
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session
