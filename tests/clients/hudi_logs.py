"""Writes merge-on-read Hudi tables with Spark, and what Spark reads of them to `logs.json`: `hudi_logs.py BUNDLE FOLDER`."""
import json
import pathlib
import shutil
import sys

from hudi_tables import instants, session, table_options

FOLDER = pathlib.Path(sys.argv[2])
spark = session(sys.argv[1])

PAYLOADS = "org.apache.hudi.common.model"
# How a table says which of two records is the one that counts, by version.
EVENT = {
    6: {"hoodie.datasource.write.payload.class": f"{PAYLOADS}.DefaultHoodieRecordPayload"},
    8: {"hoodie.write.record.merge.mode": "EVENT_TIME_ORDERING"},
}
COMMIT = {
    6: {"hoodie.datasource.write.payload.class": f"{PAYLOADS}.OverwriteWithLatestAvroPayload"},
    8: {"hoodie.write.record.merge.mode": "COMMIT_TIME_ORDERING"},
}
CUSTOM = {"hoodie.datasource.write.payload.class": f"{PAYLOADS}.PartialUpdateAvroPayload"}
# Updates go to logs, whatever the size of the base files.
LOGS = {"hoodie.parquet.small.file.limit": "0", "hoodie.compact.inline": "false"}


def records(text, ts, ids, *, gone="false", order="BIGINT", more=""):
    """A query with records of every kind of type."""
    return f"""SELECT id, concat('{text}', id) AS name, CAST(id / 4 AS DECIMAL(10, 2)) AS price, CAST({ts} AS {order}) AS ts,
        date_add(DATE '2024-01-01', CAST(id AS INT)) AS day, TIMESTAMP '2024-01-01 10:00:00' + make_interval(0, 0, 0, 0, 0, 0, id) AS at,
        array('{text}', CAST(id AS STRING)) AS tags, map('{text}', CAST(id AS INT)) AS props, named_struct('a', id, 'b', '{text}') AS inner,
        CAST(id AS DOUBLE) / 3 AS score, IF(id % 3 = 0, NULL, CAST(id AS INT)) AS maybe, CAST('{text}' AS BINARY) AS raw,
        {gone} AS _hoodie_is_deleted, concat('p', id % 2) AS part {more} FROM (SELECT explode(array({ids})) AS id)"""


# Operation, records. Some come late, some delete by a column.
CHANGES = [
    ("insert", records("a", 10, "0L, 1L, 2L, 3L, 4L, 5L, 6L, 7L")),
    ("upsert", records("b", 20, "1L, 2L, 3L, 8L")),
    ("upsert", records("late", 5, "1L, 4L")),
    ("delete", records("", 20, "3L")),
    ("upsert", records("gone", 30, "1L, 5L", gone="true")),
    ("upsert", records("never", 1, "2L", gone="true")),
    ("upsert", records("again", 40, "5L")),
    ("upsert", records("more", 50, "6L, 9L", more=", IF(id > 100, NULL, 'new') AS note")),
]
CONDITIONS = ["name LIKE 'a%'", "id = 1", "ts < 20", "part = 'p1' AND ts >= 20", "maybe IS NULL", "id IN (2, 5, 9)"]


def write(path, version, operation, query, *, mode="append", **extra):
    options = table_options("t", version, "MERGE_ON_READ") | LOGS | extra | {"hoodie.datasource.write.operation": operation}
    spark.sql(query).write.format("hudi").options(**options).mode(mode).save(str(path))


def rows(path, *conditions, **options):
    frame = spark.read.format("hudi").options(**options).load(str(path))
    for condition in conditions:
        frame = frame.where(condition)
    return sorted(row[0] for row in frame.selectExpr("to_json(struct(*))").collect())


def answer(ask):
    """What Spark answers; its error where it has none."""
    try:
        return ask()
    except Exception as error:  # noqa: BLE001
        return {"error": str(error)[:300]}


def ranges(count):
    """Bounds of incremental queries: two writes, and all that came after each second one."""
    pairs = [(begin, begin + 1) for begin in range(count - 1)]
    return [(0, 0), *pairs, *((begin, count - 1) for begin in range(0, count, 2))]


def answers(path, version, *, all_reads):
    """What Spark reads of a table."""
    frame = spark.read.format("hudi").load(str(path))
    found = {"path": str(path), "rows": answer(lambda: rows(path)), "schema": frame.schema.simpleString(), "count": answer(frame.count)}
    if not all_reads:
        return found
    done = instants(path, version >= 8)
    kinds = ("hoodie.datasource.read.begin.instanttime", "hoodie.datasource.read.end.instanttime")
    changes = []
    for bounds in ranges(len(done)):
        options = {"hoodie.datasource.query.type": "incremental"} | {kind: done[bound][1] for kind, bound in zip(kinds, bounds)}
        changes.append({"options": options, "rows": answer(lambda: rows(path, **options))})  # noqa: B023
    return found | {
        "instants": {begun: answer(lambda: rows(path, **{"as.of.instant": begun})) for begun, _ in done},  # noqa: B023
        "conditions": {condition: answer(lambda: rows(path, condition)) for condition in CONDITIONS},  # noqa: B023
        "changes": changes,
        "read_optimized": rows(path, **{"hoodie.datasource.query.type": "read_optimized"}),
    }


def make(name, version, changes, *, all_reads=True, **extra):
    path = FOLDER / name
    for index, (operation, query) in enumerate(changes):
        write(path, version, operation, query, mode="append" if index else "overwrite", **extra)
    return answers(path, version, all_reads=all_reads)


