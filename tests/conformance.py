"""Writes docs/conformance.md from the ratchet files: what is known to pass, by suite and family."""
import collections
import json
import pathlib

from support.ratchet import FOLDER, TOTALS, family

ROOT = pathlib.Path(__file__).resolve().parents[1]
SUITES = {
    "cases": "Statements compared with real Spark (`tests/cases`)",
    "properties": "Expressions over edge values (casts, arithmetic, dates, strings)",
    "functions": "Examples of Spark's own function descriptions",
    "function-names": "Functions of Spark's list that exist",
    "doctests": "PySpark's doctests",
    "tpc": "TPC-H (22) and TPC-DS (99) queries with the same rows",
    "golden": "Spark's SQL golden files",
}


def rate(passed, total):
    return f"{passed} of {total} ({100 * passed / total:.1f} %)" if total else f"{passed}"


def main():
    totals = json.loads(TOTALS.read_text()) if TOTALS.exists() else {}
    lines = ["# Conformance", "", "Made by `make conformance`: the cases that pass, which CI holds on to.", ""]
    for suite, title in SUITES.items():
        path = FOLDER / f"{suite}.txt"
        cases = path.read_text().splitlines() if path.exists() else []
        known = totals.get(suite, {})
        lines += [f"## {title}", "", f"{rate(len(cases), sum(known.values()))} pass.", ""]
        families = collections.Counter(family(suite, case) for case in cases)
        if len(known) > 1:
            lines += ["| family | pass |", "|---|---|"]
            lines += [f"| `{name}` | {rate(families[name], known[name])} |" for name in sorted(known)] + [""]
    (ROOT / "docs" / "conformance.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
