"""A server with the REST API for each file, and a file of rows."""
import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import servers
from support.rest import Api


@pytest.fixture(scope="module")
def server():
    server = servers.start_firesteel({"spark.sql.session.timeZone": "UTC"}, http=True)
    yield server
    server.close()


@pytest.fixture(scope="module")
def api(server):
    return Api(server.rest)


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A file of a thousand rows."""
    path = tmp_path_factory.mktemp("users") / "users.parquet"
    ids = list(range(1000))
    table = pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "age": pa.array([20 + i % 50 if i % 10 else None for i in ids], pa.int32()),
            "name": [f"name-{i}" for i in ids],
            "department": ["Engineering" if i % 3 == 0 else "Sales" for i in ids],
            "salary": [1000.5 * i for i in ids],
            "hired": [datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in ids],
        }
    )
    pq.write_table(table, path)
    return path, table
