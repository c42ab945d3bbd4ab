"""A real PostgreSQL for the tests: Debian's, in a folder of its own, run by somebody who is not root."""
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from support import servers
from support.once import alone

# Where Debian has the programs of each version
PROGRAMS = pathlib.Path("/usr/lib/postgresql")
CACHE = pathlib.Path.home() / ".cache" / "firesteel"
# Who may run the server where the tests run as root; the first is made by Debian's package
ACCOUNTS = ("postgres", "nobody")
# Debian starts a cluster of its own when the package is installed, unless this says no.
NO_CLUSTER = pathlib.Path("/etc/postgresql-common/createcluster.conf")
START_SECONDS = 60
# Databases that a certificate alone opens
WITHOUT_PASSWORD = ("cert_jobs", "cert_lake")


def programs():
    """The folder of `initdb`, `postgres` and `psql`, of the newest version there is."""
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return pathlib.Path(on_path).resolve().parent if on_path else None


def installed():
    """As `programs`; what is missing is installed where that is possible. Tests are skipped where it is not."""
    with alone(CACHE / "postgresql"):
        install()
    found = programs()
    if found is None:
        pytest.skip("there is no PostgreSQL server, and it cannot be installed: Debian's package is postgresql")
    return found


def install():
    if programs() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        if not NO_CLUSTER.exists():
            NO_CLUSTER.parent.mkdir(exist_ok=True)
            NO_CLUSTER.write_text("create_main_cluster = false\n")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL, timeout=600)


class Postgres:
    """A running server. `run` asks it in SQL, `url` and `jdbc` say where a database is."""

    user, password = "firesteel", "not a secret"

    def __init__(self, certificate=None, key=None, authority=None, own=None):
        """With a certificate and its key it takes TLS, and nothing else. With an `authority` it takes those alone who show a
        certificate that it has signed for their user's name, as `own`, a certificate and its key, is; of the databases
        `WITHOUT_PASSWORD` that is enough, others want the password too."""
        self.programs, self.is_secure, self.own = installed(), bool(certificate), own
        self.port = servers.free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="firesteel-postgres-"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        # PostgreSQL does not run as root.
        self.account = {}
        if os.geteuid() == 0:
            self.account = {"user": account(), "group": pwd.getpwnam(account()).pw_gid, "extra_groups": []}
            shutil.chown(self.folder, account())
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        command = [self.programs / "initdb", "-D", self.data, "-U", self.user, "--pwfile", secret]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, **self.account)
        if done.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise RuntimeError(f"initdb failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        if self.is_secure:
            self.secure(certificate, key, authority)
        self.process = None
        self.start()

    def secure(self, certificate, key, authority):
        """TLS for all who come by the network."""
        rules, files = ["hostssl all all 127.0.0.1/32 scram-sha-256"], [(certificate, "server.crt"), (key, "server.key")]
        if authority:
            files.append((authority, "clients.crt"))
            rules = [f"hostssl {','.join(WITHOUT_PASSWORD)} all 127.0.0.1/32 cert", f"{rules[0]} clientcert=verify-full"]
        for file, name in files:
            shutil.copy(file, self.data / name)
            (self.data / name).chmod(0o600)
            if self.account:
                shutil.chown(self.data / name, account())
        (self.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")

    def start(self):
        """Starts it, at the same port as before."""
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", f"ssl={'on' if self.is_secure else 'off'}"]
        settings += ["ssl_ca_file=clients.crt"] if self.own else []
        command = [self.programs / "postgres", "-D", self.data, "-p", str(self.port)]
        command += [part for setting in settings for part in ("-c", setting)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.account,
            )
        deadline = time.monotonic() + START_SECONDS
        while self.ask("SELECT 1").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.log.read_text(errors="replace")[-4000:]
                self.close()
                raise RuntimeError(f"PostgreSQL did not start:\n{text}")
            time.sleep(0.05)

    def ask(self, sql, database="postgres"):
        command = [self.programs / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", database]
        command += ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]
        environment = {**os.environ, "PGPASSWORD": self.password}
        if self.own:
            environment |= {"PGSSLCERT": str(self.own[0]), "PGSSLKEY": str(self.own[1])}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def run(self, sql, database="postgres"):
        """The rows that a statement answers, each a list of texts."""
        done = self.ask(sql, database)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return [line.split("|") for line in done.stdout.splitlines()]

    def create_database(self, name):
        self.run(f'CREATE DATABASE "{name}"')
        return name

    def url(self, database="postgres"):
        password = self.password.replace(" ", "%20")
        return f"postgresql://{self.user}:{password}@127.0.0.1:{self.port}/{database}"

    def jdbc(self, database="postgres"):
        """Without user and password."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/{database}"

    def stop(self, how=signal.SIGINT):
        """SIGINT ends it in order; SIGKILL is a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # After a crash the workers end when they see that they are alone: a new server waits for them.
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def account():
    """The first of `ACCOUNTS` that the machine has."""
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("PostgreSQL does not run as root, and there is nobody else")
