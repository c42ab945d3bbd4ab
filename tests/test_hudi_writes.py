"""Hudi tables that Firesteel writes, beside those that real Spark with Hudi's own writer makes by the same writes.

Each table is changed here and there in turns, and read by both. What Spark makes by the same writes alone is the model of
its rows."""
import concurrent.futures
import json
import os
import threading
import time

import pytest
from support import hudi, servers
from support.hudi import DATA, PLAIN, VERSIONS, check_alike, here, instants, options_of, query, rows
from support.outcome import outcome_of

LAYOUTS = {
    "simple": {},
    "hive-style": {"hoodie.datasource.write.hive_style_partitioning": "true"},
    "complex": {"hoodie.datasource.write.recordkey.field": "id,name", "hoodie.datasource.write.partitionpath.field": "part,flag"},
    "plain": {
        "hoodie.datasource.write.partitionpath.field": "",
        "hoodie.datasource.write.keygenerator.class": "org.apache.hudi.keygen.NonpartitionedKeyGenerator",
    },
}

MERGED = {"hoodie.datasource.write.table.type": "MERGE_ON_READ"}
# Hudi's changes go to logs, and are compacted when a test says so.
LOGS = PLAIN | {"hoodie.parquet.small.file.limit": "0", "hoodie.compact.inline": "false"}
COMPACTED = LOGS | {"hoodie.compact.inline": "true", "hoodie.compact.inline.max.delta.commits": "1"}
PLANNED = LOGS | {"hoodie.compact.schedule.inline": "true", "hoodie.compact.inline.max.delta.commits": "1"}


def ours_of(logs):
    """Those that are ours have the time of day in their names: these times."""
    times = (name.rsplit("-", 2)[1] for name in logs)
    return {time for time in times if len(time) == 9}


@pytest.fixture(scope="module")
def hudi_spark(tmp_path_factory):
    session = hudi.Session(tmp_path_factory.mktemp("hudi-session") / "log")
    yield session
    session.close()


# The layouts do not depend on the version.
@pytest.mark.parametrize("version, layout", [(6, "hive-style"), (6, "plain"), *((8, layout) for layout in LAYOUTS)])
def test_writes_in_turns(version, layout, spark, hudi_spark, tmp_path):
    """Insert, upsert with older and newer rows, delete, overwrite: here, then there, then here."""
    path, twin = tmp_path / "table", tmp_path / "twin"
    writes = [
        (query(0, 12, "a", 5), "insert"),
        (query(4, 16, "b", "CASE WHEN id % 3 = 0 THEN 4 ELSE 6 END") if layout != "complex" else query(4, 16, "a", "6"), "upsert"),
        (query(2, 5, "a", 9), "delete"),
        (query(8, 20, "a", "7"), "upsert"),
        (query(9, 11, "a", 1), "delete"),
        (query(30, 33, "o", 8, "'p1'"), "insert_overwrite"),
        (query(30, 36, "o", 9), "upsert"),
        (query(50, 53, "w", 1), "insert_overwrite_table"),
        (query(50, 55, "w", 1), "bulk_insert"),
    ]
    for step, (text, operation) in enumerate(writes):
        options = options_of(version, operation, **LAYOUTS[layout])
        if step in (3, 6):
            hudi_spark.write(text, path, options | PLAIN)
        else:
            here(spark, text, path, options)
        hudi_spark.write(text, twin, options | PLAIN)
        assert rows(spark, path, DATA) == hudi_spark.rows(twin, DATA) != [], (step, operation)
        assert rows(spark, path, "_hoodie_record_key, _hoodie_partition_path, id") == hudi_spark.rows(
            twin, "_hoodie_record_key, _hoodie_partition_path, id"
        )
    assert len(instants(path, version)) == len(writes)
    check_alike(spark, hudi_spark, path, version)
    # Hudi's table of the files is made by its own writer, left out by ours, and made anew.
    for text, is_here in ((query(60, 62, "m", 1), False), (query(60, 63, "m", 2), True), (query(61, 65, "m", 3), False)):
        options = options_of(version, "upsert", **LAYOUTS[layout])
        if is_here:
            assert (path / ".hoodie" / "metadata").exists()
            here(spark, text, path, options)
            assert not (path / ".hoodie" / "metadata").exists()
        else:
            hudi_spark.write(text, path, options | {"hoodie.metadata.enable": "true"})
        hudi_spark.write(text, twin, options | PLAIN)
        assert rows(spark, path, DATA) == hudi_spark.rows(path, DATA) == hudi_spark.rows(twin, DATA)


