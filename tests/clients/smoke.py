"""Runs with any PySpark from 3.5 on: `smoke.py sc://HOST:PORT`."""
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
assert spark.range(10).filter("id > 5").count() == 4
frame = spark.createDataFrame([(1, "a"), (2, "b"), (2, "c")], ["k", "v"])
rows = frame.groupBy("k").agg(F.collect_list("v").alias("vs")).orderBy("k").collect()
assert [row.vs for row in rows] == [["a"], ["b", "c"]], rows
assert frame.toPandas()["k"].sum() == 5
frame.createOrReplaceTempView("t")
assert spark.sql("SELECT max(v) FROM t").collect()[0][0] == "c"
try:
    spark.sql("SELECT nothing FROM t").collect()
    raise SystemExit("an unknown column gave no error")
except Exception as error:  # noqa: BLE001
    assert "UNRESOLVED_COLUMN" in str(error), error
print("all well")
