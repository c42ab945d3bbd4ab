"""Older clients, each in an environment of its own, run a small program against this server."""
import os
import pathlib
import subprocess
import sys
import venv

import pytest

CACHE = pathlib.Path(os.environ.get("FIRESTEEL_CACHE", pathlib.Path.home() / ".cache" / "firesteel")) / "clients"
CLIENTS = {
    "3.5": ["pyspark[connect]==3.5.*", "pandas<2.3", "numpy<2", "pyarrow<19", "setuptools<80"],
    "4.0": ["pyspark-client==4.0.*", "pandas<2.3", "pyarrow<22"],
    "4.1": ["pyspark-client==4.1.*", "pandas<3", "pyarrow<24"],
}
PROGRAM = pathlib.Path(__file__).parent / "clients" / "smoke.py"


def environment(name):
    """The Python of an environment that holds the client; made once for a list of packages."""
    folder = CACHE / name
    python, done = folder / "bin" / "python", folder / ".complete"
    packages = "\n".join(CLIENTS[name])
    if not done.exists() or done.read_text() != packages:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *CLIENTS[name]], check=True)
        done.write_text(packages)
    return python


@pytest.mark.parametrize("name", CLIENTS)
def test_old_client(name, firesteel):
    if sys.version_info >= (3, 12) and name == "3.5":
        pytest.skip("pyspark 3.5 does not run on this Python")
    run = subprocess.run([environment(name), PROGRAM, firesteel], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip().endswith("all well")
