"""Iceberg's own REST catalog server, the one of its tests, before a catalog in an SQLite file."""
import http.client
import json
import pathlib
import socket

from support import iceberg, servers
from support.jars import fetched

# The newest with these jars
VERSION = "1.11.0"
JETTY = "12.1.14"
MAIN = "org.apache.iceberg.rest.RESTCatalogServer"
# group, name, version, classifier; what else it needs comes with pyspark.
JARS = [
    ("org.apache.iceberg", "iceberg-open-api", VERSION, "test-fixtures"),
    ("org.apache.iceberg", "iceberg-core", VERSION, "tests"),
    ("org.apache.iceberg", "iceberg-core", VERSION, None),
    ("org.apache.iceberg", "iceberg-api", VERSION, None),
    ("org.apache.iceberg", "iceberg-common", VERSION, None),
    ("org.apache.iceberg", "iceberg-bundled-guava", VERSION, None),
    ("org.apache.iceberg", "iceberg-aws", VERSION, None),
    *[("org.eclipse.jetty", f"jetty-{name}", JETTY, None) for name in ("server", "http", "io", "util", "session", "security")],
    ("org.eclipse.jetty.ee10", "jetty-ee10-servlet", JETTY, None),
    *[("org.eclipse.jetty.compression", f"jetty-compression-{name}", JETTY, None) for name in ("common", "server", "gzip")],
    ("jakarta.servlet", "jakarta.servlet-api", "6.0.0", None),
    ("com.github.ben-manes.caffeine", "caffeine", "2.9.3", None),
    ("org.apache.httpcomponents.client5", "httpclient5", "5.6.1", None),
    ("org.apache.httpcomponents.core5", "httpcore5", "5.4.1", None),
    ("org.xerial", "sqlite-jdbc", "3.49.1.0", None),
    ("dev.failsafe", "failsafe", "3.3.2", None),
]


class Catalog:
    """A running server at `uri`. `properties` are those of the catalog behind it."""

    def __init__(self, folder: pathlib.Path, warehouse, properties=(), aws=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = servers.free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        settings = {
            "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
            "uri": f"jdbc:sqlite:{folder}/catalog.db",
            "jdbc.schema-version": "V1",
            # A table's namespace has to be there.
            "jdbc.strict-mode": "true",
            "warehouse": str(warehouse),
            "rest.port": str(self.port),
            **dict(properties),
        }
        environment = {f"CATALOG_{key.upper().replace('-', '__').replace('.', '_')}": value for key, value in settings.items()}
        jars = [fetched(*coordinates) for coordinates in JARS] + ([iceberg.aws(VERSION)] if aws else [])
        class_path = ":".join([*map(str, jars), f"{iceberg.spark_home()}/jars/*"])
        command = ["java", "-Xmx512m", "-cp", class_path, MAIN]
        self.server = servers.Server(lambda folder: command, environment)
        self.server.wait_until(self.answers)

    def answers(self):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        return self.ask("GET", "/v1/config")[0] == 200

    def ask(self, method, path, body=None):
        """Status and JSON of a request of nobody."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self):
        self.server.close()


def settings(name, uri, **more):
    return iceberg.settings("rest", name, uri, **more)
