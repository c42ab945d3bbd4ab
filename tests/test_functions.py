"""Every function that real Spark lists: its own examples, run on both."""
import re

import pytest
from support import ratchet
from support.outcome import difference, outcome_of

# Random, or about the machine and the time.
VOLATILE = set(
    "rand random randn randstr uniform uuid shuffle now current_timestamp current_date curdate current_time localtimestamp "
    "unix_timestamp input_file_name input_file_block_start input_file_block_length java_method reflect try_reflect "
    "version user current_user session_user monotonically_increasing_id spark_partition_id".split()
)


def examples(session, name):
    rows = session.sql(f"DESCRIBE FUNCTION EXTENDED `{name}`").collect()
    text = "\n".join(row[0] for row in rows)
    _, _, text = text.partition("Examples:")
    return [match.strip() for match in re.findall(r"^\s*> (.*?);\s*$", text, re.M | re.S)]


def test_examples(spark, reference_spark):
    names = [row[0] for row in reference_spark.sql("SHOW SYSTEM FUNCTIONS").collect()]
    passed, failed = [], {}
    for name in (n for n in names if re.fullmatch(r"\w+", n) and n not in VOLATILE):
        for index, statement in enumerate(examples(reference_spark, name)):
            case = f"{name} {index}"
            expected = outcome_of(lambda: reference_spark.sql(statement))
            why = difference(expected, outcome_of(lambda: spark.sql(statement)), ordered=False)
            if why is None:
                passed.append(case)
            else:
                failed[case] = f"{statement}\n  {why}"
                print(f"\n{case}: {failed[case][:600]}")
    ratchet.check("functions", passed, failed)


def test_all_are_known(spark, reference_spark):
    theirs = {row[0] for row in reference_spark.sql("SHOW SYSTEM FUNCTIONS").collect()}
    ours = {row[0] for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect()}
    passed = sorted(theirs & ours)
    ratchet.check("function-names", passed, {name: "is missing" for name in theirs - ours})


@pytest.mark.parametrize("name", ["upper", "transform", "explode"])
def test_is_described(spark, name):
    text = "\n".join(row[0] for row in spark.sql(f"DESCRIBE FUNCTION EXTENDED {name}").collect())
    assert f"Function: {name}" in text and "Usage:" in text
