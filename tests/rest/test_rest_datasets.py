"""Queries of datasets: filters, pages, samples, tables."""
import datetime
import json
import os
import time
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.rest import ARROW, SECRET, ids, new_table


FILTERS = [
    ({"age": {">": 60}}, lambda r: r["age"] is not None and r["age"] > 60),
    ({"age": {">=": 30, "lt": 32}, "department": "Sales"}, lambda r: r["age"] in (30, 31) and r["department"] == "Sales"),
    ({"age": None}, lambda r: r["age"] is None),
    ({"age": {"!=": None}}, lambda r: r["age"] is not None),
    ({"age": {"is_null": False}, "id": {"<": 20}}, lambda r: r["age"] is not None and r["id"] < 20),
    ({"id": [1, 5, 5000]}, lambda r: r["id"] in (1, 5)),
    ({"age": {"in": [30, None]}}, lambda r: r["age"] in (30, None)),
    ({"id": {"not_in": [1, 2]}, "age": {"<=": 21}}, lambda r: r["id"] not in (1, 2) and r["age"] is not None and r["age"] <= 21),
    ({"salary": {"between": [1000.5, 3001.5]}}, lambda r: 1000.5 <= r["salary"] <= 3001.5),
    ({"id": {"not_between": [5, 995]}}, lambda r: not 5 <= r["id"] <= 995),
    ({"name": {"like": "name-9_"}}, lambda r: len(r["name"]) == 7 and r["name"].startswith("name-9")),
    ({"name": {"ilike": "NAME-99%"}}, lambda r: r["name"].startswith("name-99")),
    ({"name": {"rlike": "^name-1[0-3]$"}}, lambda r: r["name"] in ("name-10", "name-11", "name-12", "name-13")),
    ({"name": {"starts_with": "name-99"}}, lambda r: r["name"].startswith("name-99")),
    ({"name": {"ends_with": "77"}}, lambda r: r["name"].endswith("77")),
    ({"name": {"contains": "-12"}}, lambda r: "-12" in r["name"]),
    ({"name": {"not_like": "name-%1%"}, "id": {"<": 15}}, lambda r: "1" not in r["name"] and r["id"] < 15),
    ({"hired": {">": "2022-09-20"}}, lambda r: r["hired"] > datetime.date(2022, 9, 20)),
    ({"or": [{"id": 3}, {"and": [{"id": {">": 990}}, {"not": {"department": "Sales"}}]}]}, lambda r: r["id"] == 3 or (r["id"] > 990 and r["department"] != "Sales")),
    ({}, lambda r: True),
]


@pytest.mark.parametrize("filters, expected", FILTERS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else "")
def test_filters(api, users, filters, expected):
    path, table = users
    answer = api.ok("/v1/datasets/query", {"path": str(path), "filters": filters, "columns": ["id"], "limit": 2000})
    wanted = [row["id"] for row in table.to_pylist() if expected(row)]
    assert ids(answer) == wanted and answer["stats"]["total_rows"] == len(wanted)
    assert api.ok("/v1/datasets/count", {"path": str(path), "filters": filters})["count"] == len(wanted)


def test_odd_names_of_columns(api, tmp_path):
    """Filters, orders and partitions by names with capitals, dots, blanks, quotes, other letters."""
    names = ["Name", "a.b", "Straße", " sp ace ", "x`y", "and", "-minus"]
    for part in (1, 2):
        (tmp_path / f"Part={part}").mkdir()
        columns = {name: [f"v{part}{i}" for i in range(4)] for name in names}
        pq.write_table(pa.table({"Id": [part * 10 + i for i in range(4)], **columns}), tmp_path / f"Part={part}" / "x.parquet")
    data = {"path": str(tmp_path)}
    for name in names:
        quoted = "`" + name.replace("`", "``") + "`"
        asked = {**data, "columns": ["Id", quoted], "filters": {quoted: {">": "v12"}}, "order_by": [f"-{quoted}"], "limit": 2}
        assert api.ok("/v1/datasets/query", asked)["data"] == [{"Id": 23, name: "v23"}, {"Id": 22, name: "v22"}]
        assert api.ok("/v1/datasets/count", {**data, "filters": {"not": {quoted: "v10"}}})["count"] == 7
    answer = api.ok("/v1/datasets/query", {**data, "columns": ["Id"], "filters": {"Part": 2, "Id": {"<": 22}}})
    assert answer["data"] == [{"Id": 20}, {"Id": 21}] and answer["stats"]["files_pruned"] == 1
    found = api.ok("/v1/datasets/partitions", {**data, "filters": {"Part": 1}})["partitions"]
    assert found == [{"values": {"Part": 1}, "rows": 4}]


