"""Tables that Hudi's own writer makes, on a Spark that it runs with."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from . import clients
from .jars import fetched

SPARK, VERSION = "3.5", "1.0.2"
PROGRAMS = pathlib.Path(__file__).parent.parent / "clients"


def bundle():
    """Hudi for Spark."""
    return fetched("org.apache.hudi", f"hudi-spark{SPARK}-bundle_2.12", VERSION)


def _environment():
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    return kept | {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost", "TZ": "UTC"}


class Session:
    """Spark with Hudi, which writes and reads tables as a test asks it to."""

    def __init__(self, log):
        if not clients.runs_here(SPARK):
            pytest.skip(f"pyspark {SPARK} does not run on this Python")
        command = [clients.environment(SPARK), PROGRAMS / "hudi_session.py", bundle()]
        self.log = pathlib.Path(log)
        with open(self.log, "wb") as output:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=output, text=True, env=_environment(), start_new_session=True
            )
        self._answer()

    def _answer(self):
        # Log lines may come in between.
        for line in self.process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["answer"]
        raise RuntimeError(self.log.read_text(errors="replace")[-3000:])

    def _ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def write(self, query, path, options, mode="append"):
        self._ask(do="write", query=query, path=str(path), options=options, mode=mode)

    def rows(self, path, columns="*", **options):
        return self._ask(do="rows", path=str(path), options=options, columns=columns)["rows"]

    def schema(self, path):
        return self._ask(do="rows", path=str(path), options={}, columns="*")["schema"]

    def sql(self, statement):
        return self._ask(do="sql", statement=statement)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def write_tables(folder, kind="tables"):
    """Tables below `folder`; by name: path, instants, and what Spark read of each. `kind`: of the program that writes them."""
    if not clients.runs_here(SPARK):
        pytest.skip(f"pyspark {SPARK} does not run on this Python")
    command = [clients.environment(SPARK), PROGRAMS / f"hudi_{kind}.py", bundle(), folder]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=_environment())
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads((pathlib.Path(folder) / f"{kind}.json").read_text())


def copy_of(table, folder):
    """A table to change by hand: without the checksums that Hadoop keeps beside files."""
    return pathlib.Path(shutil.copytree(table, folder, ignore=shutil.ignore_patterns("*.crc")))
