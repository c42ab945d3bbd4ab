"""docs/guide.md: each of its Python examples runs, in its order, on an S3 service; then what it did is looked at from outside."""
import contextlib
import functools
import io
import os
import pathlib
import re

import boto3
import deltalake
import duckdb
import pyarrow
import pyarrow.parquet
import pytest
from support import servers, stores

GUIDE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "guide.md"
EXAMPLE = re.compile(r"(?:<!-- example: (?P<name>[\w-]+) -->\n)?```python\n(?P<code>.*?)```(?:\n```\n(?P<output>.*?)```)?", re.DOTALL)
BUCKET = "my-bucket"
KEYS = {"aws_access_key_id": "YOUR_KEY", "aws_secret_access_key": "YOUR_SECRET"}
USERS = 1000

USER = """SELECT i::BIGINT AS id, 'user ' || i AS name, (20 + i % 40)::INT AS age, ['IT', 'Sales', 'Engineering'][1 + i % 3] AS department,
          (50000 + i % 60 * 1000)::DOUBLE AS salary, i % 5 <> 0 AS is_active"""
EMPLOYEE = """SELECT i::BIGINT AS employee_id, 'employee ' || i AS name, ['Engineering', 'Sales'][1 + i % 2] AS department,
              (90000 + i * 1000)::DOUBLE AS salary"""