@pytest.mark.parametrize("version", VERSIONS)
def test_which_record_counts(version, spark, hudi_spark, tmp_path):
    """Rows of one key in one write, rows that are older than those stored, rows that say that they are deleted."""
    path, twin = tmp_path / "table", tmp_path / "twin"
    columns = "id, name, ts, CAST({deleted} AS BOOLEAN) AS _hoodie_is_deleted, 'p' AS part"
    values = lambda text, deleted="false": f"SELECT {columns.format(deleted=deleted)} FROM VALUES {text} AS t(id, name, ts)"  # noqa: E731
    writes = [
        (values("(1, 'a', 3), (1, 'b', 5), (1, 'c', 4), (2, 'a', 1), (3, 'a', 9)"), "upsert"),
        (values("(1, 'old', 4), (2, 'same', 1), (3, 'new', 10), (4, 'x', 1)"), "upsert"),
        (values("(1, 'gone', 4), (2, 'gone', 2), (9, 'never', 1)", "true"), "upsert"),
        (values("(2, 'back', 1), (3, 'kept', 3)"), "upsert"),
        (values("(3, 'd', 0), (7, 'none', 0)"), "delete"),
        (values("(4, 'twice', 7)"), "insert"),
    ]
    by_payload = {"hoodie.datasource.write.payload.class": "org.apache.hudi.common.model.OverwriteWithLatestAvroPayload"}
    by_mode = {"hoodie.write.record.merge.mode": "COMMIT_TIME_ORDERING"}
    by_commit = by_mode if version >= 8 else by_payload
    kinds = [("event", {}), ("commit", by_commit), ("event-merged", MERGED), ("commit-merged", MERGED | by_commit)]
    for kind, merging in kinds if version == 8 else kinds[:3]:
        ours, theirs = path / kind, twin / kind
        for step, (text, operation) in enumerate(writes):
            options = options_of(version, operation, **merging)
            here(spark, text, ours, options)
            hudi_spark.write(text, theirs, options | LOGS)
            found = rows(spark, ours, "id, name, ts")
            assert found == hudi_spark.rows(theirs, "id, name, ts") != [], (kind, step)
        # In version 6 Hudi's changes have a row that its snapshots have not: one that was older than the delete before it.
        since = (-1,) if (kind, version) == ("event-merged", 6) else (0, -1)
        check_alike(spark, hudi_spark, ours, version, since=since)


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_of_spark_are_written(version, spark, hudi_spark, tmp_path):
    """A table that Spark made, with columns that take no NULL; columns in another order, missing ones, new ones."""
    path = tmp_path / "table"
    options = options_of(version)
    first = "SELECT id, concat('a', id) AS name, CAST(1 AS BIGINT) AS ts, CAST(id AS DECIMAL(10, 2)) AS price, CAST(NULL AS INT) AS n, concat('p', id % 2) AS part FROM range(6)"
    hudi_spark.write(first, path, options | {"hoodie.datasource.write.operation": "insert"})
    here(spark, "SELECT concat('p', id % 2) AS part, 2L AS ts, id, CAST(9 AS DECIMAL(10, 2)) AS price, concat('b', id) AS name FROM range(4, 8)", path, options)
    here(spark, "SELECT id, concat('c', id) AS name, 3L AS ts, CAST(id AS TINYINT) AS n, 1.5D AS more, concat('p', id % 2) AS part FROM range(7, 9)", path, options)
    found = check_alike(spark, hudi_spark, path, version)
    rows_now = {row["id"]: row for row in map(json.loads, found)}
    assert [rows_now[id]["name"] for id in range(9)] == ["a0", "a1", "a2", "a3", "b4", "b5", "b6", "c7", "c8"]
    assert (rows_now[8]["n"], rows_now[8]["more"], rows_now[4]["price"]) == (8, 1.5, 9.0)
    assert "more" not in rows_now[4] and "price" not in rows_now[8]
    files = lambda: sorted(file.name for file in path.rglob("*") if file.is_file() and "hoodie_partition_metadata" not in file.name)  # noqa: E731
    states = (lambda: rows(spark, path), files)
    before = [state() for state in states]
    for text, condition in [
        ("SELECT 1L AS id, 'x' AS name, 1L AS ts, 'no number' AS price, 'p' AS part", "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST"),
        ("SELECT 1L AS id, 1L AS ts, 'p' AS part", "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_FIND_DATA"),
        ("SELECT CAST(NULL AS BIGINT) AS id, 'x' AS name, 1L AS ts, 'p' AS part", "NOT_NULL_ASSERT_VIOLATION"),
        ("SELECT 1L AS id, 'x' AS name, 1L AS ts, '../x' AS part", "UNSUPPORTED_FEATURE.FIRESTEEL"),
        ("SELECT 1L AS id, 'x' AS name, 1L AS ts, 'p' AS part, TIMESTAMP_NTZ'2024-01-01 00:00:00' AS t", "UNSUPPORTED_FEATURE.FIRESTEEL"),
        ("SELECT id, 'x' AS name, 1L AS ts, CAST(raise_error('stop') AS STRING) AS part FROM range(3)", "USER_RAISED_EXCEPTION"),
    ]:
        assert outcome_of(lambda text=text: here(spark, text, path, options)).condition == condition, text
        assert [state() for state in states] == before, text
    hudi_spark.write("SELECT id, concat('d', id) AS name, 9L AS ts, CAST(1 AS DECIMAL(10, 2)) AS price, 1 AS n, 2.5D AS more, concat('p', id % 2) AS part FROM range(3, 10)", path, options)
    check_alike(spark, hudi_spark, path, version)


