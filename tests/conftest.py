"""Fixtures: a Firesteel server for each file, one real Spark for the whole run, and a session of each for every test."""
import logging

import pytest
from support import servers

for logger in ("pyspark.sql.connect", "SQLQueryContextLogger"):
    logging.getLogger(logger).setLevel(logging.CRITICAL)


def pytest_addoption(parser):
    parser.addoption("--firesteel-remote", help="use a Firesteel that runs already (sc://…)")
    parser.addoption("--spark-remote", help="use a real Spark Connect server that runs already (sc://…)")


# Files that take minutes: first, so that no process is left with one of them at the end.
LONG = ["test_golden.py", "test_iceberg.py", "test_python_faults.py", "test_functions.py", "test_cases.py", "test_hdfs.py"]


def pytest_collection_modifyitems(items):
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONG)))


@pytest.fixture(scope="module")
def firesteel(request):
    """Address of a Firesteel server that no other file's tests have left tables in."""
    given = request.config.getoption("--firesteel-remote")
    if given:
        yield given
        return
    server = servers.start_firesteel()
    yield server.remote
    server.close()


@pytest.fixture(scope="session")
def reference(request):
    """Address of real Spark."""
    given = request.config.getoption("--spark-remote")
    if given:
        yield given
        return
    server = servers.start_spark()
    yield server.remote
    server.close()


@pytest.fixture
def spark(firesteel):
    session = servers.connect(firesteel)
    yield session
    session.stop()


@pytest.fixture
def reference_spark(reference):
    session = servers.connect(reference)
    yield session
    session.stop()
