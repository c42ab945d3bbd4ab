"""Hudi tables that real Spark wrote with Hudi's own writer, in the old layout of files and the new one."""
import pytest
from support import hudi
from support.outcome import outcome_of


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables by version and kind, and what Spark answered for each read of them."""
    return hudi.write_tables(tmp_path_factory.mktemp("hudi"))


def rows(frame):
    return sorted(list(row) for row in frame.selectExpr("id", "name", "CAST(price AS STRING)", "ts", "part").collect())


@pytest.mark.parametrize("version", [6, 8])
def test_copy_on_write(version, tables, spark):
    """Snapshot, time travel and changes: the rows that Spark reads."""
    table = tables[f"{version}-COPY_ON_WRITE"]
    read = spark.read.format("hudi")
    assert rows(read.load(table["path"])) == table["rows"][-1] != []
    for instant, expected in zip(table["instants"], table["rows"], strict=True):
        assert rows(read.option("as.of.instant", instant).load(table["path"])) == expected
    for change in table["changes"]:
        options = {"hoodie.datasource.query.type": "incremental", "hoodie.datasource.read.begin.instanttime": change["begin"]}
        if change["end"]:
            options["hoodie.datasource.read.end.instanttime"] = change["end"]
        frame = spark.read.format("hudi").options(**options).load(table["path"])
        assert rows(frame) == change["rows"], change
    assert spark.read.format("hudi").load(table["path"]).schema.simpleString() == table["schema"]


@pytest.mark.parametrize("version", [6, 8])
def test_merge_on_read(version, tables, spark):
    """Base files with the logs of deletes; a partition that was overwritten."""
    table = tables[f"{version}-MERGE_ON_READ"]
    for instant, expected in zip(table["instants"], table["rows"], strict=True):
        assert rows(spark.read.format("hudi").option("as.of.instant", instant).load(table["path"])) == expected
    assert rows(spark.read.format("hudi").load(table["path"])) == table["rows"][-1]
    optimized = spark.read.format("hudi").option("hoodie.datasource.query.type", "read_optimized").load(table["path"])
    assert rows(optimized) == table["read_optimized"]


def test_compacted(tables, spark):
    """A merge-on-read table whose logs were all compacted is read as it is."""
    table = tables["compacted"]
    assert rows(spark.read.format("hudi").load(table["path"])) == table["rows"][-1] != []


def test_catalog_table(tables, spark):
    table = tables["8-COPY_ON_WRITE"]
    spark.sql(f"CREATE TABLE hudi_trips USING hudi LOCATION '{table['path']}'")
    assert rows(spark.read.table("hudi_trips")) == table["rows"][-1]
    first = table["instants"][0]
    stamp = f"{first[:4]}-{first[4:6]}-{first[6:8]} {first[8:10]}:{first[10:12]}:{first[12:14]}.{first[14:]}"
    assert rows(spark.sql(f"SELECT * FROM hudi_trips TIMESTAMP AS OF '{stamp}'")) == table["rows"][0]
    joined = spark.sql("SELECT count(*) FROM hudi_trips a JOIN hudi_trips b USING (id) WHERE a.part = 'p0'").collect()
    assert joined[0][0] == sum(row[4] == "p0" for row in table["rows"][-1])
    for change in ("ADD COLUMNS (more INT)", "ADD PARTITION (part = 'p9')", "RENAME COLUMN name TO other"):
        outcome = outcome_of(lambda: spark.sql(f"ALTER TABLE hudi_trips {change}"))
        assert outcome.condition == "UNSUPPORTED_FEATURE.TABLE_OPERATION", (change, outcome)
    spark.sql("ALTER TABLE hudi_trips SET TBLPROPERTIES (owner = 'me')")
    spark.sql("ANALYZE TABLE hudi_trips COMPUTE STATISTICS")
    spark.sql("ALTER TABLE hudi_trips RENAME TO hudi_rides")
    assert rows(spark.read.table("hudi_rides")) == table["rows"][-1]


def test_what_is_wrong_is_said(tables, spark, tmp_path):
    path = tables["6-COPY_ON_WRITE"]["path"]
    read = lambda **options: outcome_of(lambda: spark.read.format("hudi").options(**options).load(path))  # noqa: E731
    assert read(**{"as.of.instant": "yesterday"}).condition == "INVALID_TIME_TRAVEL_TIMESTAMP_EXPR.INPUT"
    assert read(**{"hoodie.datasource.query.type": "x"}).condition == "INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS"
    assert read(**{"hoodie.datasource.query.type": "incremental"}).condition == "UNSUPPORTED_FEATURE.FIRESTEEL"
    assert "skip_merge" in read(**{"hoodie.datasource.merge.type": "skip_merge"}).text
    assert outcome_of(lambda: spark.read.format("hudi").load(str(tmp_path))).condition == "PATH_NOT_FOUND"
