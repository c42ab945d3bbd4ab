"""PySpark's own doctests, from the installed package, against Firesteel."""
import contextlib
import doctest
import importlib
import io
import time

import pytest
from support import ratchet, servers

MODULES = [
    "pyspark.sql.dataframe",
    "pyspark.sql.column",
    "pyspark.sql.connect.functions.builtin",
    "pyspark.sql.connect.group",
    "pyspark.sql.window",
    "pyspark.sql.connect.readwriter",
    "pyspark.sql.connect.session",
    "pyspark.sql.connect.catalog",
    "pyspark.sql.connect.conf",
    "pyspark.sql.types",
    "pyspark.sql.connect.tvf",
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.fixture
def los_angeles(tmp_path, monkeypatch):
    """The zone and a folder of their own, which the examples expect."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.undo()
    time.tzset()


def attempt(example, spark):
    """What the example printed instead of what it should; empty if it passes."""
    import pyspark.sql.functions as functions
    from pyspark.sql.connect.session import SparkSession

    example.globs.update(spark=spark, sc=None, sf=functions, F=functions, SparkSession=SparkSession)
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            failures = runner.run(example, out=report.write, clear_globs=False).failed
        except Exception as error:  # noqa: BLE001 - an example may do anything
            return f"{type(error).__name__}: {error}"
    return report.getvalue() if failures else ""


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name, firesteel, los_angeles, monkeypatch):
    monkeypatch.setenv("SPARK_REMOTE", firesteel)
    # Else the functions of the first examples look for a JVM.
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")
    module = importlib.import_module(name)
    spark = servers.connect(firesteel)
    passed, failed = [], {}
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, globs=dict(vars(module))):
        if example.examples:
            # Some examples unset it, which would leave the zone of the server's machine.
            spark.conf.set("spark.sql.session.timeZone", "America/Los_Angeles")
            # Spark's own test runs switch it on, and the examples are written for them.
            spark.conf.set("spark.sql.timeType.enabled", "true")
            why = attempt(example, spark)
            if why:
                failed[example.name] = why[:600]
                print(f"\n{example.name}\n{why[:600]}")
            else:
                passed.append(example.name)
    with contextlib.suppress(Exception):
        spark.stop()
    ratchet.check("doctests", passed, failed, scope=f"{name}.")
