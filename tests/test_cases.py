"""Every case of `cases/` on Firesteel and on real Spark: same schema, rows and error condition."""
import pytest
from support import cases, ratchet
from support.outcome import difference, outcome_of


@pytest.mark.parametrize("path", cases.files(), ids=lambda path: str(path.relative_to(cases.CASES)))
def test_same_outcome(path, spark, reference_spark):
    passed, failed = [], {}
    for name, run, ordered in cases.load(path):
        expected = outcome_of(lambda: run(reference_spark))
        why = difference(expected, outcome_of(lambda: run(spark)), ordered)
        if why is None:
            passed.append(name)
        else:
            failed[name] = why
    for name, why in failed.items():
        print(f"\n{name}\n  {why}")
    ratchet.check("cases", passed, failed, scope=f"{path.relative_to(cases.CASES)}: ")
