"""LOAD DATA into tables of Hive's formats, beside a real Spark that has Hive's catalog: same rows, files and errors."""
import socket

import pytest
from pyspark.errors import PySparkException
from support import servers
from support.outcome import difference, outcome_of

STATEMENTS = [
    "CREATE TABLE lines (a STRING) STORED AS TEXTFILE",
    "LOAD DATA LOCAL INPATH '{files}/a.txt' INTO TABLE lines",
    "LOAD DATA LOCAL INPATH '{files}/a.txt' INTO TABLE lines",
    "SELECT a FROM lines ORDER BY a",
    "LOAD DATA INPATH '{files}/b.txt' OVERWRITE INTO TABLE lines",
    "SELECT a FROM lines",
    "LOAD DATA INPATH '{files}/b.txt' INTO TABLE lines",
    "LOAD DATA INPATH '{files}/folder' INTO TABLE lines",
    "SELECT a FROM lines ORDER BY a",
    "LOAD DATA INPATH '{files}/empty' OVERWRITE INTO TABLE lines",
    "LOAD DATA LOCAL INPATH 'file://{files}/*.txt' INTO TABLE lines",
    "SELECT count(*) FROM lines",
    "LOAD DATA INPATH '{files}/a.txt' INTO TABLE lines PARTITION (p = 1)",
    "CREATE TABLE parts (a STRING) PARTITIONED BY (p INT, q STRING) STORED AS TEXTFILE",
    "LOAD DATA LOCAL INPATH '{files}/a.txt' INTO TABLE parts",
    "LOAD DATA LOCAL INPATH '{files}/a.txt' INTO TABLE parts PARTITION (p = 1)",
    "LOAD DATA LOCAL INPATH '{files}/none' INTO TABLE parts PARTITION (p = 1, q = 'x')",
    "LOAD DATA LOCAL INPATH '{files}/a.txt' INTO TABLE parts PARTITION (p = '01', Q = 'x')",
    "SHOW PARTITIONS parts",
    "SELECT * FROM parts ORDER BY a",
    "LOAD DATA LOCAL INPATH '{files}/c.txt' OVERWRITE INTO TABLE parts PARTITION (p = 1, q = 'x')",
    "SELECT * FROM parts",
    "CREATE TABLE rows (a INT) STORED AS PARQUET",
    "LOAD DATA LOCAL INPATH '{files}/rows.parquet' INTO TABLE rows",
    "SELECT * FROM rows ORDER BY a",
    "CREATE TABLE source (a INT) USING parquet",
    "LOAD DATA LOCAL INPATH '{files}/rows.parquet' INTO TABLE source",
]


def make_files(folder):
    """What the statements load. A load that is not LOCAL takes its file away, so that each server has its own."""
    import pyarrow
    import pyarrow.parquet

    (folder / "folder").mkdir(parents=True)
    (folder / "empty").mkdir()
    for name, text in {"a.txt": "x\n\ny\n", "b.txt": "z\n", "c.txt": "w\n", "folder/d.txt": "v\n"}.items():
        (folder / name).write_text(text)
    (folder / "folder" / "_hidden").write_text("not a line\n")
    columns = {"a": pyarrow.array([1, 2, None], pyarrow.int32())}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "rows.parquet")


def in_words_of(outcome, folder):
    """The outcome with the server's own folder named the same for both."""
    outcome.parameters = {k: v.replace(str(folder), "{files}") for k, v in outcome.parameters.items()}
    return outcome


@pytest.fixture(scope="module")
def hive_spark(tmp_path_factory):
    home = tmp_path_factory.mktemp("derby")
    server = servers.start_spark(
        {
            "spark.sql.catalogImplementation": "hive",
            "spark.driver.extraJavaOptions": f"-Dderby.system.home={home}",
        }
    )
    session = servers.connect(server.remote)
    yield session
    session.stop()
    server.close()


def test_load_data(spark, hive_spark, tmp_path):
    asked = {}
    for name, session in (("expected", hive_spark), ("actual", spark)):
        folder = tmp_path / name
        make_files(folder)
        run = [lambda s=s: session.sql(s.format(files=folder)) for s in STATEMENTS]
        asked[name] = [in_words_of(outcome_of(statement), folder) for statement in run]
        asked[name + " files"] = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    for table in ("lines", "parts", "rows", "source"):
        spark.sql(f"DROP TABLE {table}")
    for statement, expected, actual in zip(STATEMENTS, asked["expected"], asked["actual"]):
        assert difference(expected, actual, "ORDER BY" in statement) is None, statement
    assert asked["expected files"] == asked["actual files"]


def test_failed_load_changes_nothing(spark, tmp_path):
    """One of the files cannot be read: the old rows stay, and nothing of the load is left."""
    source = tmp_path / "files"
    source.mkdir()
    (source / "a.txt").write_text("new\n")
    with socket.socket(socket.AF_UNIX) as unreadable:
        unreadable.bind(str(source / "b.txt"))
        spark.sql(f"CREATE TABLE kept (a STRING) STORED AS TEXTFILE LOCATION '{tmp_path}/kept'")
        spark.sql("INSERT INTO kept VALUES ('old')")
        before = sorted((tmp_path / "kept").rglob("*"))
        for mode in ("OVERWRITE INTO", "INTO"):
            with pytest.raises(PySparkException):
                spark.sql(f"LOAD DATA LOCAL INPATH '{source}' {mode} TABLE kept")
            assert [row.a for row in spark.table("kept").collect()] == ["old"]
            assert sorted((tmp_path / "kept").rglob("*")) == before
    spark.sql("DROP TABLE kept")
