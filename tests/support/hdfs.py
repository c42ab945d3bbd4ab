"""A real HDFS for the tests: Hadoop's MiniDFSCluster with two name nodes, in a JVM of its own."""
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading

import pyspark
import pytest

from . import servers
from .jars import fetched

VERSION = "3.5.0"
SOURCE = pathlib.Path(__file__).parent / "java" / "MiniHdfs.java"
START_SECONDS = 120
SERVICE = "lake"
USER = "engineer"
ROOT = f"hdfs://{SERVICE}/work"


def cluster_jar():
    """The jar of the cluster; the rest of Hadoop comes with pyspark."""
    return fetched("org.apache.hadoop", "hadoop-client-minicluster", VERSION)


class Cluster:
    """A running cluster; `settings` say where its name service is."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="firesteel-hdfs-"))
        jars = pathlib.Path(pyspark.__file__).parent / "jars"
        self.class_path = f"{cluster_jar()}:{jars}/*"
        command = ["java", "-Xmx1g", "-cp", self.class_path, str(SOURCE), str(self.folder / "data")]
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=self.folder
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.ports = [int(port) for port in self.answer("PORTS").split()[1:]]
        self.url = f"hdfs://127.0.0.1:{self.ports[0]}"

    def listen(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def answer(self, start):
        while True:
            line = self.lines.get(timeout=START_SECONDS)
            if line is None:
                raise RuntimeError(f"the cluster is gone:\n{(self.folder / 'log').read_text()[-4000:]}")
            if line.startswith(start):
                return line

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.answer(f"DONE {command}")

    @property
    def settings(self):
        provider = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"
        return {
            "dfs.nameservices": SERVICE,
            f"dfs.ha.namenodes.{SERVICE}": "one,two",
            f"dfs.namenode.rpc-address.{SERVICE}.one": f"127.0.0.1:{self.ports[0]}",
            f"dfs.namenode.rpc-address.{SERVICE}.two": f"127.0.0.1:{self.ports[1]}",
            f"dfs.client.failover.proxy.provider.{SERVICE}": provider,
        }

    @property
    def hadoop_settings(self):
        """The same as a Spark is started with them. Others may write to what it makes."""
        settings = {**self.settings, "fs.permissions.umask-mode": "000"}
        return {f"spark.hadoop.{key}": value for key, value in settings.items()}

    def start_firesteel(self, folder):
        """A server that knows the cluster by `HADOOP_CONF_DIR`; `folder` is made for it."""
        environment = {"HADOOP_CONF_DIR": str(self.write_configuration(folder)), "HADOOP_USER_NAME": USER}
        return servers.start_firesteel(environment=environment)

    def write_configuration(self, folder):
        """`core-site.xml` and `hdfs-site.xml`, as an administrator has them."""
        folder.mkdir()
        for name, settings in (("core-site", {"fs.defaultFS": f"hdfs://{SERVICE}"}), ("hdfs-site", self.settings)):
            properties = "".join(f"<property><name>{k}</name><value>{v}</value></property>" for k, v in settings.items())
            (folder / f"{name}.xml").write_text(f"<?xml version=\"1.0\"?>\n<configuration>{properties}</configuration>\n")
        return folder

    def shell(self, *arguments):
        """`hadoop fs` as the superuser: a look from outside."""
        folder = self.folder / "conf"
        if not folder.exists():
            self.write_configuration(folder)
        command = ["java", "-cp", f"{folder}:{self.class_path}", "org.apache.hadoop.fs.FsShell", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def names(self, path):
        """Every file and directory below a path, as Hadoop's shell lists them; none where there is nothing."""
        try:
            listed = self.shell("-ls", "-R", path.removeprefix(f"hdfs://{SERVICE}"))
        except subprocess.CalledProcessError as error:
            if "No such file or directory" not in error.stderr:
                raise
            return []
        return [line.split(maxsplit=7)[7] for line in listed.splitlines() if line.startswith(("-", "d"))]

    def open_folder(self):
        """A folder that everybody may write to: `ROOT`."""
        self.shell("-mkdir", "-p", "/work")
        self.shell("-chmod", "777", "/work")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster():
    """A cluster with a folder that everybody may write to."""
    cluster = Cluster()
    cluster.open_folder()
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def firesteel(cluster, tmp_path_factory):
    """Address of a server that knows the cluster."""
    server = cluster.start_firesteel(tmp_path_factory.mktemp("hadoop") / "conf")
    yield server.remote
    server.close()
