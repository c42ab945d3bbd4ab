"""Merge-on-read Hudi tables with logs that real Spark wrote with Hudi's own writer, in the old layout of files and the new one."""
import pytest
from support import hudi
from support.outcome import outcome_of

KINDS = ["event", "commit", "parquet", "buckets", "planned", "compacted", "archived", "overwritten", "unfinished", "rolled-back"]
VERSIONS = [6, 8]
NAMES = [f"{kind}-{version}" for kind in KINDS for version in VERSIONS]
ORDERS = [f"order-{kind}" for kind in ("int", "double", "string", "date", "timestamp", "decimal")]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables by kind and version, and what Spark answered for each read of them."""
    return hudi.write_tables(tmp_path_factory.mktemp("hudi"), "logs")


def load(spark, table, **options):
    return spark.read.format("hudi").options(**options).load(table["path"])


def rows(frame):
    return sorted(row[0] for row in frame.selectExpr("to_json(struct(*))").collect())


@pytest.mark.parametrize("name", [*NAMES, *ORDERS, "partial"])
def test_newest_state(name, tables, spark):
    """Rows, with Hudi's own columns, their types, and how many there are."""
    table, frame = tables[name], load(spark, tables[name])
    assert rows(frame) == table["rows"] != []
    assert frame.count() == table["count"]
    assert frame.schema.simpleString() == table["schema"]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(("commit", "parquet", "unfinished"))])
def test_earlier_states_and_changes(name, tables, spark):
    table = tables[name]
    reads = [({"as.of.instant": instant}, expected) for instant, expected in table["instants"].items()]
    reads += [(change["options"], change["rows"]) for change in table["changes"]]
    if name.startswith("archived"):
        # States that the cleaner may have taken parts of are refused; Hudi reads what is left.
        is_refused = lambda options: "cleaner has kept nothing" in outcome_of(lambda: load(spark, table, **options)).text  # noqa: E731
        kept = [(options, expected) for options, expected in reads if not is_refused(options)]
        assert 0 < len(kept) < len(reads)
        reads = kept
    for options, expected in reads:
        assert rows(load(spark, table, **options)) == expected, options
    assert rows(load(spark, table, **{"hoodie.datasource.query.type": "read_optimized"})) == table["read_optimized"]


@pytest.mark.parametrize("name", ["event-6", "event-8", "buckets-8", "compacted-8"])
def test_filters_apply_to_merged_rows(name, tables, spark):
    table = tables[name]
    for condition, expected in table["conditions"].items():
        assert rows(load(spark, table).where(condition)) == expected, condition


@pytest.mark.parametrize("name", ["event-6", "event-8", "buckets-8"])
def test_columns_and_limits(name, tables, spark):
    """Columns that merging needs are read where the query does not ask for them."""
    frame = load(spark, tables[name])
    whole = frame.collect()
    for columns in (["name"], ["inner", "id"], ["maybe"], ["_hoodie_commit_time", "tags"]):
        expected = sorted(repr(tuple(row[column] for column in columns)) for row in whole)
        assert sorted(repr(tuple(row)) for row in frame.select(*columns).collect()) == expected
    assert len(frame.limit(3).collect()) == 3
    files = {row[0] for row in frame.select("_metadata.file_path").collect()}
    assert files and all(file.startswith("file:") for file in files)
    assert any(".log." in file for file in frame.inputFiles())


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_merger(version, tables, spark):
    """What merges records in a way that is not known is refused by its name; base files are read."""
    table = tables[f"custom-{version}"]
    outcome = outcome_of(lambda: load(spark, table))
    assert outcome.condition == "UNSUPPORTED_FEATURE.FIRESTEEL" and "PartialUpdateAvroPayload" in outcome.text
    assert load(spark, table, **{"hoodie.datasource.query.type": "read_optimized"}).count() == 9


def test_catalog_table(tables, spark):
    table = tables["event-8"]
    spark.sql(f"CREATE TABLE hudi_changes USING hudi LOCATION '{table['path']}'")
    assert rows(spark.read.table("hudi_changes")) == table["rows"]
    joined = spark.sql("SELECT a.id FROM hudi_changes a JOIN hudi_changes b ON a.id = b.id AND b.ts >= 20 ORDER BY id LIMIT 2").collect()
    assert [row[0] for row in joined] == [2, 5]
    assert "HudiMerge " in spark.sql("EXPLAIN SELECT * FROM hudi_changes").collect()[0][0]
    spark.sql("DROP TABLE hudi_changes")


def test_damaged_log(tables, spark, tmp_path):
    """A log that is no log fails with its name; one that was cut off counts as far as it goes, as in Hudi."""
    copied = hudi.copy_of(tables["event-8"]["path"], tmp_path / "cut")
    logs = sorted(copied.rglob(".*.log.*[0-9]"))
    assert logs
    for log in logs:
        log.write_bytes(log.read_bytes()[:-5])
    optimized = spark.read.format("hudi").option("hoodie.datasource.query.type", "read_optimized").load(str(copied))
    assert rows(spark.read.format("hudi").load(str(copied))) == rows(optimized)
    logs[0].write_bytes(b"no log at all")
    outcome = outcome_of(lambda: spark.read.format("hudi").load(str(copied)).collect())
    assert outcome.condition.startswith("FAILED_READ_FILE") and logs[0].name in outcome.text
