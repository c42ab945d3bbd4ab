"""`na.*`, `stat.*`, `describe`, `summary`, `observe`."""
from pyspark.sql import Observation
from pyspark.sql import functions as F

ROWS = [(1, 1.0, "a", True), (2, None, "b", None), (None, float("nan"), None, False), (4, 4.5, "a", True)]


def frame(spark):
    return spark.createDataFrame(ROWS, "i INT, d DOUBLE, s STRING, b BOOLEAN")


def on(make):
    return lambda spark: make(frame(spark))


case_fill_number = on(lambda f: f.na.fill(0))
case_fill_double = on(lambda f: f.na.fill(1.7))
case_fill_text = on(lambda f: f.na.fill("?"))
case_fill_boolean = on(lambda f: f.na.fill(True))
case_fill_subset = on(lambda f: f.fillna(9, subset=["i"]))
case_fill_dictionary = on(lambda f: f.na.fill({"i": 5, "s": "none"}))
case_fill_unknown = on(lambda f: f.na.fill({"nothing": 5}))
case_fill_unknown_subset = on(lambda f: f.na.fill(5, subset=["nothing"]))
case_drop_any = on(lambda f: f.na.drop())
case_drop_all = on(lambda f: f.na.drop("all"))
case_drop_threshold = on(lambda f: f.dropna(thresh=3))
case_drop_subset = on(lambda f: f.na.drop(subset=["d", "s"]))
case_drop_unknown = on(lambda f: f.na.drop(subset=["nothing"]))
case_replace_number = on(lambda f: f.na.replace(4, 40))
case_replace_list = on(lambda f: f.na.replace(["a", "b"], ["x", "y"], "s"))
case_replace_dictionary = on(lambda f: f.na.replace({1: 10, 2: 20}, subset=["i", "d"]))
case_replace_with_null = on(lambda f: f.na.replace("a", None))
case_replace_unknown = on(lambda f: f.na.replace(1, 2, "nothing"))
case_describe_text = on(lambda f: f.describe("s"))
case_describe_integers = on(lambda f: f.select("i", "s").describe())
case_describe_unknown = on(lambda f: f.describe("nothing"))
case_summary_counts = on(lambda f: f.select("i", "s").summary("count", "count_distinct", "approx_count_distinct", "min", "max"))
case_summary_percentiles = on(lambda f: f.select("i").summary("25%", "50%", "75%", "99.9%"))
case_summary_unknown = on(lambda f: f.summary("nothing"))
case_summary_wrong_percentile = on(lambda f: f.summary("150%"))
case_corr = on(lambda f: round(f.na.fill(0).stat.corr("i", "d"), 12))
case_cov = on(lambda f: round(f.na.fill(0).stat.cov("i", "d"), 12))
case_corr_text = on(lambda f: f.stat.corr("i", "s"))
case_corr_unknown_method = on(lambda f: f.stat.corr("i", "d", "spearman"))
case_crosstab = on(lambda f: f.stat.crosstab("i", "s").collect())
case_freq_items = on(lambda f: [sorted(map(str, values)) for values in f.stat.freqItems(["i", "s"], 0.4).first()])
case_approx_quantile = on(lambda f: f.stat.approxQuantile("i", [0.0, 0.5, 1.0], 0.0))
case_approx_quantiles = on(lambda f: f.stat.approxQuantile(["i", "d"], [0.5], 0.0))
case_approx_quantile_text = on(lambda f: f.stat.approxQuantile("s", [0.5], 0.0))


def case_observe(spark):
    seen = Observation("seen")
    frame(spark).observe(seen, F.count(F.lit(1)).alias("rows"), F.max("i").alias("most")).where("i > 1").collect()
    return sorted(seen.get.items())


def case_observe_twice(spark):
    first, second = Observation(), Observation()
    observed = frame(spark).observe(first, F.sum("i").alias("n")).where("i > 1").observe(second, F.sum("i").alias("n"))
    observed.collect()
    return [first.get, second.get]


def case_observe_write(spark):
    seen = Observation()
    frame(spark).observe(seen, F.count("*").alias("rows")).write.format("noop").mode("overwrite").save()
    return seen.get


def case_observe_without_aggregate(spark):
    return frame(spark).observe("bad", F.col("i").alias("x"))


def case_observe_same_name(spark):
    one = frame(spark).observe("same", F.count("*").alias("n"))
    return one.union(frame(spark).observe("same", F.sum("i").alias("n")))