class Lake:
    """The guide's bucket, filled by programs that are not Firesteel."""

    def __init__(self, store):
        self.store = store
        self.client = boto3.client(
            "s3", endpoint_url=store.endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self.client.create_bucket(Bucket=BUCKET)
        self.put("users", f"{USER} FROM range({USERS}) t(i)")
        self.put("departments", "SELECT * FROM (VALUES ('IT', 'A'), ('Sales', 'B')) t(department, building)")
        self.put("sales", "SELECT 2023 + i % 2 AS year, 1 + i % 12 AS month, i AS amount FROM range(240) t(i)")
        self.put("employees", f"{EMPLOYEE} FROM range(100) t(i)")
        for month in (1, 2, 3):
            # Who was there a month earlier is there again, and one column is new in March.
            more = ", 'M' AS grade" if month == 3 else ""
            self.put(f"employees_2024_0{month}", f"SELECT *, {month} AS month{more} FROM ({EMPLOYEE} FROM range({month * 10}) t(i))")
        for version in range(7):
            low, high = version * USERS // 7, (version + 1) * USERS // 7
            rows = duckdb.sql(f"{USER} FROM range({low}, {high}) t(i)").to_arrow_table()
            deltalake.write_deltalake(f"s3://{BUCKET}/delta/users", rows, mode="append", storage_options=self.options())

    def options(self):
        return {
            "AWS_ENDPOINT_URL": self.store.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            **{name.upper(): value for name, value in KEYS.items()},
        }

    def put(self, name, query):
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(duckdb.sql(query).to_arrow_table(), buffer)
        self.client.put_object(Bucket=BUCKET, Key=f"data/{name}.parquet", Body=buffer.getvalue())

    def parquet(self, prefix):
        """Rows of a key, or of all files below it with the values in their folders' names."""
        rows = []
        keys = [key for key in self.store.keys(BUCKET, prefix) if key.endswith(".parquet")]
        for key in keys:
            body = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            folders = dict(part.split("=") for part in key.split("/") if "=" in part)
            rows += [{**row, **folders} for row in pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()]
        assert keys, f"nothing was written to {prefix}"
        return rows

    def delta(self, version=None):
        table = deltalake.DeltaTable(f"s3://{BUCKET}/delta/users", version=version, storage_options=self.options())
        return table.version(), {row["id"]: row for row in table.to_pyarrow_table().to_pylist()}


# What is to be true after each example, by its name. `s` is the guide's namespace, `lake` the bucket, `out` what was printed.

OLD = [i for i in range(USERS) if 20 + i % 40 > 25]
IT = [i for i in range(USERS) if i % 3 == 0]


def salary(i):
    return 50000 + i % 60 * 1000


def check_credentials(s, lake, out):
    assert "YOUR_" not in repr(s["credentials"])


def check_configuration(s, lake, out):
    assert s["conf"].get("spark.sql.shuffle.partitions") == "8" and "YOUR_SECRET" not in repr(s["conf"])


def check_session(s, lake, out):
    assert type(s["spark"]).__module__ == "pyspark.sql.connect.session" and s["get_spark"]() is s["spark"]
    get = s["spark"].conf.get
    assert get("spark.driver.memory") == "4g" and get("spark.sql.shuffle.partitions") == "8"
    assert get("spark.hadoop.fs.s3a.connection.maximum") == "100"


def check_session_info(s, lake, out):
    assert set(s["info"]) == {"active", "app_name", "spark_version", "master", "ui_web_url", "default_parallelism"}
    assert s["info"]["active"] is True and s["info"]["default_parallelism"] == 8


def check_dataframe(s, lake, out):
    assert s["result"] == len(OLD) and s["df"].columns == ["name", "salary"]


def check_lazy(s, lake, out):
    assert "|  name|" in out and "only showing top 3 rows" in out


def check_partitions(s, lake, out):
    assert (s["before"], s["after"]) == (8, 2)
    from pyspark.errors import PySparkNotImplementedError

    with pytest.raises(PySparkNotImplementedError, match="rdd"):
        s["df"].rdd.getNumPartitions()


def check_read_parquet(s, lake, out):
    result = s["result"]
    assert result["stats"]["total_rows"] == len(OLD) and len(result["data"]) == 100 and result["truncated"]
    assert all(set(row) == {"id", "name", "salary"} and row["id"] in OLD for row in result["data"])


def check_filters(s, lake, out):
    def wanted(i):
        return i % 3 != 1 and 30 <= 20 + i % 40 <= 40 and (salary(i) >= 90000 or f"user {i}".startswith("user 1"))

    ids = sorted(filter(wanted, range(USERS)), key=lambda i: (-salary(i), i))
    assert [row["id"] for row in s["result"]["data"]] == ids[:5] and s["result"]["stats"]["total_rows"] == len(ids)


def check_time_travel(s, lake, out):
    assert s["result"]["version"] == 5 and s["result"]["stats"]["total_rows"] == 6 * USERS // 7 == len(lake.delta(5)[1])
    newest = s["spark_delta_service"].read_delta_table("my-bucket", "delta/users", s["credentials"], limit=5)
    assert newest["version"] == 6 and newest["stats"]["total_rows"] == USERS


def check_modify(s, lake, out):
    written = {row["id"]: row["salary"] for row in lake.parquet("data/users_modified.parquet")}
    assert len(written) == USERS == s["result"]["final_rows"] and s["result"]["rows_updated"] == len(IT)
    assert written[3] == pytest.approx(salary(3) * 1.1) and written[4] == salary(4)
    assert {row["id"]: row["salary"] for row in lake.parquet("data/users.parquet")}[3] == salary(3)
    select = "SELECT id FROM data_table WHERE id < 10"
    single = s["spark_parquet_service"].modify_and_write_back(
        "my-bucket", "data/users.parquet", s["credentials"], select, "data/single.parquet", single_file=True
    )
    assert single["final_rows"] == 10 and len(lake.parquet("data/single.parquet")) == 10
    assert lake.store.keys(BUCKET, "data/single.parquet") == ["data/single.parquet"]


def check_update(s, lake, out):
    version, rows = lake.delta()
    assert s["result"]["rows_updated"] == len(IT) and s["result"]["version"] == version == 7
    assert rows[3]["salary"] == pytest.approx(salary(3) * 1.1) and rows[4]["salary"] == salary(4)


def check_delete(s, lake, out):
    version, rows = lake.delta()
    assert s["result"]["rows_deleted"] == USERS // 5 and s["result"]["version"] == version == 8
    assert len(rows) == USERS * 4 // 5 and all(row["is_active"] for row in rows.values())


def check_upsert(s, lake, out):
    version, rows = lake.delta()
    assert s["result"]["version"] == version == 9
    assert (s["result"]["rows_updated"], s["result"]["rows_inserted"]) == (2, 0) and len(rows) == USERS * 4 // 5
    assert (rows[1]["name"], rows[1]["salary"], rows[1]["department"]) == ("John", 120000, "Sales")
    assert rows[999]["name"] == "Jane"
    more = [{"id": 5000, "name": "New", "salary": 1}]
    added = s["spark_delta_service"].merge_into_delta_table("my-bucket", "delta/users", s["credentials"], more, "id")
    assert added["rows_inserted"] == 1 and lake.delta()[1][5000]["department"] is None


def check_pushdown(s, lake, out):
    assert sorted(s["early"].collect()) == sorted(s["late"].collect()) and s["early"].count() == len(OLD)


def check_partitioned_write(s, lake, out):
    assert any("/year=2024/month=2/" in key for key in lake.store.keys(BUCKET, "data/sales_by_month"))
    amounts = [i for i in range(240) if 2023 + i % 2 == 2024 and 1 + i % 12 == 1]
    assert sorted(row.amount for row in s["january"].collect()) == amounts
    assert len(lake.parquet("data/sales_by_month")) == 240


def check_cache(s, lake, out):
    assert s["df"].is_cached and (s["count1"], s["count2"]) == (len(OLD), 3)


def check_broadcast(s, lake, out):
    assert s["result"].count() == sum(i % 3 in (0, 1) for i in range(USERS))
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        s["result"].explain()
    assert "Broadcast" in shown.getvalue()


def check_workflow(s, lake, out):
    rich = [i for i in range(100) if i % 2 == 0 and 90000 + i * 1000 > 100000]
    assert s["result"]["stats"]["total_rows"] == len(rich) and f"Found {len(rich)} employees" in out
    assert "Wrote 100 rows" in out and "Merged 3 files into 30 rows" in out
    processed = {row["employee_id"]: row for row in lake.parquet("data/employees_processed.parquet")}
    assert len(processed) == 100 and processed[61]["level"] == "Senior" and processed[60]["level"] == "Junior"
    assert processed[1]["department"] == "Sales" and processed[1]["new_salary"] == pytest.approx(91000 * 1.1)
    merged = {row["employee_id"]: row for row in lake.parquet("data/employees_q1_2024.parquet")}
    assert len(merged) == 30 and {row["month"] for row in merged.values()} == {3} and merged[0]["grade"] == "M"
    assert s["merge_result"]["duplicates_removed"] == 30


def check_errors(s, lake, out):
    assert out == "PATH_NOT_FOUND\n"
    # Nothing that the server has written, its log and its jobs too, holds the secret of all these requests.
    from firesteel import runtime

    files = [path for path in runtime._server.folder.rglob("*") if path.is_file()]
    assert {"server.log", "service.db"} <= {path.name for path in files}
    assert not [path for path in files if KEYS["aws_secret_access_key"].encode() in path.read_bytes()]


def check_stop(s, lake, out):
    assert s["spark"].is_stopped and s["SparkConfig"].get_session_info() == {"active": False}


CHECKS = {name[6:].replace("_", "-"): value for name, value in list(globals().items()) if name.startswith("check_")}


@pytest.fixture(scope="module")
def lake():
    store = stores.Store()
    yield Lake(store)
    store.close()


@pytest.fixture(scope="module")
def namespace(lake):
    """What the examples define. The program's own environment names the S3 service, as a user's would."""
    from firesteel.config.spark_config import conf, stop_spark

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTEEL_BINARY", str(servers.binary()))
        patch.setenv("AWS_ENDPOINT_URL", lake.store.endpoint)
        for name in ("FIRESTEEL_REMOTE", "SPARK_REMOTE", "FIRESTEEL_URL", "FIRESTEEL_TOKEN"):
            patch.delenv(name, raising=False)
        yield {"__name__": "guide"}
        stop_spark()
        conf.clear()
    # PySpark's own switch to its Connect functions, which the session has set.
    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)


