"""The DataFrame API, beside SQL. Each `case_…` returns a DataFrame (compared with its schema) or a value."""
from pyspark.sql import Window
from pyspark.sql import functions as F

PEOPLE = [("Ann", 30, "x", 1.5), ("Bob", None, "y", 2.5), ("Cid", 25, "x", None), ("Dan", 41, None, 0.0)]


def people(spark):
    return spark.createDataFrame(PEOPLE, "name STRING, age INT, team STRING, score DOUBLE")


def case_select(spark):
    return people(spark).select("name", F.col("age") + 1, (F.col("score") * 2).alias("twice"))


def case_filter(spark):
    return people(spark).filter((F.col("age") > 26) | F.col("team").isNull())


def case_group(spark):
    return people(spark).groupBy("team").agg(F.count("*"), F.avg("age"), F.max("score").alias("best"))


def case_pivot(spark):
    return people(spark).groupBy("name").pivot("team", ["x", "y"]).sum("age")


def case_rollup(spark):
    return people(spark).rollup("team", "name").agg(F.sum("age"), F.grouping_id())


def case_cube(spark):
    return people(spark).cube("team").count()


def case_window(spark):
    by_team = Window.partitionBy("team").orderBy("name")
    return people(spark).select("name", F.row_number().over(by_team), F.lag("age").over(by_team), F.sum("age").over(by_team))


def case_join_kinds(spark):
    left, right = people(spark).select("name", "team"), spark.createDataFrame([("x", 1), ("z", 2)], "team STRING, n INT")
    frames = [left.join(right, "team", how).select(F.lit(how), "team") for how in ("inner", "left", "outer", "semi", "anti")]
    out = frames[0]
    for frame in frames[1:]:
        out = out.union(frame)
    return out


def case_same_name_twice(spark):
    a, b = people(spark).alias("a"), people(spark).alias("b")
    return a.join(b, F.col("a.name") == F.col("b.name")).select("a.age", "b.age")


def case_union_by_name(spark):
    return people(spark).unionByName(spark.range(1).selectExpr("'E' AS name", "id"), allowMissingColumns=True)


def case_sort(spark):
    return people(spark).sort(F.desc_nulls_first("age"), "name")


case_sort.ordered = True


def case_limit_offset(spark):
    return people(spark).sort("name").offset(1).limit(2)


def case_distinct(spark):
    return people(spark).select("team").distinct()


def case_drop_duplicates(spark):
    return people(spark).dropDuplicates(["team"]).select("team")


def case_na_fill(spark):
    return people(spark).na.fill({"age": 0, "team": "none"})


def case_na_drop(spark):
    return people(spark).na.drop(thresh=4)


def case_na_replace(spark):
    return people(spark).na.replace(["x"], ["w"], "team")


def case_with_columns(spark):
    return people(spark).withColumns({"age": F.col("age") * 2, "next": F.col("age") + 1}).withColumnRenamed("name", "who").drop("team")


def case_describe(spark):
    return people(spark).describe("age", "score")


def case_summary(spark):
    return people(spark).summary("count", "min", "max", "50%")


def case_crosstab(spark):
    return people(spark).stat.crosstab("team", "name")


def case_correlation(spark):
    return round(spark.range(10).selectExpr("id AS a", "id * id AS b").stat.corr("a", "b"), 10)


def case_unpivot(spark):
    return people(spark).unpivot(["name"], ["age", "score"], "what", "value")


def case_explode(spark):
    return people(spark).select("name", F.explode(F.array("age", F.lit(0))))


def case_lambda(spark):
    return people(spark).select(F.transform(F.array("age", F.lit(1)), lambda x, i: x + i), F.exists(F.array("age"), lambda x: x > 26))


def case_struct_fields(spark):
    return people(spark).select(F.struct("name", "age").withField("age", F.lit("?")).dropFields("name").alias("s"))


def case_when(spark):
    return people(spark).select(F.when(F.col("age") > 29, "old").when(F.col("age").isNull(), "?").otherwise("young"))


def case_cast(spark):
    return people(spark).select(F.col("age").cast("string"), F.col("score").cast("int"), F.col("name").try_cast("int"))


def case_expression_text(spark):
    return people(spark).selectExpr("upper(name) AS n", "age % 2 = 0", "team IS NOT NULL")


def case_to_json(spark):
    return people(spark).toJSON().collect()


def case_schema_text(spark):
    return people(spark)._show_string() if hasattr(people(spark), "_show_string") else ""


def case_columns(spark):
    return people(spark).join(spark.range(1)).columns


def case_tail(spark):
    return people(spark).sort("name").tail(2)


def case_is_empty(spark):
    return [people(spark).isEmpty(), people(spark).limit(0).isEmpty()]


def case_scalar_subquery(spark):
    return people(spark).where(F.col("age") > people(spark).select(F.avg("age")).scalar())


def case_exists_subquery(spark):
    teams = spark.createDataFrame([("x",)], "t STRING")
    return people(spark).where(teams.where(F.col("t") == F.col("team").outer()).exists())


def case_unknown_column(spark):
    return people(spark).select("nothing")


def case_ambiguous_column(spark):
    return people(spark).join(people(spark), "name").select("age")


def case_wrong_type(spark):
    return people(spark).select(F.col("name") + F.array(F.lit(1)))
