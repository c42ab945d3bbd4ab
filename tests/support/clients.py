"""Environments with other versions of PySpark, each made once."""
import os
import pathlib
import subprocess
import sys
import venv

from .once import alone

CACHE = pathlib.Path(os.environ.get("FIRESTEEL_CACHE", pathlib.Path.home() / ".cache" / "firesteel")) / "clients"
CLIENTS = {
    "3.5": ["pyspark[connect]==3.5.*", "pandas<2.3", "numpy<2", "pyarrow<19", "setuptools<80"],
    "4.0": ["pyspark-client==4.0.*", "pandas<2.3", "pyarrow<22"],
    "4.1": ["pyspark-client==4.1.*", "pandas<3", "pyarrow<24"],
}


def runs_here(name):
    """PySpark 3.5 does not run on newer Pythons."""
    return sys.version_info < (3, 12) or name != "3.5"


def environment(name):
    """The Python of an environment that holds the client; made once for a list of packages."""
    folder = CACHE / name
    python, done = folder / "bin" / "python", folder / ".complete"
    packages = "\n".join(CLIENTS[name])
    with alone(folder):
        if not done.exists() or done.read_text() != packages:
            venv.create(folder, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *CLIENTS[name]], check=True)
            done.write_text(packages)
    return python