EXAMPLES = [found.groupdict() for found in EXAMPLE.finditer(GUIDE.read_text())]


def test_every_example_has_a_check():
    assert [example["name"] for example in EXAMPLES] and {example["name"] for example in EXAMPLES} == set(CHECKS)


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(example["name"]) for example in EXAMPLES])
def test_example(example, namespace, lake):
    """One after the other: an example may use what those before it have made."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example["code"], f"{GUIDE.name}:{example['name']}", "exec"), namespace)
    if example["output"]:
        assert printed.getvalue() == example["output"]
    CHECKS[example["name"]](namespace, lake, printed.getvalue())


def test_wrong_credentials(namespace, lake):
    """The proxy checks signatures, as Amazon does; the error says what was refused, and not the keys."""
    import firesteel
    from firesteel.services.spark_parquet_service import spark_parquet_service

    proxy = stores.Proxy(lake.store, stores.checking({"known": "right-secret"}))
    try:
        for key, secret in (("known", "wrong-secret"), ("unknown", "right-secret"), ("known", "right-secret")):
            keys = firesteel.UserAWSCredentials(key, secret, "us-east-1", endpoint_url=proxy.endpoint)
            read = functools.partial(spark_parquet_service.read_and_query, BUCKET, "data/users.parquet", keys, limit=1)
            if (key, secret) == ("known", "right-secret"):
                assert read()["stats"]["total_rows"] == USERS
            else:
                with pytest.raises(firesteel.PermissionDeniedError) as caught:
                    read()
                assert caught.value.condition == "STORAGE_ACCESS_DENIED" and secret not in str(caught.value)
    finally:
        proxy.close()


def test_text_in_filters_is_a_value(namespace, lake):
    import firesteel
    from firesteel.services.spark_parquet_service import spark_parquet_service

    keys = firesteel.UserAWSCredentials(**KEYS)
    for text in ("IT' OR '1'='1", "IT'; DROP TABLE x; --", "\\' OR 1=1 --"):
        found = spark_parquet_service.read_and_query(BUCKET, "data/users.parquet", keys, filters={"department": text})
        assert found["data"] == [] and found["stats"]["total_rows"] == 0
    with pytest.raises(firesteel.InvalidRequestError):
        spark_parquet_service.read_and_query(BUCKET, "data/users.parquet", keys, filters={"1=1 OR id": 5})
