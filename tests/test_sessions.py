"""Sessions and operations: isolation, interrupts, errors that leave the server well, reattachable execution."""
import threading
import time

import pytest
from support import servers
from support.outcome import outcome_of

ENDLESS = "SELECT sum(a.id % 7 * (b.id % 5)) FROM range(100000000) a CROSS JOIN range(100000) b"


def interrupted(spark, interrupt, tag=None):
    result = []

    def work():
        # Tags belong to the thread that adds them.
        if tag:
            spark.addTag(tag)
        result.append(outcome_of(lambda: spark.sql(ENDLESS)))

    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 30
    while worker.is_alive() and time.monotonic() < deadline:
        time.sleep(0.3)
        interrupt()
    worker.join(30)
    assert result, "the operation went on"
    return result[0]


def test_interrupt_all(spark):
    assert interrupted(spark, spark.interruptAll).condition == "OPERATION_CANCELED"
    assert spark.range(5).count() == 5


def test_interrupt_tag(spark):
    outcome = interrupted(spark, lambda: spark.interruptTag("slow"), tag="slow")
    assert outcome.condition == "OPERATION_CANCELED"


def test_sessions_are_apart(firesteel):
    first, second = servers.connect(firesteel), servers.connect(firesteel)
    first.range(1).createOrReplaceTempView("mine")
    first.conf.set("spark.sql.shuffle.partitions", "7")
    assert outcome_of(lambda: second.table("mine")).condition == "TABLE_OR_VIEW_NOT_FOUND"
    assert second.conf.get("spark.sql.shuffle.partitions") != "7"
    first.stop()
    second.stop()


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT * FROM nowhere", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT x FROM range(1)", "UNRESOLVED_COLUMN.WITH_SUGGESTION"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO"),
        ("SELECT nofunction(1)", "UNRESOLVED_ROUTINE"),
        ("SELECT CAST('x' AS INT)", "CAST_INVALID_INPUT"),
    ],
)
def test_errors(spark, statement, condition):
    assert outcome_of(lambda: spark.sql(statement)).condition == condition
    assert spark.range(2).count() == 2


def test_checkpoints(spark, tmp_path):
    # Not a case beside real Spark: there, the client may wait for a checkpoint without end.
    path = str(tmp_path / "numbers")
    spark.range(4).write.parquet(path)
    frame = spark.read.parquet(path).localCheckpoint()
    spark.range(10, 11).write.mode("overwrite").parquet(path)
    assert sorted(row.id for row in frame.where("id > 1").collect()) == [2, 3]


def test_large_text(spark):
    text = "SELECT " + " + ".join(["1"] * 2000)
    assert spark.sql(text).collect()[0][0] == 2000
    assert outcome_of(lambda: spark.sql("SELECT " + "(" * 20000 + "1" + ")" * 20000)) is not None
    assert outcome_of(lambda: spark.sql("SELECT '" + "x" * 1_000_000 + "'")).failed is False


def test_many_rows_arrive(spark):
    assert spark.range(1_000_000).toArrow().num_rows == 1_000_000
    assert sum(1 for _ in spark.range(100_000).toLocalIterator()) == 100_000


def test_local_data(spark):
    rows = [(i, str(i)) for i in range(100_000)]
    assert spark.createDataFrame(rows, "i INT, s STRING").agg({"i": "sum"}).collect()[0][0] == sum(range(100_000))
