"""Tables that Hudi's own writer makes, on a Spark that it runs with."""
import json
import os
import pathlib
import subprocess

import pytest

from . import clients
from .jars import fetched

SPARK, VERSION = "3.5", "1.0.2"
PROGRAM = pathlib.Path(__file__).parent.parent / "clients" / "hudi_tables.py"


def bundle():
    """Hudi for Spark."""
    return fetched("org.apache.hudi", f"hudi-spark{SPARK}-bundle_2.12", VERSION)


def write_tables(folder):
    """Tables below `folder`; by name: path, instants, and what Spark read of each."""
    if not clients.runs_here(SPARK):
        pytest.skip(f"pyspark {SPARK} does not run on this Python")
    command = [clients.environment(SPARK), PROGRAM, bundle(), folder]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost", "TZ": "UTC"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads((pathlib.Path(folder) / "tables.json").read_text())
