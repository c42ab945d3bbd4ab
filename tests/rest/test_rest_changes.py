"""Changes and jobs: rows of files and Delta tables, fair turns."""
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import servers
from support.rest import SLOW, Api, check_problem, new_table, rows_of


def test_modify(api, users, tmp_path):
    path, table = users
    output = str(tmp_path / "raised")
    job = api.job("/v1/datasets/modify", {"path": str(path), "sql": "UPDATE data_table SET salary = salary * 2, name = upper(name) WHERE department = 'Sales' AND age > 25", "output_path": output})
    matching = [row for row in table.to_pylist() if row["department"] == "Sales" and row["age"] and row["age"] > 25]
    assert job["metrics"]["rows_updated"] == len(matching) and job["metrics"]["rows_written"] == 1000 == job["metrics"]["rows_read"]
    written = {row["id"]: row for row in pq.read_table(output).to_pylist()}
    assert written[matching[0]["id"]]["salary"] == matching[0]["salary"] * 2 and written[0]["name"] == "name-0"
    job = api.job("/v1/datasets/modify", {"path": str(path), "sql": "DELETE FROM data_table WHERE age < 40", "output_path": output, "output_format": "json"})
    assert job["metrics"]["rows_deleted"] == sum(1 for row in table.to_pylist() if row["age"] and row["age"] < 40)
    sql = "SELECT *, salary * 1.1 AS new_salary, CASE WHEN salary > 5 THEN 'Senior' ELSE 'Junior' END AS level FROM data_table"
    output = str(tmp_path / "parts")
    job = api.job("/v1/datasets/modify", {"path": str(path), "sql": sql, "output_path": output, "partition_by": ["department"]})
    assert job["metrics"]["rows_written"] == 1000 and (tmp_path / "parts" / "department=Sales").is_dir()
    found = api.ok("/v1/datasets/partitions", {"path": output})
    assert found["partition_columns"] == ["department"] and sum(p["rows"] for p in found["partitions"]) == 1000
    again = api.ok("/v1/datasets/modify", {"path": str(path), "sql": sql, "output_path": output, "mode": "error"})
    assert again["state"] == "failed" and again["error"]["condition"] == "PATH_ALREADY_EXISTS"


def test_modify_in_place_and_to_one_file(api, tmp_path):
    file = tmp_path / "one.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3]}), file)
    job = api.job("/v1/datasets/modify", {"path": str(file), "sql": "DELETE FROM data_table WHERE id = 2", "output_path": str(file), "single_file": True})
    assert job["metrics"]["rows_deleted"] == 1 and file.is_file()
    assert pq.read_table(file).column("id").to_pylist() == [1, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.parquet"]


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE data_table", "INSERT INTO data_table VALUES (1)", "UPDATE other SET id = 1", "SELECT nope FROM data_table", "UPDATE data_table SET nope = 1", "SELECT", "DELETE FROM parquet.`/etc`"],
)
def test_modify_refuses_other_sql(api, users, tmp_path, sql):
    api.refused("/v1/datasets/modify", {"path": str(users[0]), "sql": sql, "output_path": str(tmp_path / "x")}, 400, field="sql")
    assert not (tmp_path / "x").exists()


def test_merge_of_files(api, tmp_path):
    one, two, three = (str(tmp_path / name) for name in ("1.parquet", "2.parquet", "3.parquet"))
    pq.write_table(pa.table({"id": pa.array([1, 2], pa.int32()), "name": ["a", "b"]}), one)
    pq.write_table(pa.table({"id": pa.array([2, 3], pa.int64()), "name": ["B", "c"], "extra": [1.5, 2.5]}), two)
    pq.write_table(pa.table({"id": ["x"]}), three)
    output = str(tmp_path / "merged")
    job = api.job("/v1/datasets/merge", {"paths": [one, two], "output_path": output, "deduplicate_on": ["id"]})
    metrics = job["metrics"]
    assert (metrics["files_merged"], metrics["rows_read"], metrics["rows_written"], metrics["rows_deduplicated"]) == (2, 4, 3, 1)
    merged = pq.read_table(output).sort_by("id")
    assert merged.schema.field("id").type == pa.int64()
    assert merged.to_pylist() == [{"id": 1, "name": "a", "extra": None}, {"id": 2, "name": "B", "extra": 1.5}, {"id": 3, "name": "c", "extra": 2.5}]
    job = api.job("/v1/datasets/merge", {"paths": [one, two], "output_path": output, "deduplicate_on": ["id"], "keep": "first"})
    assert pq.read_table(output).sort_by("id").column("name").to_pylist() == ["a", "b", "c"]
    problem = api.refused("/v1/datasets/merge", {"paths": [one, three], "output_path": output}, 400, "INCOMPATIBLE_SCHEMAS", "paths[1]")
    assert "id" in problem["detail"]
    api.refused("/v1/datasets/merge", {"paths": [one], "output_path": output, "deduplicate_on": ["nope"]}, 400, field="deduplicate_on[0]")