def test_keys_are_made_up(spark, hudi_spark, tmp_path):
    """A table without a record key takes rows alone."""
    path = tmp_path / "table"
    options = {"hoodie.table.name": "t"}
    here(spark, "SELECT id, 'a' AS name FROM range(3)", path, options)
    here(spark, "SELECT id, 'b' AS name FROM range(3)", path, options)
    hudi_spark.write("SELECT id, 'c' AS name FROM range(2)", path, options | PLAIN)
    here(spark, "SELECT id, 'd' AS name FROM range(1)", path, options)
    found = check_alike(spark, hudi_spark, path, 8)
    assert sorted(json.loads(row)["name"] for row in found) == list("aaabbbccd")
    assert len({json.loads(row)["_hoodie_record_key"] for row in found}) == 9
    for operation in ("upsert", "delete"):
        outcome = outcome_of(lambda: here(spark, "SELECT 1L AS id, '' AS name", path, options | {"hoodie.datasource.write.operation": operation}))
        assert "without record keys" in outcome.text


@pytest.mark.parametrize("version", VERSIONS)
def test_merge_on_read_in_turns(version, spark, hudi_spark, tmp_path):
    """Logs of ours under Hudi's and over them, before, under and after Hudi's compactions. What a copy-on-write table has after
    the same writes is the model."""
    path, twin = tmp_path / "table", tmp_path / "twin"
    writes = [
        (query(0, 12, "a", 5), "insert", None),
        (query(4, 16, "b", "CASE WHEN id % 3 = 0 THEN 4 ELSE 6 END"), "upsert", None),
        (query(8, 18, "c", 7), "upsert", LOGS),
        (query(2, 9, "", 1), "delete", None),
        (query(6, 10, "d", "CASE WHEN id = 9 THEN 6 ELSE 8 END"), "upsert", None),
        (query(10, 12, "e", 8), "upsert", COMPACTED | {"hoodie.metadata.enable": "true"}),
        (query(9, 14, "f", "id - 2"), "upsert", None),
        (query(12, 13, "g", 20), "upsert", PLANNED),
        (query(11, 20, "h", 21), "upsert", None),
        (query(11, 13, "", 1), "delete", None),
        (query(12, 14, "i", 22), "upsert", COMPACTED),
        (query(30, 33, "o", 8, "'p1'"), "insert_overwrite", None),
        (query(30, 36, "o", 9), "upsert", None),
    ]
    for step, (text, operation, there) in enumerate(writes):
        options = options_of(version, operation)
        if there:
            hudi_spark.write(text, path, options | MERGED | there)
        else:
            here(spark, text, path, options | MERGED)
        here(spark, text, twin, options)
        assert rows(spark, path, DATA) == rows(spark, twin, DATA) == hudi_spark.rows(path, DATA) != [], (step, operation)
        assert (path / ".hoodie" / "metadata").exists() == ((there or {}).get("hoodie.metadata.enable") == "true")
    check_alike(spark, hudi_spark, path, version)
    optimized = {"hoodie.datasource.query.type": "read_optimized"}
    assert rows(spark, path, **optimized) == hudi_spark.rows(path, **optimized) != rows(spark, path)
    own = "_hoodie_record_key, _hoodie_partition_path, id"
    assert rows(spark, path, own) == rows(spark, twin, own)
    if version == 6:
        # Hudi would make its table of the files anew without the logs of a slice that is planned.
        hudi_spark.write(query(31, 32, "p", 10), path, options_of(version, "upsert", **MERGED) | PLANNED | {"hoodie.metadata.enable": "true"})
        outcome = outcome_of(lambda: here(spark, query(31, 32, "q", 11), path, options_of(version, "upsert", **MERGED)))
        assert outcome.condition == "UNSUPPORTED_FEATURE.FIRESTEEL" and "metadata table while its compaction" in outcome.text
        assert rows(spark, path, DATA) == hudi_spark.rows(path, DATA)
    logs = [file.name for file in path.rglob(".*.log.*") if not file.name.endswith(".crc")]
    assert len(logs) > len(ours_of(logs)) > 4


