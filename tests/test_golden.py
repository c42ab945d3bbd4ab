"""Spark's SQL golden files, where a checkout of them and their runner lies beside this repository (`../shared`)."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from support import ratchet, servers
from support.servers import ROOT

SHARED = pathlib.Path(os.environ.get("FIRESTEEL_SHARED", ROOT.parent / "shared"))
RUNNER = SHARED / "tools" / "sql_golden.py"


# A file that takes longer counts as failed: one that hangs must not stop the others.
FILE_SECONDS_MAX = 90


# What Spark's own test runs switch on, and a release leaves off: the files were written so.
GENERATED_WITH = {"spark.sql.timeType.enabled": "true"}


def run_file(name, folder):
    """The runner's results of one file; nothing where it did not end in time.

    Each file has a server of its own: they create tables of the same names, and a runaway hurts only itself.
    """
    out = folder / (name.replace("/", "__") + ".json")
    server = servers.start_firesteel(GENERATED_WITH)
    command = [sys.executable, str(RUNNER), "--tests", str(SHARED / "spark-golden"), "--remote", server.remote]
    command += ["--out", str(out), "--jobs", "1", "--budget", "60", "--only", f"^{re.escape(name)}$"]
    # The runner starts processes of its own: all of them end with it.
    runner = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        runner.wait(FILE_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()
    finally:
        server.close()
    return json.loads(out.read_text()) if out.exists() else {}


@pytest.mark.skipif(not RUNNER.exists(), reason=f"there is no {RUNNER}: the golden files are not in this repository")
def test_golden(tmp_path):
    inputs = SHARED / "spark-golden" / "inputs"
    names = sorted(str(path.relative_to(inputs)) for path in inputs.rglob("*.sql"))
    passed, failed = [], {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for results in pool.map(lambda name: run_file(name, tmp_path), names):
            for name, queries in results.items():
                for index, query in enumerate(queries):
                    case = f"{name} {index}"
                    if query["ok"]:
                        passed.append(case)
                    else:
                        failed[case] = f"{query.get('sql', '')[:200]}\n  {query.get('why', '')[:300]}"
    ratchet.check("golden", passed, failed)