def test_delta_changes(api, tmp_path):
    path = new_table(api, tmp_path)
    job = api.job("/v1/delta/update", {"path": path, "set": {"salary": "salary * 10"}, "condition": "id >= 8"})
    assert job["metrics"] == {"rows_updated": 2, "version": 1}
    job = api.job("/v1/delta/delete", {"path": path, "filters": {"id": {"<": 3}}})
    assert job["metrics"] == {"rows_deleted": 3, "version": 2}
    source = [{"id": 3, "name": "John", "salary": 120000}, {"id": 99, "name": "Jane", "salary": 90000}]
    job = api.job("/v1/delta/merge", {"path": path, "source_data": source, "merge_key": "id"})
    assert job["metrics"] == {"rows_inserted": 1, "rows_updated": 1, "rows_deleted": 0, "version": 3}
    assert rows_of(api, path)[0] == (3, "John", 120000.0) and rows_of(api, path)[-1] == (99, "Jane", 90000.0)
    part = [{"id": 100, "name": "Only"}]
    api.job("/v1/delta/merge", {"path": path, "source_data": part, "merge_key": ["id"]})
    assert rows_of(api, path)[-1] == (100, "Only", None)
    api.job("/v1/delta/merge", {"path": path, "source_data": [{"id": 4, "title": "Dr"}], "merge_key": "id", "schema_evolution": True})
    assert rows_of(api, path)[1] == (4, "n4", 4.0, "Dr")
    assert api.job("/v1/delta/optimize", {"path": path, "z_order_by": ["id"]})["metrics"]["files_added"] == 1
    assert api.job("/v1/delta/vacuum", {"path": path, "dry_run": True})["metrics"] == {"files": []}
    assert api.job("/v1/delta/restore", {"path": path, "version": 0})["metrics"]["version"] == 7
    assert [row[0] for row in rows_of(api, path)] == list(range(10))
    history = api.ok("/v1/delta/history", {"path": path, "limit": 3})["history"]
    assert [entry["version"] for entry in history] == [7, 6, 5] and history[0]["operation"] == "RESTORE"
    old = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "version": 2})
    assert len(old["data"]) == 7 and old["stats"]["version"] == 2
    newest = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "filters": {"id": 5}})
    assert len(newest["data"]) == 1 and newest["stats"]["version"] == 7
    assert api.ok("/v1/datasets/count", {"path": path, "format": "delta"})["stats"]["version"] == 7


def test_delta_refusals_change_nothing(api, tmp_path):
    path = new_table(api, tmp_path)
    api.refused("/v1/delta/delete", {"path": path}, 400, field="condition")
    api.refused("/v1/delta/update", {"path": path, "set": {}}, 400, field="set")
    api.refused("/v1/delta/update", {"path": path, "set": {"salary": "1 +"}}, 400, field="set.salary")
    api.refused("/v1/delta/update", {"path": path, "set": {"salary": "1"}, "condition": "id ="}, 400, field="condition")
    api.refused("/v1/delta/merge", {"path": path, "source_data": [{"id": 1, "nope": 2}], "merge_key": "id"}, 400, field="source_data[0].nope")
    api.refused("/v1/delta/merge", {"path": path, "source_data": [{"id": 1}, {"name": "x"}], "merge_key": "id"}, 400, field="source_data[1]")
    api.refused("/v1/delta/merge", {"path": path, "source_data": [{"id": 1}]}, 400, field="merge_key")
    job = api.ok("/v1/delta/merge", {"path": path, "source_data": [{"id": "one"}], "merge_key": "id"})
    assert job["state"] == "failed"
    job = api.ok("/v1/delta/update", {"path": path, "set": {"nope": "1"}})
    assert job["state"] == "failed" and job["error"]["condition"].startswith(("UNRESOLVED_COLUMN", "DELTA"))
    assert len(api.ok("/v1/delta/history", {"path": path})["history"]) == 1
    api.refused("/v1/delta/history", {"path": str(tmp_path / "none")}, 404)


# Jobs: what is kept of them is tested in test_rest_store.py


def test_users_share_the_server_fairly():
    settings = {"firesteel.service.maxRunning": 1, "firesteel.service.maxQueuedPerUser": 2}
    server = servers.start_firesteel(settings, http=True)
    try:
        api = Api(server.rest)
        jobs = [api.post("/v1/statements", {"statement": SLOW, "wait": 0}) for _ in range(4)]
        assert [job.status_code for job in jobs] == [202, 202, 202, 429]
        assert jobs[3].headers["Retry-After"]
        check_problem(jobs[3], "QUEUE_FULL")
        assert api.get(jobs[1].headers["Location"]).json()["state"] == "queued"
        began = time.monotonic()
        for job in reversed(jobs[:3]):
            assert api.post(job.headers["Location"] + "/cancel").json()["state"] == "cancelled"
        assert time.monotonic() - began < 5
        assert api.sql("SELECT 1 AS a")["data"] == [{"a": 1}]
    finally:
        server.close()