def test_keys_that_come_again(spark, hudi_spark, tmp_path):
    """Deletes in logs, and later records of their keys, whatever the type of the precombine field."""
    for order in ("INT", "STRING", "DATE", "TIMESTAMP", "DOUBLE", "DECIMAL(12, 3)"):
        path, options = tmp_path / order.lower(), options_of(8, **MERGED)
        at = {"STRING": "'t{}'", "DATE": "DATE '2024-01-0{}'", "TIMESTAMP": "TIMESTAMP '2024-01-01 00:00:0{}'"}.get(order, "{}")
        text = lambda first, end, ts, name: (  # noqa: E731
            f"SELECT id, '{name}' AS name, CAST({at.format(ts)} AS {order}) AS ts, 'p' AS part FROM range({first}, {end})"  # noqa: B023
        )
        here(spark, text(0, 6, 5, "a"), path, options)
        delete = lambda: here(spark, text(2, 4, 1, ""), path, options | {"hoodie.datasource.write.operation": "delete"})  # noqa: B023, E731
        if order.startswith("DECIMAL"):
            outcome = outcome_of(delete)
            assert outcome.condition == "UNSUPPORTED_FEATURE.FIRESTEEL" and "precombine" in outcome.text
            assert len(instants(path, 8)) == 1 and not list(path.rglob(".*.log.*"))
            continue
        delete()
        assert rows(spark, path) == hudi_spark.rows(path)
        here(spark, text(3, 7, 6, "b"), path, options)
        found = check_alike(spark, hudi_spark, path, 8)
        assert sorted(json.loads(row)["id"] for row in found) == [0, 1, 3, 4, 5, 6]
        if order == "STRING":
            hudi_spark.write(text(0, 1, 7, "c"), path, options | COMPACTED)
            assert rows(spark, path, "id, name, ts") == hudi_spark.rows(path, "id, name, ts")
    # Where a group has logs alone, its keys are not known.
    for file in path.parent.joinpath("int").rglob("*_*.parquet"):
        file.unlink()
    outcome = outcome_of(lambda: here(spark, "SELECT 1L AS id, 'x' AS name, 1 AS ts, 'p' AS part", path.parent / "int", options_of(8, **MERGED)))
    assert outcome.condition == "UNSUPPORTED_FEATURE.FIRESTEEL" and "logs alone" in outcome.text


