"""Spark with Hudi's own writer and reader, for one test after the other: `hudi_session.py BUNDLE`.

Requests come as lines of JSON, and so do the answers: `write` saves the rows of a query, `rows` reads a table, `sql` runs a
statement."""
import json
import sys

from hudi_tables import session

TABLE_SERVICES_OFF = {
    "hoodie.embed.timeline.server": "false",
    **{f"hoodie.{step}.shuffle.parallelism": "1" for step in ("insert", "upsert", "delete", "bulkinsert")},
}


def write(spark, query, path, options, mode):
    spark.sql(query).write.format("hudi").options(**TABLE_SERVICES_OFF).options(**options).mode(mode).save(path)


def rows(spark, path, options, columns):
    frame = spark.read.format("hudi").options(**options).load(path)
    found = sorted(row[0] for row in frame.selectExpr(f"to_json(struct({columns}))").collect())
    return {"rows": found, "schema": frame.schema.simpleString()}


def sql(spark, statement):
    return sorted(row[0] for row in spark.sql(statement).selectExpr("to_json(struct(*))").collect())


def main(bundle):
    spark = session(bundle)
    print(json.dumps({"answer": "ready"}), flush=True)
    actions = {"write": write, "rows": rows, "sql": sql}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": actions[request.pop("do")](spark, **request)}
        except Exception as error:  # what went wrong is the answer
            answer = {"error": str(error)[:4000]}
        print(json.dumps(answer), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
