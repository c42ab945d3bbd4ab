"""Set operations, limits, samples, partitioning."""
from pyspark.sql import functions as F

A = [(1, "x"), (1, "x"), (2, "y"), (None, None)]
B = [(1, "x"), (3, "z"), (None, None)]


def a(spark):
    return spark.createDataFrame(A, "n INT, s STRING")


def b(spark):
    return spark.createDataFrame(B, "n INT, s STRING")


def operation(name):
    return lambda spark: getattr(a(spark), name)(b(spark))


case_union = operation("union")
case_union_all = operation("unionAll")
case_intersect = operation("intersect")
case_intersect_all = operation("intersectAll")
case_subtract = operation("subtract")
case_except_all = operation("exceptAll")


def case_union_types(spark):
    return a(spark).union(spark.createDataFrame([(1.5, 2)], "n DOUBLE, s INT"))


def case_union_columns_differ(spark):
    return a(spark).union(spark.range(1))


def case_union_wrong_type(spark):
    return a(spark).union(spark.createDataFrame([([1], "x")], "n ARRAY<INT>, s STRING"))


def case_by_name(spark):
    return a(spark).unionByName(b(spark).select("s", "n"))


def case_by_name_missing(spark):
    return a(spark).unionByName(spark.range(2))


def case_by_name_allow_missing(spark):
    return a(spark).unionByName(spark.createDataFrame([(True, 9)], "f BOOLEAN, n LONG"), allowMissingColumns=True)


def case_by_name_allow_missing_nested(spark):
    one = spark.sql("SELECT named_struct('p', 1, 'q', 'a') AS v")
    two = spark.sql("SELECT named_struct('q', 'b', 'r', 2.5D) AS v")
    return one.unionByName(two, allowMissingColumns=True)


def case_distinct(spark):
    return a(spark).distinct()


def case_drop_duplicates(spark):
    return a(spark).dropDuplicates()


def case_drop_duplicates_unknown(spark):
    return a(spark).dropDuplicates(["nothing"])


def case_offset(spark):
    return spark.range(10).offset(7)


def case_limit_zero(spark):
    return a(spark).limit(0)


def case_limit_negative(spark):
    return a(spark).limit(-1)


def case_offset_negative(spark):
    return a(spark).offset(-1)


def case_tail(spark):
    return [spark.range(10).tail(3), spark.range(10).tail(0), spark.range(2).tail(5)]


def case_head_first_take(spark):
    return [spark.range(5).head(), spark.range(5).head(2), spark.range(5).first(), spark.range(5).take(2), a(spark).limit(0).first()]


def case_sample_all(spark):
    return spark.range(50).sample(1.0, seed=3)


def case_sample_none(spark):
    return spark.range(50).sample(0.0, seed=3)


def case_sample_one_partition(spark):
    return spark.range(0, 100, 1, 1).sample(0.3, seed=42)


def case_sample_replacement(spark):
    return spark.range(0, 50, 1, 1).sample(True, 0.5, seed=42)


def case_sample_negative(spark):
    return spark.range(5).sample(-0.5)


def case_sample_by(spark):
    frame = spark.range(0, 100, 1, 1).select((F.col("id") % 3).alias("k"))
    return frame.sampleBy("k", {0: 0.1, 1: 0.5}, seed=7).groupBy("k").count()


def case_sample_by_expression(spark):
    frame = spark.range(0, 100, 1, 1)
    return frame.sampleBy(F.col("id") % 3, {0: 0.2, 2: 1.0}, seed=0).count()


def case_random_split(spark):
    return sorted(part.count() for part in spark.range(0, 100, 1, 1).randomSplit([1.0, 3.0], 24))


def case_repartition(spark):
    return [
        spark.range(20).repartition(n).select(F.spark_partition_id().alias("p")).distinct().count() for n in (1, 3)
    ]


def case_repartition_by_column(spark):
    parts = spark.range(20).repartition(4, "id").select("id", F.spark_partition_id().alias("p"))
    return parts


def case_repartition_by_range(spark):
    parts = spark.range(0, 20, 1, 1).repartitionByRange(2, F.desc("id")).select("id", F.spark_partition_id().alias("p"))
    return parts.groupBy("p").agg(F.min("id") > F.lit(0)).count()


def case_repartition_by_id(spark):
    frame = spark.range(6).repartitionById(3, (F.col("id") % 3).cast("int"))
    return frame.select("id", F.spark_partition_id().alias("p"))


def case_repartition_zero(spark):
    return spark.range(3).repartition(0)


def case_repartition_unknown_column(spark):
    return spark.range(3).repartition(2, "nothing")


def case_coalesce(spark):
    return spark.range(0, 20, 1, 4).coalesce(2).select(F.spark_partition_id().alias("p")).distinct().count()


def case_sort_within_partitions(spark):
    return spark.range(0, 9, 1, 1).sortWithinPartitions(F.desc("id"))


case_sort_within_partitions.ordered = True


def case_sort_nulls(spark):
    return a(spark).sort(F.col("n").desc_nulls_first(), F.col("s").asc_nulls_last())


case_sort_nulls.ordered = True


def case_sort_ascending_list(spark):
    return b(spark).orderBy(["n", "s"], ascending=[False, True])


case_sort_ascending_list.ordered = True


def case_sort_unknown(spark):
    return a(spark).sort("nothing")


def case_sort_by_dropped(spark):
    return a(spark).select("s").sort("n")


case_sort_by_dropped.ordered = True


def case_sort_map(spark):
    return spark.sql("SELECT map(1, 2) AS m").sort("m")


def case_zip_with_index(spark):
    return spark.range(0, 5, 1, 2).zipWithIndex()


def case_group_by_ordinal(spark):
    return a(spark).groupBy(1).count()


def case_order_by_ordinal(spark):
    return b(spark).orderBy(2)


case_order_by_ordinal.ordered = True