def unfinished(name, version, source):
    """The last write of a table never ended: as Spark reads it then, and after a write that rolls it back."""
    path = FOLDER / name
    shutil.copytree(FOLDER / source, path)
    folder = path / ".hoodie" / "timeline" if version >= 8 else path / ".hoodie"
    last = sorted(folder.glob("*.deltacommit"))[-1]
    last.unlink()
    before = answers(path, version, all_reads=False)
    after = FOLDER / f"{name}_after"
    shutil.copytree(path, after)
    # Without markers of what was written the rollback looks at the files, and tells logs of it.
    by_files = {"hoodie.rollback.using.markers": "false"}
    write(after, version, "upsert", records("next", 60, "7L"), **EVENT[version], **by_files)
    return before, answers(after, version, all_reads=True)


def partial(name):
    """A table that Hudi's SQL changes: records with but some of the columns."""
    path = FOLDER / name
    for key, value in (table_options(name, 8, "MERGE_ON_READ") | LOGS).items():
        if not key.startswith("hoodie.datasource") and key != "hoodie.table.name":
            spark.sql(f"SET {key}={value}")
    spark.sql(f"""CREATE TABLE {name} (id BIGINT, name STRING, price DOUBLE, ts BIGINT, tags ARRAY<STRING>) USING hudi
        TBLPROPERTIES (type = 'mor', primaryKey = 'id', preCombineField = 'ts') LOCATION '{path}'""")
    spark.sql(f"INSERT INTO {name} SELECT id, concat('a', id), id * 1.5D, 10L, array('x') FROM range(6)")
    for columns, values in (
        (("price", "ts"), "(1L, 100D, 20L), (2L, 200D, 5L)"),
        (("name", "ts"), "(1L, 'm', 30L), (3L, 'm', 40L)"),
        (("name", "ts"), "(1L, 'late', 25L), (3L, 'again', 50L)"),
    ):
        changed = ", ".join(f"t.{column} = s.{column}" for column in columns)
        spark.sql(f"""MERGE INTO {name} t USING (SELECT * FROM VALUES {values} AS v(id, {', '.join(columns)})) s ON t.id = s.id
            WHEN MATCHED THEN UPDATE SET {changed}""")
    spark.sql(f"UPDATE {name} SET tags = array('u') WHERE id IN (1, 4)")
    spark.sql(f"DELETE FROM {name} WHERE id = 5")
    return answers(path, 8, all_reads=False)


tables = {}
for version in (6, 8):
    tables[f"event-{version}"] = make(f"event{version}", version, CHANGES, **EVENT[version])
    tables[f"commit-{version}"] = make(f"commit{version}", version, CHANGES, all_reads=False, **COMMIT[version])
    before, after = unfinished(f"unfinished{version}", version, f"event{version}")
    tables |= {f"unfinished-{version}": before, f"rolled-back-{version}": after}
    parquet = {"hoodie.logfile.data.block.format": "parquet"}
    tables[f"parquet-{version}"] = make(f"parquet{version}", version, CHANGES[:5], all_reads=False, **EVENT[version], **parquet)
    # Buckets take inserts into logs: groups without a base file.
    buckets = {"hoodie.index.type": "BUCKET", "hoodie.bucket.index.num.buckets": "2"}
    tables[f"buckets-{version}"] = make(f"buckets{version}", version, CHANGES, **EVENT[version], **buckets)
    planned = {"hoodie.compact.schedule.inline": "true", "hoodie.compact.inline.max.delta.commits": "3"}
    tables[f"planned-{version}"] = make(f"planned{version}", version, CHANGES, **EVENT[version], **planned)
    compacted = {"hoodie.compact.inline": "true", "hoodie.compact.inline.max.delta.commits": "3"}
    tables[f"compacted-{version}"] = make(f"compacted{version}", version, CHANGES, **EVENT[version], **compacted)
    # So many writes that old instants are archived and old files cleaned.
    kept = compacted | {"hoodie.keep.min.commits": "4", "hoodie.keep.max.commits": "5", "hoodie.clean.commits.retained": "2"}
    many = [CHANGES[0]] + [("upsert", records(f"n{n}", 20 + n, f"{n % 8}L, {n % 5}L")) for n in range(10)]
    tables[f"archived-{version}"] = make(f"archived{version}", version, many, **EVENT[version], **kept)
    tables[f"overwritten-{version}"] = make(
        f"overwritten{version}", version, [*CHANGES[:3], ("insert_overwrite", records("o", 60, "20L, 22L")), ("upsert", records("u", 70, "20L, 1L"))],
        **EVENT[version])
    custom = CUSTOM | ({"hoodie.write.record.merge.mode": "CUSTOM"} if version == 8 else {})
    tables[f"custom-{version}"] = make(f"custom{version}", version, CHANGES[:2], all_reads=False, **custom)
for order in ("INT", "DOUBLE", "STRING", "DATE", "TIMESTAMP", "DECIMAL(12, 3)"):
    at = {"DATE": "DATE '2024-01-{:02}'", "TIMESTAMP": "TIMESTAMP '2024-01-01 00:00:{:02}'", "STRING": "'t{:02}'"}.get(order, "{}")
    changes = [
        ("insert", records("a", at.format(10), "0L, 1L, 2L, 3L", order=order)),
        ("upsert", records("b", at.format(20), "1L, 2L", order=order)),
        ("upsert", records("late", at.format(5), "0L, 1L, 2L", order=order)),
        ("upsert", records("same", at.format(20), "2L", order=order)),
        ("delete", records("", at.format(20), "3L", order=order)),
    ]
    name = order.split("(")[0].lower()
    tables[f"order-{name}"] = make(f"order_{name}", 8, changes, all_reads=False, **EVENT[8])
tables["partial"] = partial("partial")
(FOLDER / "logs.json").write_text(json.dumps(tables))
spark.stop()
