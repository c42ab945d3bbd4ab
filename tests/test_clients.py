"""Older clients, each in an environment of its own, run a small program against this server."""
import pathlib
import subprocess

import pytest
from support.clients import CLIENTS, environment, runs_here

PROGRAM = pathlib.Path(__file__).parent / "clients" / "smoke.py"


@pytest.mark.parametrize("name", CLIENTS)
def test_old_client(name, firesteel):
    if not runs_here(name):
        pytest.skip("pyspark 3.5 does not run on this Python")
    run = subprocess.run([environment(name), PROGRAM, firesteel], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip().endswith("all well")
