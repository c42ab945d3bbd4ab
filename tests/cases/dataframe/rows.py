"""Columns and rows in and out: making frames, changing columns, what a client collects and prints."""
import datetime
import decimal

import pandas
import pyarrow
from pyspark.sql import Row
from pyspark.sql import functions as F
from pyspark.sql import types as T


def people(spark):
    return spark.createDataFrame([("Ann", 30), ("Bob", None)], "name STRING, age INT")


def case_from_tuples(spark):
    return spark.createDataFrame([(1, "a"), (2, None)], ["n", "s"])


def case_from_rows(spark):
    return spark.createDataFrame([Row(n=1, inner=Row(x=1.5, y=[1, 2])), Row(n=None, inner=None)])


def case_from_dictionaries(spark):
    return spark.createDataFrame([{"a": 1, "m": {"k": "v"}}, {"a": 2, "m": None}])


def case_from_scalars(spark):
    return spark.createDataFrame([1, 2, 3], "INT")


def case_from_every_type(spark):
    schema = "b BOOLEAN, y TINYINT, h SMALLINT, i INT, l LONG, f FLOAT, d DOUBLE, m DECIMAL(10, 2), s STRING, x BINARY, t DATE, ts TIMESTAMP, tn TIMESTAMP_NTZ, dt INTERVAL DAY TO SECOND, a ARRAY<INT>, k MAP<STRING, INT>"
    day, at = datetime.date(2020, 2, 29), datetime.datetime(1999, 12, 31, 23, 59, 59, 999999)
    row = (True, 1, 2, 3, 4, 0.5, 0.25, decimal.Decimal("12.34"), "ü", b"\x00\xff", day, at, at, datetime.timedelta(1, 2, 3), [1, None], {"a": None})
    return spark.createDataFrame([row, (None,) * len(row)], schema)


def case_from_pandas(spark):
    return spark.createDataFrame(pandas.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, float("nan")]}))


def case_from_arrow(spark):
    table = pyarrow.table({"a": pyarrow.array([1, None], pyarrow.int16()), "b": pyarrow.array([["x"], []])})
    return spark.createDataFrame(table)


def case_empty(spark):
    return spark.createDataFrame([], "a INT NOT NULL, b STRUCT<c: STRING>")


def case_wrong_length(spark):
    return spark.createDataFrame([(1, 2)], "a INT")


def case_not_null(spark):
    return spark.createDataFrame([(None,)], T.StructType([T.StructField("a", T.IntegerType(), False)]))


def case_with_column(spark):
    return people(spark).withColumn("next", F.col("age") + 1).withColumn("age", F.lit(0))


def case_with_columns_renamed(spark):
    return people(spark).withColumnsRenamed({"name": "who", "nothing": "x"}).withColumnRenamed("age", "years")


def case_with_metadata(spark):
    return people(spark).withMetadata("age", {"unit": "years"})


def case_with_metadata_unknown(spark):
    return people(spark).withMetadata("nothing", {})


def case_drop(spark):
    return people(spark).drop("age", "nothing")


def case_to_df(spark):
    return people(spark).toDF("a", "b")


def case_to_df_wrong_count(spark):
    return people(spark).toDF("a")


def case_to_schema(spark):
    return people(spark).to(T.StructType([T.StructField("AGE", T.LongType()), T.StructField("name", T.StringType())]))


def case_to_schema_missing(spark):
    return people(spark).to(T.StructType([T.StructField("more", T.LongType(), False)]))


def case_to_schema_wrong_type(spark):
    return people(spark).to(T.StructType([T.StructField("name", T.ArrayType(T.LongType()))]))


def case_select_star(spark):
    return people(spark).select("*", F.lit(None), F.struct("*"))


def case_col_regex(spark):
    return people(spark).select(people(spark).colRegex("`(na|nothing).*`"))


def case_foreign_column(spark):
    return people(spark).select(spark.range(1).id)


def case_attribute_of_other_frame(spark):
    frame = people(spark)
    return frame.select("name").filter(frame.age > 1)


def case_filter_text(spark):
    return people(spark).where("age IS NULL OR name LIKE 'A%'")


def case_filter_not_boolean(spark):
    return people(spark).where(F.col("age") + 1)


def case_filter_syntax(spark):
    return people(spark).where("age >")


def case_select_syntax(spark):
    return people(spark).selectExpr("age +")


def case_unknown_function(spark):
    return people(spark).select(F.call_function("nothing", F.col("age")))


def case_wrong_argument_count(spark):
    return people(spark).select(F.call_function("substring", F.col("name")))


def case_unknown_field(spark):
    return people(spark).select(F.struct("name").alias("s")).select("s.nothing")


def case_duplicate_columns(spark):
    return people(spark).select("name", "name").select("name")


def case_to_json(spark):
    return people(spark).toJSON()


