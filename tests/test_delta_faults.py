"""Servers that are killed while they write a Delta table."""
import json
import pathlib
import subprocess
import sys

import deltalake
from support import servers

WRITERS = pathlib.Path(__file__).resolve().parent.parent / "bench" / "delta_writers.py"


def test_killed_writers_lose_and_repeat_nothing(tmp_path):
    path = str(tmp_path / "table")
    # A process of its own: the sessions of a killed server would stay the client's active ones.
    options = ["--table", path, "--binary", str(servers.binary()), "--seconds", "20", "--writers", "6", "--kill-every", "3"]
    run = subprocess.run([sys.executable, str(WRITERS), *options], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-4000:]
    done = json.loads(run.stdout)
    assert done["faults"] == 0 and done["kills"] >= 2 and sum(done["statements"].values()) > 20, done
    assert deltalake.DeltaTable(path).to_pyarrow_table().num_rows == done["rows"]
