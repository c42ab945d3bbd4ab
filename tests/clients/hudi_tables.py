"""Writes Hudi tables with Spark, and what Spark reads of them to `tables.json`: `hudi_tables.py BUNDLE FOLDER`."""
import json
import pathlib
import sys

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.kryo.registrator": "org.apache.spark.HoodieSparkKryoRegistrar",
    "spark.sql.extensions": "org.apache.spark.sql.hudi.HoodieSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.hudi.catalog.HoodieCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.memory": "1500m",
    "spark.ui.enabled": "false",
}
# Two partitions; rows inserted, changed, deleted, one partition overwritten.
WRITES = [
    ("insert", "SELECT id, concat('a', id) AS name, CAST(id / 4 AS DECIMAL(10, 2)) AS price, 1L AS ts, concat('p', id % 2) AS part FROM range(6)"),
    ("upsert", "SELECT id, concat('b', id) AS name, CAST(id AS DECIMAL(10, 2)) AS price, 2L AS ts, concat('p', id % 2) AS part FROM range(2, 8)"),
    ("delete", "SELECT id, '' AS name, CAST(id AS DECIMAL(10, 2)) AS price, 3L AS ts, concat('p', id % 2) AS part FROM range(3, 4)"),
    ("insert_overwrite", "SELECT id, concat('o', id) AS name, CAST(id AS DECIMAL(10, 2)) AS price, 4L AS ts, 'p0' AS part FROM range(20, 22)"),
]
COLUMNS = ("id", "name", "CAST(price AS STRING)", "ts", "part")



def session(bundle):
    builder = SparkSession.builder.master("local[1]").config("spark.jars", bundle)
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def table_options(name, version, kind):
    return {
        "hoodie.table.name": name,
        "hoodie.datasource.write.table.type": kind,
        "hoodie.write.table.version": str(version),
        "hoodie.datasource.write.recordkey.field": "id",
        "hoodie.datasource.write.precombine.field": "ts",
        "hoodie.datasource.write.partitionpath.field": "part",
        "hoodie.datasource.write.hive_style_partitioning": "true" if version == 8 else "false",
        "hoodie.metadata.enable": "false",
        "hoodie.embed.timeline.server": "false",
        **{f"hoodie.{step}.shuffle.parallelism": "1" for step in ("insert", "upsert", "delete", "bulkinsert")},
    }


def rows(spark, path, **read_options):
    frame = spark.read.format("hudi").options(**read_options).load(str(path))
    return sorted(list(row) for row in frame.selectExpr(*COLUMNS).collect())


def instants(path, has_completions):
    """Of the writes: when they began, and when they were complete."""
    folder = path / ".hoodie" / "timeline" if has_completions else path / ".hoodie"
    names = [file.name for action in ("commit", "deltacommit", "replacecommit") for file in folder.glob(f"*.{action}")]
    stems = sorted(name.split(".")[0].split("_") for name in names)
    return [(stem[0], stem[-1]) for stem in stems]


def make(spark, path, version, kind, writes, **extra):
    for index, (operation, query) in enumerate(writes):
        writer = spark.sql(query).write.format("hudi").options(**table_options("t", version, kind), **extra)
        writer.option("hoodie.datasource.write.operation", operation).mode("append" if index else "overwrite").save(str(path))
    done = instants(path, version >= 8)
    kinds = {"hoodie.datasource.query.type": "incremental"}
    changes = []
    for begin, end in ((0, None), (1, None), (0, 1), (2, None)):
        if kind == "COPY_ON_WRITE":
            bounds = {"hoodie.datasource.read.begin.instanttime": done[begin][1]}
            if end is not None:
                bounds["hoodie.datasource.read.end.instanttime"] = done[end][1]
            changes.append({
                "begin": done[begin][1],
                "end": end and done[end][1],
                "rows": rows(spark, path, **kinds, **bounds),
            })
    return {
        "path": str(path),
        "instants": [begun for begun, _ in done],
        "rows": [rows(spark, path, **{"as.of.instant": begun}) for begun, _ in done[:-1]] + [rows(spark, path)],
        "changes": changes,
        "read_optimized": rows(spark, path, **{"hoodie.datasource.query.type": "read_optimized"}),
        "schema": spark.read.format("hudi").load(str(path)).schema.simpleString(),
    }


def main(bundle, folder):
    spark = session(bundle)
    tables = {
        f"{version}-{kind}": make(spark, folder / f"t{version}{kind[0]}".lower(), version, kind, WRITES)
        for version in (6, 8)
        for kind in ("COPY_ON_WRITE", "MERGE_ON_READ")
    }
    compaction = {"hoodie.compact.inline": "true", "hoodie.compact.inline.max.delta.commits": "1"}
    tables["compacted"] = make(spark, folder / "compacted", 8, "MERGE_ON_READ", WRITES[:3], **compaction)
    (folder / "tables.json").write_text(json.dumps(tables))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