def test_a_timestamp_that_is_none_is_named(api, tmp_path):
    path = new_table(api, tmp_path)
    problem = api.refused("/v1/datasets/query", {"path": path, "format": "delta", "timestamp": "soon"}, 400, "DELTA_TIMESTAMP_INVALID")
    assert problem["parameters"] == {"expr": "soon"} and "soon" in problem["detail"]


def test_order_limit_and_totals(api, users):
    path = str(users[0])
    answer = api.ok("/v1/datasets/query", {"path": path, "order_by": ["department", "-id"], "limit": 2, "columns": ["id", "department"], "include_total": True})
    assert answer["data"] == [{"id": 999, "department": "Engineering"}, {"id": 996, "department": "Engineering"}]
    assert answer["truncated"] and answer["next_cursor"] is None and answer["stats"]["total_rows"] == 1000
    answer = api.ok("/v1/datasets/query", {"path": path, "order_by": [{"column": "age", "nulls": "last"}, "id"], "limit": 1})
    assert answer["data"][0]["age"] == 21 and answer["data"][0]["hired"].startswith("20")


def write_old(file, ids, seconds_ago):
    """A file of rows that was written some time ago."""
    pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), "text": [f"row {i}" for i in ids]}), file, row_group_size=1000, compression="none")
    then = time.time() - seconds_ago
    os.utime(file, (then, then))


def test_changed_files_are_seen_at_once(api, tmp_path):
    folder = tmp_path / "changing"
    folder.mkdir()
    query = {"path": str(folder), "limit": 10_000, "order_by": ["id"]}

    def seen(**fields):
        return ids(api.ok("/v1/datasets/query", {**query, **fields}))

    write_old(folder / "a.parquet", range(10), 100)
    for _ in range(3):
        assert seen() == list(range(10))
        assert seen(filters={"id": 7}) == [7]
    # A file more, one with other rows and no more bytes, other columns, a file less.
    write_old(folder / "b.parquet", range(10, 20), 90)
    assert seen() == list(range(20)) and seen(filters={"id": 13}) == [13]
    size = (folder / "b.parquet").stat().st_size
    write_old(folder / "b.parquet", range(30, 40), 80)
    assert (folder / "b.parquet").stat().st_size == size
    assert seen(filters={"id": 13}) == [] and seen(filters={"id": {">": 36}}) == [37, 38, 39]
    pq.write_table(pa.table({"id": pa.array([50], pa.int64()), "more": [1.5]}), folder / "a.parquet")
    assert api.ok("/v1/datasets/query", {**query, "filters": {"more": 1.5}})["data"] == [{"id": 50, "more": 1.5}]
    (folder / "a.parquet").unlink()
    assert seen() == list(range(30, 40))
    # What was written this very moment, twice.
    for first in range(0, 200, 10):
        pq.write_table(pa.table({"id": pa.array(range(first, first + 10), pa.int64())}), folder / "b.parquet")
        assert seen() == list(range(first, first + 10))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    api.refused("/v1/datasets/query", query, 404, "PATH_NOT_FOUND", "path")


