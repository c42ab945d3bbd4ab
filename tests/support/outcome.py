"""What a statement or DataFrame came to: schema and rows, or an error with its condition and parameters."""
import dataclasses
import json
import math

# Parameters that hold a class of the JVM, a path or a message of our own words.
FREE_PARAMETERS = {"class", "docroot", "message", "hint", "error"}


@dataclasses.dataclass
class Outcome:
    schema: str = ""
    rows: tuple = ()
    condition: str = ""
    sql_state: str = ""
    parameters: dict = dataclasses.field(default_factory=dict)
    text: str = ""

    @property
    def failed(self):
        return bool(self.text)


def value_text(value):
    """A value's text: the same for equal values, NaN included."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{value_text(k)}: {value_text(v)}" for k, v in value.items())) + "}"
    if isinstance(value, tuple) and hasattr(value, "__fields__"):
        return "(" + ", ".join(f"{n}={value_text(v)}" for n, v in zip(value.__fields__, value)) + ")"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text(v) for v in value) + "]"
    return repr(value)


def outcome_of(make_frame):
    """Runs `make_frame()` and collects what it returns."""
    try:
        frame = make_frame()
        if frame is None:
            return Outcome()
        if not hasattr(frame, "collect"):
            return Outcome(rows=(value_text(frame),))
        rows = tuple(value_text(tuple(row)) for row in frame.collect())
        return Outcome(schema=json.dumps(frame.schema.jsonValue(), sort_keys=True), rows=rows)
    except Exception as error:  # noqa: BLE001 - any error is an outcome
        return failure(error)


def failure(error):
    def ask(name, default):
        try:
            return getattr(error, name)() or default
        except Exception:  # noqa: BLE001 - not an error of Spark's
            return default

    parameters = {k: v for k, v in ask("getMessageParameters", {}).items() if k not in FREE_PARAMETERS}
    text = f"{type(error).__name__}: {error}"
    return Outcome("", (), ask("getCondition", ""), ask("getSqlState", ""), parameters, text)


def difference(expected, actual, ordered):
    """Why the outcomes differ, or None."""
    if expected.failed or actual.failed:
        if not (expected.failed and actual.failed):
            return f"expected {brief(expected)}\n  actual {brief(actual)}"
        for part in ("condition", "sql_state", "parameters"):
            if getattr(expected, part) != getattr(actual, part):
                return f"{part}: expected {getattr(expected, part)!r}\n  actual {getattr(actual, part)!r}\n  {actual.text[:300]}"
        return None
    if expected.schema != actual.schema:
        return f"schema: expected {expected.schema}\n  actual {actual.schema}"
    same = expected.rows == actual.rows if ordered else sorted(expected.rows) == sorted(actual.rows)
    return None if same else f"rows: expected {shorten(expected.rows)}\n  actual {shorten(actual.rows)}"


def brief(outcome):
    return outcome.text[:300] if outcome.failed else f"rows {shorten(outcome.rows)}"


def shorten(rows, limit=2000):
    text = "\n    ".join(rows)
    return text if len(text) <= limit else text[:limit] + " …"
