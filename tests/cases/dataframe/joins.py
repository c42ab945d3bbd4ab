"""Joins of every kind, by name, by condition and by time."""
import datetime

from pyspark.sql import functions as F

LEFT = [(1, "a", 10), (2, "b", 20), (2, "bb", 25), (None, "n", 0), (5, "e", 50)]
RIGHT = [(1, "x"), (2, "y"), (2, "yy"), (None, "m"), (7, "z")]


def left(spark):
    return spark.createDataFrame(LEFT, "id INT, l STRING, v INT")


def right(spark):
    return spark.createDataFrame(RIGHT, "id INT, r STRING")


def joined(how, on="id"):
    return lambda spark: left(spark).join(right(spark), on, how)


case_inner = joined("inner")
case_left = joined("left")
case_left_outer = joined("leftouter")
case_right = joined("right")
case_outer = joined("outer")
case_full = joined("full_outer")
case_semi = joined("left_semi")
case_anti = joined("anti")
case_unknown_kind = joined("sideways")
case_missing_key = joined("inner", "nothing")
case_keys_list = joined("left", ["id"])


def case_cross(spark):
    return left(spark).crossJoin(right(spark))


def case_no_condition(spark):
    return left(spark).join(right(spark))


def case_condition(spark):
    a, b = left(spark), right(spark)
    return a.join(b, (a.id == b.id) & (a.v > 10), "left").select(a.id, b.id, "l", "r")


def case_null_safe(spark):
    a, b = left(spark), right(spark)
    return a.join(b, a.id.eqNullSafe(b.id))


def case_range_condition(spark):
    a, b = left(spark), right(spark)
    return a.join(b, a.id < b.id, "full")


def case_list_of_conditions(spark):
    a, b = left(spark), right(spark)
    return a.join(b, [a.id == b.id, a.l < b.r])


def case_self_join_by_alias(spark):
    a, b = left(spark).alias("a"), left(spark).alias("b")
    return a.join(b, F.col("a.id") == F.col("b.v") - 19).select("a.l", "b.l")


def case_self_join_without_alias(spark):
    a = left(spark)
    b = a.filter("v > 10")
    return a.join(b, a.id == b.id).select(a.l, b.v)


def case_condition_not_boolean(spark):
    a, b = left(spark), right(spark)
    return a.join(b, a.id + b.id)


def case_ambiguous(spark):
    a, b = left(spark), right(spark)
    return a.join(b, a.id == b.id).select("id")


def case_drop_one_side(spark):
    a, b = left(spark), right(spark)
    return a.join(b, a.id == b.id).drop(b.id)


def case_lateral(spark):
    inner = spark.range(3).where(F.col("id") < F.col("v").outer() / 10)
    return left(spark).lateralJoin(inner.select(F.col("id").alias("n")))


def case_lateral_left(spark):
    inner = right(spark).where(F.col("id") == F.col("v").outer()).select("r")
    return left(spark).lateralJoin(inner, how="left")


def case_lateral_condition(spark):
    inner = right(spark).select(F.col("id").alias("other"), (F.col("id") + F.col("v").outer()).alias("total"))
    return left(spark).lateralJoin(inner, F.col("total") > 20)


def case_lateral_right(spark):
    return left(spark).lateralJoin(spark.range(1), how="right")


def case_lateral_table_function(spark):
    frame = spark.createDataFrame([([1, 2],), ([],)], "xs ARRAY<INT>")
    return frame.lateralJoin(spark.tvf.explode(F.col("xs").outer()))


def times(spark, rows, name):
    at = datetime.datetime(2020, 1, 1)
    data = [(at + datetime.timedelta(minutes=minutes), key, value) for minutes, key, value in rows]
    return spark.createDataFrame(data, f"t TIMESTAMP, k STRING, {name} INT")


def as_of(direction="backward", tolerance=None, **options):
    # An expression can be made only once there is a session.
    def run(spark):
        trades = times(spark, [(1, "a", 1), (5, "a", 2), (10, "b", 3), (20, "a", 4)], "trade")
        quotes = times(spark, [(0, "a", 10), (5, "a", 20), (12, "b", 30), (30, "a", 40)], "quote")
        joined = trades._joinAsOf(
            quotes, leftAsOfColumn=trades.t, rightAsOfColumn=quotes.t, on="k", how="left", direction=direction, **options, **({"tolerance": F.expr(tolerance)} if tolerance else {})
        )
        return joined.select("k", "trade", "quote")

    return run


case_as_of_backward = as_of()
case_as_of_forward = as_of("forward")
case_as_of_nearest = as_of("nearest")
case_as_of_not_exact = as_of(allowExactMatches=False)
case_as_of_tolerance = as_of(tolerance="INTERVAL 3 MINUTES")
case_as_of_unknown_direction = as_of("sideways")


def hinted(name):
    def run(spark):
        a, b = left(spark), right(spark)
        rows = [a.join(b.hint(name), "id", how).count() for how in ("inner", "left", "right", "full", "semi", "anti")]
        return rows + [a.hint(name).join(b, a.id < b.id).count()]

    return run


case_hint_broadcast = hinted("broadcast")
case_hint_merge = hinted("merge")
case_hint_shuffle_hash = hinted("shuffle_hash")
case_hint_shuffle_replicate = hinted("shuffle_replicate_nl")
case_hint_unknown = hinted("nonsense")


def case_hint_wrong_parameter(spark):
    return left(spark).hint("broadcast", 1)


def case_hint_coalesce_without_count(spark):
    return left(spark).hint("coalesce", "x")


def case_hint_repartition_wrong(spark):
    return left(spark).hint("repartition", 1, 2)


def case_broadcast_function(spark):
    return left(spark).join(F.broadcast(right(spark)), "id")