def test_modes_and_options(spark, tmp_path):
    path = tmp_path / "table"
    options = options_of(8)
    assert "hoodie.table.name" in outcome_of(lambda: here(spark, query(0, 2, "a", 1), path, {})).text
    assert not path.exists()
    here(spark, query(0, 2, "a", 1), path, options, "error")
    assert outcome_of(lambda: here(spark, query(0, 2, "a", 1), path, options, "error")).condition == "PATH_ALREADY_EXISTS"
    here(spark, query(5, 9, "a", 1), path, options, "ignore")
    assert len(rows(spark, path)) == 2
    here(spark, "SELECT 7L AS id, 1.5D AS other, 1L AS ts, 'q' AS part", path, options, "overwrite")
    assert rows(spark, path, "id, other, part") == ['{"id":7,"other":1.5,"part":"q"}']
    for wrong in (
        {"hoodie.datasource.write.recordkey.field": "name"},
        {"hoodie.datasource.write.partitionpath.field": "name"},
        {"hoodie.index.type": "GLOBAL_SIMPLE"},
        {"hoodie.write.concurrency.mode": "optimistic_concurrency_control"},
        {"hoodie.datasource.write.operation": "upsert_prepped"},
        {"hoodie.datasource.write.keygenerator.class": "org.apache.hudi.keygen.TimestampBasedKeyGenerator"},
    ):
        outcome = outcome_of(lambda wrong=wrong: here(spark, query(0, 2, "a", 1), path, options | wrong))
        assert outcome.text, wrong
    assert len(instants(path, 8)) == 2
    for index, wrong in enumerate(({"hoodie.datasource.write.recordkey.field": "nowhere"}, {"hoodie.write.table.version": "5"})):
        assert outcome_of(lambda: here(spark, query(0, 2, "a", 1), tmp_path / f"new{index}", options | wrong)).text
        assert not list((tmp_path / f"new{index}").rglob("*"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("kept")
    assert "other files" in outcome_of(lambda: here(spark, query(0, 2, "a", 1), tmp_path / "other", options)).text
    assert outcome_of(lambda: here(spark, "SELECT 1L AS id, 1L AS ts, 'p' AS part, raise_error('x') AS y", tmp_path / "failed", options)).text
    assert not [file for file in (tmp_path / "failed").rglob("*") if file.suffix == ".properties"]


def markers(path):
    """Marks of the files that writers are at; folders may go meanwhile."""
    return {f"{folder}/{name}" for folder, _, names in os.walk(path / ".hoodie" / ".temp") for name in names if ".marker." in name}


@pytest.mark.parametrize("version, kind", [(6, {}), (8, {}), (6, MERGED), (8, MERGED)])
def test_killed_writer(version, kind, hudi_spark, tmp_path):
    """A server that is killed while it writes leaves the table as it was, for readers and writers of both kinds."""
    path = tmp_path / "table"
    options = options_of(version, **kind)
    big = "SELECT id, concat('k', id) AS name, 5L AS ts, concat('p', id % 4) AS part, uuid() AS filler FROM range({})"
    server = servers.start_firesteel()
    spark = servers.connect(server.remote)
    here(spark, big.format(1000), path, options)
    before = rows(spark, path)
    kills = 0
    # At the first file it writes, and later: how much later a write still goes on, the machine decides.
    for delay in (0, 0.2, 0.6) if (version, kind) == (8, {}) else (0,):
        old = markers(path)
        writer = threading.Thread(target=lambda session=spark: outcome_of(lambda: here(session, big.format(400_000), path, options)), daemon=True)
        writer.start()
        done = len(instants(path, version))
        deadline = time.monotonic() + 20
        while not markers(path) - old and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        server.process.kill()
        server.process.wait()
        server.close()
        server = servers.start_firesteel()
        spark = servers.connect(server.remote)
        if len(instants(path, version)) == done:
            kills += 1
            assert rows(spark, path) == before
            assert hudi_spark.rows(path) == before
        else:
            before = rows(spark, path)
    assert kills, "every write was complete before its server was killed"
    # What is left goes with the next write, here or there.
    writers = [
        lambda: here(spark, "SELECT 1L AS id, 'ours' AS name, 9L AS ts, 'p1' AS part, '' AS filler", path, options),
        lambda: hudi_spark.write("SELECT 2L AS id, 'theirs' AS name, 9L AS ts, 'p2' AS part, '' AS filler", path, options),
    ]
    for write in writers if version == 8 and kind else reversed(writers):
        write()
    found = check_alike(spark, hudi_spark, path, version)
    changed = {row["id"]: row["name"] for row in map(json.loads, found) if row["id"] in (1, 2)}
    assert changed == {1: "ours", 2: "theirs"} and len(found) == len(before)
    folder = path / ".hoodie" / "timeline" if version >= 8 else path / ".hoodie"
    ended = {file.name.split(".")[0].split("_")[0] for file in folder.glob("*") if file.suffix not in (".requested", ".inflight", ".crc")}
    assert not {file.name.split(".")[0] for file in folder.glob("*.inflight")} - ended, sorted(os.listdir(folder))
    known = {name for name, _ in instants(path, version)}
    assert {file.stem.rsplit("_", 1)[1] for file in path.rglob("*-*_*.parquet") if ".hoodie" not in file.parts} <= known
    logs = [file.name for file in path.rglob(".*-*.log.*") if ".hoodie" not in file.parts]
    assert {name.split(".log.")[0].rsplit("_", 1)[1] for name in logs} <= known and bool(logs) == bool(kind)
    # Hudi's rollback leaves those of version 6, and a block that says that they do not count.
    assert version == 6 or ours_of(logs) <= {instant[8:] for instant in known}
    server.close()


@pytest.mark.parametrize("version, kind", [(8, {}), (6, MERGED)])
def test_writers_at_once(version, kind, spark, firesteel, hudi_spark, tmp_path):
    """Writers in one server wait for each other: no row is lost."""

    path = tmp_path / "table"
    options = options_of(version, **kind)
    here(spark, "SELECT 0L AS id, -1L AS ts, 'p' AS part, 0 AS writer", path, options)

    def write(writer):
        session = servers.connect(firesteel)
        for step in range(4):
            here(session, f"SELECT id, {writer * 10 + step}L AS ts, 'p' AS part, {writer} AS writer FROM range({writer * 5}, {writer * 5 + 10})", path, options)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = [json.loads(row) for row in check_alike(spark, hudi_spark, path, version)]
    assert sorted(row["id"] for row in found) == list(range(25))
    assert all(row["ts"] % 10 == 3 and row["writer"] == min(row["id"] // 5, 3) for row in found)
    assert len(instants(path, version)) == 17


@pytest.mark.parametrize("kind", [{}, MERGED])
def test_another_writer_was_faster(kind, spark, tmp_path):
    """A write whose files another process has changed since it began fails, and leaves the other's change."""
    path, options = tmp_path / "table", options_of(8, **kind)
    big = "SELECT id, concat('{}', id) AS name, {}L AS ts, 'p' AS part, uuid() AS filler FROM range({})"
    here(spark, big.format("a", 1, 300_000), path, options)
    other = servers.start_firesteel()
    try:
        session = servers.connect(other.remote)

        conflicts = 0
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for _ in range(10):
                old = markers(path)
                slow = pool.submit(lambda: outcome_of(lambda: here(spark, big.format("b", 2, 300_000), path, options)))
                deadline = time.monotonic() + 20
                while not markers(path) - old and time.monotonic() < deadline:
                    time.sleep(0.005)
                fast = outcome_of(lambda: here(session, big.format("c", 3, 10), path, options))
                outcomes = [slow.result(), fast]
                failed = [outcome for outcome in outcomes if outcome.failed]
                assert len(failed) < 2 and all("overlapping writes" in outcome.text for outcome in failed), failed
                conflicts += len(failed)
                if conflicts:
                    break
        assert conflicts
        assert len(rows(spark, path, "id")) == 300_000
        assert rows(spark, path) == rows(session, path)
        assert not list((path / ".hoodie" / ".temp").iterdir())
    finally:
        other.close()
