"""Aggregation: groups, pivots and their like."""
from pyspark.sql import Window
from pyspark.sql import functions as F

SALES = [("eu", "a", 2020, 10.0), ("eu", "b", 2020, 5.0), ("us", "a", 2021, 7.5), ("us", None, 2021, None), ("eu", "a", 2021, 1.0)]


def sales(spark):
    return spark.createDataFrame(SALES, "region STRING, item STRING, year INT, amount DOUBLE")


def case_shortcuts(spark):
    return sales(spark).groupBy("region").agg(F.count("item"), F.min("amount"), F.max("amount"), F.avg("amount"), F.sum("year"))


def case_sum_of_all_numbers(spark):
    return sales(spark).groupBy("region").sum()


def case_mean_of_some(spark):
    return sales(spark).groupBy("region").mean("amount", "year")


def case_sum_of_text(spark):
    return sales(spark).groupBy("region").sum("item")


def case_dictionary(spark):
    return sales(spark).groupBy("region").agg({"amount": "max", "*": "count"})


def case_no_groups(spark):
    return sales(spark).agg(F.sum("amount").alias("total"), F.count_distinct("item"))


def case_count_of_nothing(spark):
    return sales(spark).limit(0).groupBy().count()


def case_expression_group(spark):
    return sales(spark).groupBy((F.col("year") % 2).alias("odd"), F.upper("region")).count()


def case_rollup(spark):
    return sales(spark).rollup("region", "item").agg(F.sum("amount"), F.grouping("region"), F.grouping_id("region", "item"))


def case_cube(spark):
    return sales(spark).cube("region", F.col("year")).agg(F.count("*").alias("n"), F.grouping_id())


def case_grouping_sets(spark):
    frame = sales(spark)
    return frame.groupingSets([["region"], ["year"], []], "region", "year").agg(F.sum("amount"))


def case_grouping_outside(spark):
    return sales(spark).groupBy("region").agg(F.grouping("item"))


def case_pivot(spark):
    return sales(spark).groupBy("region").pivot("year").sum("amount")


def case_pivot_values(spark):
    return sales(spark).groupBy("region").pivot("item", ["a", "c"]).agg(F.sum("amount").alias("s"), F.count("*").alias("n"))


def case_pivot_without_group(spark):
    return sales(spark).groupBy().pivot("region").max("amount")


def case_pivot_null_value(spark):
    return sales(spark).groupBy("region").pivot("item").count()


def case_pivot_expression(spark):
    return sales(spark).groupBy("region").pivot(F.col("year") + 1, [2021, 2022]).count()


def case_pivot_without_aggregate(spark):
    return sales(spark).groupBy("region").pivot("year", [2020]).agg(F.col("amount"))


def case_pivot_unknown_column(spark):
    return sales(spark).groupBy("region").pivot("nothing").count()


def case_pivot_values_of_two_types(spark):
    return sales(spark).groupBy("region").pivot("year", [2020, "x"]).count()


def case_unpivot(spark):
    return sales(spark).unpivot(["region", "year"], ["amount"], "name", "value")


def case_unpivot_all(spark):
    return sales(spark).select("region", "year", "amount").unpivot("region", None, "name", "value")


def case_melt(spark):
    return sales(spark).melt("region", ["year", "amount"], "k", "v")


def case_unpivot_mixed(spark):
    return sales(spark).unpivot("region", ["item", "amount"], "k", "v")


def case_unpivot_unknown(spark):
    return sales(spark).unpivot("region", ["nothing"], "k", "v")


def case_unpivot_no_values(spark):
    return sales(spark).unpivot(["region"], [], "k", "v")


def case_transpose(spark):
    return spark.createDataFrame([("r1", 1, 2), ("r2", 3, 4)], "k STRING, a INT, b INT").transpose()


def case_transpose_by(spark):
    return spark.createDataFrame([(1, "p", 2.5), (None, "q", 1.0), (3, "r", 0.5)], "a INT, k STRING, b DOUBLE").transpose("k")


def case_transpose_no_common_type(spark):
    return spark.createDataFrame([("k", 1, "x")], "k STRING, a INT, b STRING").transpose()


def case_transpose_wrong_index(spark):
    return spark.createDataFrame([([1], 1)], "k ARRAY<INT>, a INT").transpose()


def case_having(spark):
    return sales(spark).groupBy("region").agg(F.sum("amount").alias("s")).where("s > 8")


def case_aggregate_in_where(spark):
    return sales(spark).where(F.sum("amount") > 1)


def case_nested_aggregate(spark):
    return sales(spark).groupBy("region").agg(F.sum(F.sum("amount")))


def case_ungrouped_column(spark):
    return sales(spark).groupBy("region").agg(F.col("item"))


def case_window_frames(spark):
    window = Window.partitionBy("region").orderBy("year", "amount")
    return sales(spark).select(
        "region",
        F.rank().over(window),
        F.dense_rank().over(window),
        F.percent_rank().over(window),
        F.ntile(2).over(window),
        F.lead("amount", 1, 0.0).over(window),
        F.sum("amount").over(window.rowsBetween(Window.unboundedPreceding, Window.currentRow)),
        F.count("*").over(Window.orderBy("year").rangeBetween(-1, 0)),
    )


def case_window_without_order(spark):
    return sales(spark).select(F.rank().over(Window.partitionBy("region")))


def case_window_in_where(spark):
    return sales(spark).where(F.row_number().over(Window.orderBy("year")) > 1)


def case_window_wrong_frame(spark):
    return sales(spark).select(F.sum("amount").over(Window.orderBy("region").rangeBetween(-1, 1)))


def case_aggregate_without_group_column(spark):
    return sales(spark).select("region", F.sum("amount"))
