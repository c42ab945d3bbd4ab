"""Real Spark with Apache Iceberg. Iceberg's newest runtime is made for Spark 4.1, so a Spark of that version is fetched."""
import os
import pathlib
import subprocess
import sys

from support import servers
from support.jars import fetched
from support.once import alone

CACHE = pathlib.Path.home() / ".cache" / "firesteel"
SPARK = "pyspark==4.1.*"
NAME, VERSION = "iceberg-spark-runtime-4.1_2.13", "1.12.0"
SQLITE_NAME, SQLITE_VERSION = "sqlite-jdbc", "3.49.1.0"
SOURCE = pathlib.Path(__file__).parent / "java" / "EqualityDeletes.java"
CATALOG = "lake"


def spark_home():
    """A Spark 4.1, installed once."""
    home = CACHE / "spark-4.1"
    done = home / ".complete"
    with alone(home):
        if not done.exists() or done.read_text() != SPARK:
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", str(home), SPARK]
            subprocess.run(command, check=True)
            done.write_text(SPARK)
    return home / "pyspark"


def runtime():
    """The jar of Iceberg."""
    return fetched("org.apache.iceberg", NAME, VERSION)


def sqlite():
    """The jar by which Java reads SQLite."""
    return fetched("org.xerial", SQLITE_NAME, SQLITE_VERSION)


def postgresql():
    """The jar by which Java speaks to PostgreSQL."""
    return fetched("org.postgresql", "postgresql", "42.7.14")


def aws(version=VERSION):
    """Amazon's library, for tables on S3; each version of Iceberg wants its own."""
    return fetched("org.apache.iceberg", "iceberg-aws-bundle", version)


def sql_catalog(name, warehouse):
    """Settings of a catalog in an SQLite file, the same for both engines."""
    return {
        f"spark.sql.catalog.{name}": "org.apache.iceberg.spark.SparkCatalog",
        f"spark.sql.catalog.{name}.type": "jdbc",
        f"spark.sql.catalog.{name}.uri": f"jdbc:sqlite:{warehouse}/{name}.db",
        f"spark.sql.catalog.{name}.warehouse": str(warehouse / name),
        f"spark.sql.catalog.{name}.cache-enabled": "false",
    }


def postgres_catalog(name, warehouse, server, database):
    """Settings of a catalog in PostgreSQL."""
    prefix = f"spark.sql.catalog.{name}"
    own = {"uri": server.jdbc(database), "jdbc.user": server.user, "jdbc.password": server.password, "jdbc.schema-version": "V1"}
    return {**sql_catalog(name, warehouse), **{f"{prefix}.{key}": value for key, value in own.items()}}


def catalog(warehouse):
    """Those of the catalog that real Spark is started with."""
    return folder_catalog(CATALOG, warehouse)


def folder_catalog(name, warehouse):
    """Settings that make a folder a catalog, the same for both engines."""
    return {
        f"spark.sql.catalog.{name}": "org.apache.iceberg.spark.SparkCatalog",
        f"spark.sql.catalog.{name}.type": "hadoop",
        f"spark.sql.catalog.{name}.warehouse": str(warehouse),
        f"spark.sql.catalog.{name}.cache-enabled": "false",
    }


def settings(kind, name, uri, **more):
    """Settings of a session for a catalog that is asked at an address, the same for both engines."""
    prefix = f"spark.sql.catalog.{name}"
    own = {"type": kind, "uri": uri, "cache-enabled": "false", **more}
    return {prefix: "org.apache.iceberg.spark.SparkCatalog", **{f"{prefix}.{key}": str(value) for key, value in own.items()}}


def start_spark(warehouse, more_jars=(), more_settings=None):
    settings = {
        "spark.jars": str(runtime()),
        "spark.driver.extraClassPath": ":".join(map(str, (sqlite(), *more_jars))),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        **catalog(warehouse),
        **(more_settings or {}),
    }
    return servers.start_spark(settings, home=spark_home())


def delete_equal(location, column, *values):
    """Takes away the rows whose column has one of the values, by equality deletes."""
    jars = f"{runtime()}:{spark_home()}/jars/*"
    command = ["java", "-cp", jars, str(SOURCE), str(location), column, *map(str, values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "DELETED" in done.stdout, done.stderr[-3000:]
