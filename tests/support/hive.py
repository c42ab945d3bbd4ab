"""A real Hive metastore, of the jars that Spark carries, before a Derby in a folder of its own. Python asks it with the calls
that pyiceberg's wheel has of it."""
import contextlib
import pathlib
import select
import socket
import threading
import xml.sax.saxutils

from hive_metastore import ThriftHiveMetastore, ttypes
from support import iceberg, servers
from thrift.protocol import TBinaryProtocol
from thrift.transport import TSocket, TTransport

SOURCE = pathlib.Path(__file__).parent / "java" / "HiveMetastore.java"
# Into the server's own log, not into a file for all
LOG = """
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
"""


class Metastore:
    """A running metastore at `uri`, whose databases are below `warehouse`."""

    def __init__(self, folder, warehouse):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.warehouse = folder, warehouse
        self.port = servers.free_port()
        self.uri = f"thrift://127.0.0.1:{self.port}"
        self.server = None
        settings = {
            "javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/derby;create=true",
            "datanucleus.schema.autoCreateAll": "true",
            "datanucleus.connectionPoolingType": "HikariCP",
            "hive.metastore.schema.verification": "false",
            "hive.metastore.warehouse.dir": warehouse,
            # Iceberg's columns may change their places and types.
            "hive.metastore.disallow.incompatible.col.type.changes": "false",
            # It says at once what it cannot do.
            "hive.hmshandler.retry.attempts": "1",
            # What its log would need otherwise, Spark does not carry.
            "hive.async.log.enabled": "false",
        }
        values = "".join(
            f"<property><name>{key}</name><value>{xml.sax.saxutils.escape(str(value))}</value></property>" for key, value in settings.items()
        )
        (folder / "hive-site.xml").write_text(f"<configuration>{values}</configuration>")
        (folder / "hive-log4j2.properties").write_text(LOG)
        self.start()

    def start(self):
        """Starts it, at the same port as before."""
        class_path = f"{self.folder}:{iceberg.spark_home()}/jars/*"
        command = ["java", "-Xmx512m", "-cp", class_path, str(SOURCE), str(self.folder), str(self.port)]
        self.server = servers.Server(lambda folder: command)
        self.server.wait_until(self.answers)

    def answers(self):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        with self.client() as client:
            return bool(client.get_all_databases())

    @contextlib.contextmanager
    def client(self):
        transport = TTransport.TBufferedTransport(TSocket.TSocket("127.0.0.1", self.port))
        transport.open()
        try:
            yield ThriftHiveMetastore.Client(TBinaryProtocol.TBinaryProtocol(transport))
        finally:
            transport.close()

    def table(self, database, name):
        """A table's entry."""
        with self.client() as client:
            return client.get_table(database, name)

    @contextlib.contextmanager
    def locked(self, database, name):
        """Nobody else gets the lock of a table."""
        component = ttypes.LockComponent(ttypes.LockType.EXCLUSIVE, ttypes.LockLevel.TABLE, database, name)
        with self.client() as client:
            lock = client.lock(ttypes.LockRequest([component], None, "somebody", "elsewhere"))
            assert lock.state == ttypes.LockState.ACQUIRED
            try:
                yield
            finally:
                client.unlock(ttypes.UnlockRequest(lock.lockid))

    def locks(self):
        with self.client() as client:
            return client.show_locks(ttypes.ShowLocksRequest()).locks

    def stop(self):
        self.server.close()

    def close(self):
        self.stop()


class Wire:
    """Passes bytes on to a metastore. `cut` may say of a request that it or its answer gets lost: `"request"`, `"answer"`;
    `meanwhile` is done before an answer is lost."""

    def __init__(self, metastore, cut=lambda request: None, meanwhile=lambda: None):
        self.metastore, self.cut, self.meanwhile = metastore, cut, meanwhile
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"thrift://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        """A request is what comes before the next answer."""
        with client, socket.create_connection(("127.0.0.1", self.metastore.port)) as server:
            lost = None
            while True:
                ready, _, _ = select.select([client, server], [], [])
                source = ready[0]
                data = source.recv(1 << 20)
                if not data:
                    return
                if source is client:
                    lost = self.cut(data) or lost
                    if lost == "request":
                        return
                    server.sendall(data)
                else:
                    if lost == "answer":
                        self.meanwhile()
                        return
                    client.sendall(data)

    def close(self):
        self.listener.close()


def settings(name, uri, **more):
    return iceberg.settings("hive", name, uri, **more)
