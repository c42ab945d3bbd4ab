"""Writes docs/conformance.md from the ratchet files: what is known to pass, by suite and family."""
import collections
import pathlib

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


def family(suite, case):
    if suite == "golden":
        return case.split(" ")[0]
    if suite == "cases":
        return case.split(":")[0]
    if suite == "doctests":
        return ".".join(case.split(".")[:-1]) if case.count(".") > 2 else case
    return case.split(" ")[0] if suite == "tpc" else ""


def main():
    lines = ["# Conformance", "", "Made by `make conformance`: the cases that pass, which CI holds on to.", ""]
    for suite, title in SUITES.items():
        path = ROOT / "tests" / "ratchet" / f"{suite}.txt"
        cases = path.read_text().splitlines() if path.exists() else []
        lines += [f"## {title}", "", f"{len(cases)} pass.", ""]
        families = collections.Counter(family(suite, case) for case in cases)
        if len(families) > 1:
            lines += ["| family | pass |", "|---|---|"]
            lines += [f"| `{name}` | {count} |" for name, count in sorted(families.items())] + [""]
    (ROOT / "docs" / "conformance.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
