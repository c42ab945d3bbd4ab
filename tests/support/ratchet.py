"""A ratchet: a file of the cases that pass. One that is in the file must go on passing; one that newly passes is added
with `FIRESTEEL_RATCHET=update` (or `make ratchet`)."""
import collections
import json
import os
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "ratchet"
TOTALS = FOLDER / "totals.json"


def family(suite, case):
    """What a case is counted under in docs/conformance.md."""
    if suite == "golden":
        return case.split(" ")[0]
    if suite == "cases":
        return case.split(":")[0]
    if suite == "doctests":
        return ".".join(case.split(".")[:-1]) if case.count(".") > 2 else case
    if suite == "properties":
        return case.split(": ")[0]
    return case.split(" ")[0] if suite == "tpc" else ""


def record_totals(name, cases):
    """How many cases each family has, for pass rates. Families that were not run keep their number."""
    totals = json.loads(TOTALS.read_text()) if TOTALS.exists() else {}
    counted = collections.Counter(family(name, case) for case in cases)
    totals[name] = {**totals.get(name, {}), **counted}
    TOTALS.write_text(json.dumps(totals, indent=1, sort_keys=True) + "\n")


def check(name, passed, failed, scope=None):
    """`failed`: case to reason. `scope`: only cases that start so were run. Fails if a known case fails or is gone."""
    path = FOLDER / f"{name}.txt"
    known = set(path.read_text().splitlines()) if path.exists() else set()
    ours = {case for case in known if scope is None or case.startswith(scope)}
    passed = set(passed)
    total = len(passed) + len(failed)
    label = name if scope is None else f"{name} {scope}"
    print(f"\n{label}: {len(passed)} of {total} pass ({100 * len(passed) / max(total, 1):.1f} %)")
    if os.environ.get("FIRESTEEL_RATCHET") == "update":
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{case}\n" for case in sorted((known - ours) | passed)))
        record_totals(name, passed | set(failed))
        return
    lost = sorted(ours - passed)
    reasons = [f"{case}\n  {failed.get(case, 'is gone')}" for case in lost[:20]]
    assert not lost, f"{len(lost)} cases that used to pass do not:\n" + "\n".join(reasons)