def test_points_and_limits(api, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(8):
        write_old(folder / f"{number}.parquet", range(number * 5000, number * 5000 + 5000), 60)
    path = str(folder)
    for wanted in (0, 4999, 5000, 17_001, 39_999):
        answer = api.ok("/v1/datasets/query", {"path": path, "filters": {"id": wanted}})
        assert answer["data"] == [{"id": wanted, "text": f"row {wanted}"}] and not answer["truncated"]
        assert answer["stats"]["files_pruned"] == 7 and answer["stats"]["rows_scanned"] <= 1000
    for wanted in (-1, 40_000):
        answer = api.ok("/v1/datasets/query", {"path": path, "filters": {"id": wanted}})
        assert answer["data"] == [] and answer["stats"]["files_pruned"] == 8
        assert api.ok("/v1/datasets/count", {"path": path, "filters": {"id": wanted}})["count"] == 0
    between = {"id": {"between": [4990, 5009]}, "text": {"ends_with": "9"}}
    answer = api.ok("/v1/datasets/query", {"path": path, "filters": between, "order_by": ["-id"]})
    assert ids(answer) == [5009, 4999] and answer["stats"]["files_pruned"] == 6
    for limit in (1, 999, 1000, 5000, 5001, 39_999, 40_000, 50_000):
        answer = api.ok("/v1/datasets/query", {"path": path, "limit": limit, "columns": ["id"]})
        assert len(set(ids(answer))) == min(limit, 40_000) and answer["truncated"] == (limit < 40_000)
    answer = api.ok("/v1/datasets/query", {"path": path, "filters": {"id": {">=": 100}}, "limit": 7})
    assert len(ids(answer)) == 7 and min(ids(answer)) >= 100 and answer["truncated"]


INJECTIONS = ["' OR 1=1 --", "x'); DROP TABLE t; --", "\\' OR \\'1\\'=\\'1", '"; SELECT 1', "` OR true", "${spark.app.id}", "\0", "%"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_values_are_never_code(api, users, text):
    path = str(users[0])
    for filters in ({"name": text}, {"name": {"in": [text]}}, {"name": {"contains": text}}, {"department": {"starts_with": text}}):
        answer = api.ok("/v1/datasets/query", {"path": path, "filters": filters, "limit": 5})
        assert answer["data"] == []
    for body in ({"filters": {text: 1}}, {"columns": [text]}, {"order_by": [text]}, {"columns": [f"id, {text}"]}):
        response = api.post("/v1/datasets/query", {"path": path, **body})
        assert response.status_code == 400 and response.json()["field"], response.text


@pytest.mark.parametrize(
    "body, field",
    [
        ({"filters": {"nope": 1}}, "filters.nope"),
        ({"filters": {"id": {"~": 1}}}, "filters.id.~"),
        ({"filters": {"id": {}}}, "filters.id"),
        ({"filters": {"or": [{"id": {"between": [1]}}]}}, "filters.or[0].id.between"),
        ({"filters": 5}, "filters"),
        ({"columns": []}, "columns"),
        ({"columns": ["id", "nope"]}, "columns[1]"),
        ({"order_by": ["-nope"]}, "order_by[0]"),
        ({"order_by": [{"column": "id", "nulls": "middle"}]}, "order_by[0].nulls"),
        ({"limit": 0}, "limit"),
        ({"limit": 100001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"version": 1}, "version"),
        ({"format": "hudi", "version": 1}, "version"),
        ({"options": {"fs.s3a.secret.key": SECRET}}, "options.fs.s3a.secret.key"),
        ({"table": "t"}, "path"),
        ({"cursor": "x"}, "cursor"),
        ({"wait": 5}, "wait"),
    ],
)
def test_bad_queries_name_the_field(api, users, body, field):
    problem = api.refused("/v1/datasets/query", {"path": str(users[0]), **body}, 400, field=field)
    assert SECRET not in json.dumps(problem)


def test_paths(api):
    api.refused("/v1/datasets/query", {"path": "relative/x.parquet"}, 400, "INVALID_REQUEST", "path")
    api.refused("/v1/datasets/query", {"paths": ["/tmp", "../etc"]}, 400, "INVALID_REQUEST", "paths[1]")
    api.refused("/v1/datasets/query", {"path": "/no/such/place"}, 404, "PATH_NOT_FOUND", "path")
    api.refused("/v1/datasets/query", {"table": "no_table"}, 404, "TABLE_OR_VIEW_NOT_FOUND", "table")


def test_pages_of_files(api, users, tmp_path):
    folder = tmp_path / "paged"
    folder.mkdir()
    table = users[1]
    pq.write_table(table, folder / "a.parquet")
    for order in ([], ["department"]):
        body = {"path": str(folder), "columns": ["id"], "order_by": order, "limit": 130, "paginate": True}
        answer = api.ok("/v1/datasets/query", body)
        seen = ids(answer)
        while answer["next_cursor"]:
            answer = api.ok("/v1/datasets/query", {"cursor": answer["next_cursor"]})
            seen += ids(answer)
        assert sorted(seen) == list(range(1000))
    answer = api.ok("/v1/datasets/query", {"path": str(folder), "limit": 10, "paginate": True})
    cursor = answer["next_cursor"]
    assert ids(api.ok("/v1/datasets/query", {"cursor": cursor, "limit": 2})) == [10, 11]
    api.refused("/v1/datasets/query", {"cursor": cursor[:-2] + "xx"}, 400, "INVALID_CURSOR", "cursor")
    api.refused("/v1/datasets/query", {"cursor": cursor, "path": "/x"}, 400, "INVALID_REQUEST", "cursor")
    pq.write_table(table, folder / "b.parquet")
    api.refused("/v1/datasets/query", {"cursor": cursor}, 410, "CURSOR_EXPIRED", "cursor")


def test_pages_of_a_delta_table_that_changes(api, tmp_path):
    path = new_table(api, tmp_path)
    answer = api.ok("/v1/datasets/query", {"path": path, "format": "delta", "limit": 4, "paginate": True, "order_by": ["id"]})
    assert answer["stats"]["version"] == 0
    api.job("/v1/delta/delete", {"path": path, "filters": {"id": {">": 3}}})
    seen = ids(answer)
    while answer["next_cursor"]:
        answer = api.ok("/v1/datasets/query", {"cursor": answer["next_cursor"]})
        seen += ids(answer)
    assert seen == list(range(10))


def test_sample_summary_schema(api, users):
    path = str(users[0])
    first = api.ok("/v1/datasets/sample", {"path": path, "rows": 20, "seed": 7})
    again = api.ok("/v1/datasets/sample", {"path": path, "rows": 20, "seed": 7})
    other = api.ok("/v1/datasets/sample", {"path": path, "rows": 20, "seed": 8})
    assert len(first["data"]) == 20 and first["data"] == again["data"] != other["data"]
    part = api.ok("/v1/datasets/sample", {"path": path, "fraction": 0.1, "columns": ["id"]})
    assert 50 < len(part["data"]) < 150
    summary = api.ok("/v1/datasets/summary", {"path": path, "quantiles": [0.5], "histogram_bins": 4})
    figures = {column["name"]: column for column in summary["columns"]}
    assert summary["row_count"] == 1000
    assert figures["age"]["nulls"] == 100 and figures["age"]["count"] == 900
    assert figures["id"]["min"] == 0 and figures["id"]["max"] == 999 and figures["id"]["mean"] == 499.5
    assert abs(figures["id"]["quantiles"]["0.5"] - 499) <= 1 and abs(figures["id"]["distinct"] - 1000) < 50
    assert [bin["count"] for bin in figures["id"]["histogram"]] == [250, 250, 250, 250]
    assert figures["name"]["mean"] is None and figures["name"]["max"] == "name-999"
    schema = api.ok("/v1/datasets/schema", {"path": path})
    assert {"name": "hired", "type": "date", "nullable": True} in schema["columns"]
    assert schema["schema"]["fields"][0]["type"] == "long"


def test_other_forms_of_a_query(api, users):
    response = api.post("/v1/datasets/query", {"path": str(users[0]), "filters": {"id": {"<": 3}}, "columns": ["id", "name"]}, Accept="text/csv")
    assert response.text == "id,name\n0,name-0\n1,name-1\n2,name-2\n"
    response = api.post("/v1/datasets/query", {"path": str(users[0])}, Accept=ARROW)
    assert pa.ipc.open_stream(response.content).read_all().num_rows == 1000


def test_tables(api, tmp_path):
    name = "t" + uuid.uuid4().hex[:8]
    assert api.sql(f"CREATE TABLE {name} USING parquet PARTITIONED BY (part) AS SELECT id, id % 3 AS part FROM range(30)")["state"] == "succeeded"
    found = [table for table in api.get(f"/v1/tables?pattern={name}").json()["tables"]]
    assert found[0]["name"] == name and found[0]["kind"] == "table" and found[0]["format"] == "parquet"
    assert [column["name"] for column in api.get(f"/v1/tables/{name}").json()["columns"]] == ["id", "part"]
    answer = api.get(f"/v1/tables/default.{name}/rows", params={"columns": "id", "filters": '{"part": 1}', "order_by": "-id", "limit": 3}).json()
    assert ids(answer) == [28, 25, 22]
    answer = api.get(f"/v1/tables/{name}/rows", params={"cursor": answer["next_cursor"], "limit": 2}).json()
    assert ids(answer) == [19, 16]
    partitions = api.ok("/v1/datasets/partitions", {"table": name})
    assert partitions["partition_columns"] == ["part"] and [p["rows"] for p in partitions["partitions"]] == [10, 10, 10]
    assert api.get("/v1/tables?schema=nowhere").status_code == 404
    assert api.get(f"/v1/tables/{name}/rows?filters=x").json()["field"] == "filters"


def test_an_iceberg_table(api, tmp_path):
    path, name = str(tmp_path / "iceberg"), "i" + uuid.uuid4().hex[:8]
    assert api.sql(f"CREATE TABLE {name} (id INT, part INT) USING iceberg PARTITIONED BY (part) LOCATION '{path}'")["state"] == "succeeded"
    assert api.sql(f"INSERT INTO {name} VALUES (1, 0), (2, 1)")["state"] == "succeeded"
    [snapshot] = api.sql(f"SELECT snapshot_id FROM default.{name}.snapshots")["data"]
    assert api.sql(f"INSERT INTO {name} VALUES (3, 1)")["state"] == "succeeded"
    asked = {"path": path, "format": "iceberg", "order_by": ["id"]}
    assert ids(api.ok("/v1/datasets/query", {**asked, "filters": {"part": 1}})) == [2, 3]
    assert ids(api.ok("/v1/datasets/query", {**asked, "version": snapshot["snapshot_id"]})) == [1, 2]
    assert api.ok("/v1/datasets/count", {"table": name})["count"] == 3


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """A file of ten row groups, each with its own range of every column; in one `age` is always NULL."""
    rows = []
    for group in range(10):
        for i in range(100):
            number = group * 1000 + i
            age = None if group == 3 or i == 50 else number / 2 if (group, i) != (5, 7) else float("nan")
            rows.append({"id": number, "name": f"{chr(97 + group) * 80}{i:03}", "age": age, "day": datetime.date(2020 + group, 1, 1 + i % 28)})
    schema = pa.schema([("id", pa.int32()), ("name", pa.string()), ("age", pa.float64()), ("day", pa.date32())])
    path = tmp_path_factory.mktemp("grouped") / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=100)
    assert pq.ParquetFile(path).num_row_groups == 10
    return path, rows


def is_above(value, bound):
    """As Spark has it: NaN is greater than all numbers."""
    return value is not None and (value != value or value > bound)


@pytest.mark.parametrize(
    "filters, wanted",
    [
        ({"id": 4005}, lambda row: row["id"] == 4005),
        ({"id": {">=": 2090, "<": 3010}}, lambda row: 2090 <= row["id"] < 3010),
        ({"id": [17, 9099, 5500]}, lambda row: row["id"] in (17, 9099)),
        ({"id": {"not_between": [50, 9050]}}, lambda row: not 50 <= row["id"] <= 9050),
        ({"or": [{"id": {"<": 3}}, {"name": {"starts_with": "jjj"}}]}, lambda row: row["id"] < 3 or row["name"].startswith("jjj")),
        ({"not": {"id": {"<": 9098}}}, lambda row: row["id"] >= 9098),
        ({"name": "c" * 80 + "042"}, lambda row: row["name"] == "c" * 80 + "042"),
        ({"name": {">": "i" * 80 + "099"}}, lambda row: row["name"] > "i" * 80 + "099"),
        ({"age": None}, lambda row: row["age"] is None),
        ({"age": None, "id": {">": 9000}}, lambda row: row["age"] is None and row["id"] > 9000),
        ({"age": {"is_not_null": True}, "id": {"between": [3000, 3999]}}, lambda row: False),
        ({"age": {">": 4530}}, lambda row: is_above(row["age"], 4530)),
        ({"day": "2024-01-03", "id": {"<=": 4030}}, lambda row: row["day"] == datetime.date(2024, 1, 3) and row["id"] <= 4030),
        ({"day": {"<": "2020-01-02"}}, lambda row: row["day"] < datetime.date(2020, 1, 2)),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_parts_of_a_file_are_left_out(api, grouped, filters, wanted):
    path, rows = grouped
    answer = api.ok("/v1/datasets/query", {"path": str(path), "filters": filters, "columns": ["id"]})
    assert ids(answer) == [row["id"] for row in rows if wanted(row)]
    count = api.ok("/v1/datasets/count", {"path": str(path), "filters": filters})
    assert count["count"] == len(answer["data"])


def test_a_file_without_a_part_that_fits_is_not_read(api, grouped):
    path, _ = grouped
    answer = api.ok("/v1/datasets/query", {"path": str(path), "filters": {"id": 4500}})
    assert answer["data"] == [] and answer["stats"]["files_pruned"] == 1 and answer["stats"]["bytes_scanned"] == 0
    first = api.ok("/v1/datasets/query", {"path": str(path), "limit": 3})
    assert ids(first) == [0, 1, 2] and first["truncated"] and first["stats"]["files_pruned"] == 0
