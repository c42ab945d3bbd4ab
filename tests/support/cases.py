"""Case files. A `.sql` file is a list of statements, each ending in `;` at the end of a line; a `.py` file is a list of
functions `case_…(spark)` that return a DataFrame or a value. Adding a case needs no other code."""
import importlib.util
import pathlib
import re

CASES = pathlib.Path(__file__).resolve().parents[1] / "cases"


def statements(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("--")]
    parts = re.split(r";[ \t]*(?:\n|\Z)", "\n".join(lines))
    return [part.strip() for part in parts if part.strip()]


def is_ordered(statement):
    return re.search(r"\border\s+by\b(?!.*\))", statement, re.I | re.S) is not None


def load(path):
    """`(identifier, run(spark), ordered)` of each case."""
    name = str(path.relative_to(CASES))
    if path.suffix == ".sql":
        out = []
        for statement in statements(path):
            text = " ".join(statement.split())
            out.append((f"{name}: {text[:160]}", lambda spark, s=statement: spark.sql(s), is_ordered(statement)))
        return out
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = [(n, f) for n, f in vars(module).items() if n.startswith("case_")]
    return [(f"{name}: {n}", f, getattr(f, "ordered", False)) for n, f in functions]


def files():
    return sorted(path for path in CASES.rglob("*") if path.suffix in (".sql", ".py"))
