"""Spark's SQL golden files, where a checkout of them and their runner lies beside this repository (`../shared`)."""
import json
import os
import pathlib
import subprocess
import sys

import pytest
from support import ratchet
from support.servers import ROOT

SHARED = pathlib.Path(os.environ.get("FIRESTEEL_SHARED", ROOT.parent / "shared"))
RUNNER = SHARED / "tools" / "sql_golden.py"


@pytest.mark.skipif(not RUNNER.exists(), reason=f"there is no {RUNNER}: the golden files are not in this repository")
def test_golden(firesteel, tmp_path):
    out = tmp_path / "golden.json"
    command = [sys.executable, str(RUNNER), "--tests", str(SHARED / "spark-golden"), "--remote", firesteel]
    command += ["--out", str(out), "--jobs", "2", "--budget", "60"]
    with open(tmp_path / "log", "w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, timeout=1400)
    passed, failed = [], {}
    for name, queries in json.loads(out.read_text()).items():
        for index, query in enumerate(queries):
            case = f"{name} {index}"
            if query["ok"]:
                passed.append(case)
            else:
                failed[case] = f"{query.get('sql', '')[:200]}\n  {query.get('why', '')[:300]}"
    ratchet.check("golden", passed, failed)