def case_to_pandas(spark):
    return people(spark).toPandas().to_dict("list")["name"]


def case_to_arrow(spark):
    return people(spark).toArrow().schema.names


def case_local_iterator(spark):
    return [row.id for row in spark.range(5).toLocalIterator()]


def case_show(spark):
    frame = people(spark).withColumn("long", F.repeat("name", 20))
    return [frame._show_string(), frame._show_string(1, False), frame._show_string(5, 4), frame._show_string(5, 25, True)]


def case_show_types(spark):
    text = "SELECT array(1, NULL) AS a, map('k', 1.5) AS m, named_struct('x', DATE'2020-01-01', 'y', NULL) AS s, X'1F' AS b, '漢字' AS w, INTERVAL 1 DAY AS i, 1e300 AS d"
    return spark.sql(text)._show_string(20, 100)


def case_html(spark):
    spark.conf.set("spark.sql.repl.eagerEval.enabled", "true")
    return people(spark)._repr_html_()


def case_print_schema(spark):
    return spark.sql("SELECT 1 AS a, array(map('k', named_struct('x', 1))) AS b")._tree_string()


def case_repr(spark):
    return repr(people(spark))


def case_columns_and_types(spark):
    return [people(spark).columns, people(spark).dtypes, people(spark).schema.simpleString()]


def case_is_local(spark):
    return [people(spark).isLocal(), spark.range(3).isLocal(), people(spark).isEmpty(), people(spark).isStreaming]


def case_same_semantics(spark):
    a, b = spark.range(10), spark.range(10)
    same = a.withColumn("x", a.id + 1).sameSemantics(b.withColumn("y", b.id + 1))
    return [same, a.sameSemantics(spark.range(9)), a.semanticHash() == b.semanticHash()]


def case_input_files(spark):
    return people(spark).inputFiles()


def case_count(spark):
    return [people(spark).count(), spark.range(1000).count(), people(spark).limit(0).count()]


def case_transform(spark):
    return people(spark).transform(lambda frame, n: frame.limit(n), 1)


def case_explain_modes(spark):
    modes = ["simple", "extended", "codegen", "cost", "formatted"]
    return [people(spark)._explain_string(extended=mode).strip().splitlines()[0] for mode in modes if mode != "codegen"]


def case_explain_unknown_mode(spark):
    return people(spark)._explain_string(extended="nothing")


def case_persist(spark):
    frame = spark.range(4).persist()
    answer = [frame.count(), str(frame.storageLevel), frame.is_cached]
    frame.unpersist()
    return [answer, str(frame.storageLevel)]


def case_exists(spark):
    frame = spark.range(3)
    return people(spark).where(frame.where(F.col("id") > F.col("age").outer()).exists())


def case_scalar(spark):
    return people(spark).select("name", spark.range(5).select(F.max("id")).scalar().alias("most"))


def case_scalar_of_two_columns(spark):
    return people(spark).select(spark.range(5).select("id", "id").scalar())


def case_scalar_of_two_rows(spark):
    return people(spark).select(spark.range(5).scalar())


def case_is_in_frame(spark):
    return people(spark).where(F.col("age").isin(spark.range(31)))


def case_table_functions(spark):
    return spark.tvf.range(2).join(spark.tvf.explode(F.array(F.lit(1), F.lit(2)))).join(spark.tvf.stack(F.lit(2), F.lit("a"), F.lit("b")))


def case_posexplode_outer(spark):
    return spark.tvf.posexplode_outer(F.array())


def case_inline(spark):
    return spark.tvf.inline(F.array(F.struct(F.lit(1).alias("a"), F.lit("b").alias("b"))))


def case_sql_arguments(spark):
    return spark.sql("SELECT :a + 1 AS x, :b AS y", args={"a": 1, "b": "t"}).union(spark.sql("SELECT ?, ?", args=[5, "u"]))


def case_sql_missing_argument(spark):
    return spark.sql("SELECT :a", args={"b": 1})


def case_sql_frame_argument(spark):
    return spark.sql("SELECT count(*) FROM {people} WHERE age > {least}", people=people(spark), least=1)


def case_temporary_view(spark):
    people(spark).createOrReplaceTempView("case_people")
    found = spark.table("case_people").count()
    return [found, spark.catalog.dropTempView("case_people"), spark.catalog.tableExists("case_people")]


def case_temporary_view_twice(spark):
    people(spark).createTempView("case_twice")
    return people(spark).createTempView("case_twice")


def case_unknown_table(spark):
    return spark.table("nothing.at_all")


def case_range_wrong_step(spark):
    return spark.range(0, 10, 0)


def case_cast_to_wrong_type(spark):
    return people(spark).select(F.col("name").cast("array<int>"))


def case_cast_to_unknown_type(spark):
    return people(spark).select(F.col("name").cast("nothing"))


def case_division_by_zero(spark):
    return people(spark).select(F.col("age") / 0)
