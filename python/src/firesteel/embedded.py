"""The server as a part of this program: started when it is needed, on free ports, and gone when the program is."""
from __future__ import annotations

import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping

from . import errors

START_SECONDS = 60.0
STOP_SECONDS = 30.0
GUARD = pathlib.Path(__file__).with_name("_guard.py")
NAME = "firesteel.exe" if os.name == "nt" else "firesteel"


def binary() -> str:
    """The server's program: `FIRESTEEL_BINARY`, the one that came with this package, or the one on the path."""
    given = os.environ.get("FIRESTEEL_BINARY")
    if given:
        if not os.access(given, os.X_OK) or os.path.isdir(given):
            raise errors.ConfigurationError(f"FIRESTEEL_BINARY is no program that can be run: {given}")
        return os.path.abspath(given)
    folders = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable)]
    if hasattr(sysconfig, "get_preferred_scheme"):
        folders.append(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
    for folder in folders:
        found = os.path.join(folder, NAME)
        if os.access(found, os.X_OK):
            return found
    found_on_path = shutil.which("firesteel")
    if found_on_path:
        return found_on_path
    raise errors.ConfigurationError(
        "The firesteel program was not found: install the package with it, set FIRESTEEL_BINARY, or set FIRESTEEL_REMOTE "
        "and FIRESTEEL_URL to the addresses of a server that runs"
    )


def properties(conf: Mapping[str, str]) -> str:
    """The server's settings: those of spark-defaults.conf, then the given ones. A file, because others see a command line."""
    lines = []
    folder = os.environ.get("SPARK_CONF_DIR")
    defaults = pathlib.Path(folder, "spark-defaults.conf") if folder else None
    if defaults and defaults.is_file():
        lines.append(defaults.read_text())
    for key, value in conf.items():
        if "\n" in value or "\r" in value:
            raise errors.ConfigurationError(f"The value of {key} has more than one line")
        lines.append(f"{key}={value}")
    return "\n".join(lines) + "\n"


class EmbeddedServer:
    """A server on this machine, for this program. `connect` and `rest` are its addresses."""

    def __init__(self, conf: Mapping[str, str] | None = None, data_dir: str | os.PathLike[str] | None = None):
        self.owner = os.getpid()
        self.conf = dict(conf or {})
        program = binary()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="firesteel-"))  # for the owner's eyes only
        try:
            self._start(program, data_dir)
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)

    def _start(self, program: str, data_dir: str | os.PathLike[str] | None) -> None:
        ready, settings, self.log = (self.folder / name for name in ("ready.json", "server.conf", "server.log"))
        settings.write_text(properties(self.conf))
        command = [program, "server", "--connect-port", "0", "--http-port", "0", "--ready-file", str(ready)]
        command += ["--properties-file", str(settings), "--data-dir", str(data_dir or self.folder / "data")]
        self.guard = subprocess.Popen(
            [sys.executable, "-S", "-E", str(GUARD), str(self.log), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.guard.stdout
        said = self.guard.stdout.readline()
        self.pid = int(said) if said.strip() else None
        addresses = self._wait(ready)
        settings.unlink()
        self.connect: str = addresses["connect"]
        self.rest: str = addresses["rest"]

    def _wait(self, ready: pathlib.Path) -> dict[str, str]:
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self.guard.poll() is not None or time.monotonic() > deadline:
                why = f"ended with {self.guard.returncode}" if self.guard.returncode is not None else "does not answer"
                raise errors.ServerStartError(f"The firesteel server {why}:\n{self.tail()}")
            time.sleep(0.01)
        addresses: dict[str, str] = json.loads(ready.read_text())
        return addresses

    def tail(self, characters: int = 4000) -> str:
        """The end of the server's log."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    @property
    def is_running(self) -> bool:
        return self.guard.poll() is None

    def stop(self) -> None:
        """Ends the server and removes what it wrote. A forked child leaves its parent's server alone."""
        if os.getpid() != self.owner:
            return
        atexit.unregister(self.stop)
        guard = getattr(self, "guard", None)
        if guard is not None and guard.poll() is None:
            guard.stdin.close()
            try:
                guard.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill(guard)
        if guard is not None:
            guard.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self, guard: subprocess.Popen[bytes]) -> None:
        import signal

        if self.pid is not None:
            os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        guard.kill()
        guard.wait()

    def __repr__(self) -> str:
        return f"<EmbeddedServer {getattr(self, 'connect', 'not started')} pid={getattr(self, 'pid', None)}>"
