"""JSON values and the types of columns.

JSON has one kind of number and no dates. `loads` keeps every digit of a DECIMAL; `table` makes Arrow columns of the columns'
types, from which the pandas and Polars frames come.
"""
from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .documents import Column

if TYPE_CHECKING:
    import pandas
    import pyarrow

DECIMAL = re.compile(r"decimal\((\d+),\s*(-?\d+)\)")


def loads(text: bytes) -> Any:
    """A document with rows. Where a column is a DECIMAL its numbers are `Decimal`, elsewhere `float` and `int`."""
    if b"decimal(" not in text:
        return json.loads(text)
    document = json.loads(text, parse_float=Decimal)
    if not isinstance(document, dict):
        return json.loads(text)
    columns = [Column.of(column) for column in document.get("columns") or []]
    exact = {column.name: "decimal(" in column.type for column in columns}
    whole = [column.name for column in columns if DECIMAL.fullmatch(column.type)]
    for name, value in document.items():
        if name != "data":
            document[name] = inexact(value)
    for row in document.get("data") or []:
        for name, value in row.items():
            if not exact.get(name):
                row[name] = inexact(value)
        for name in whole:
            if isinstance(row.get(name), int):
                row[name] = Decimal(row[name])
    return document


def inexact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [inexact(each) for each in value]
    if isinstance(value, dict):
        return {name: inexact(each) for name, each in value.items()}
    return value


def timestamp(text: str) -> datetime.datetime:
    # Before 3.11 Python reads neither `Z` nor a number of digits other than 3 and 6.
    found = re.fullmatch(r"(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", text)
    assert found  # every text matches
    moment, digits, zone = found.groups()
    fraction = f".{(digits or '0')[:6].ljust(6, '0')}"
    return datetime.datetime.fromisoformat(moment + fraction + {None: "", "Z": "+00:00"}.get(zone, zone or ""))


# By the type's name: the name of Arrow's type, and what makes a Python value of a JSON one.
SCALARS: dict[str, tuple[str, Callable[[Any], Any] | None]] = {
    "tinyint": ("int8", None),
    "smallint": ("int16", None),
    "int": ("int32", None),
    "bigint": ("int64", None),
    "float": ("float32", float),
    "double": ("float64", float),
    "boolean": ("bool_", None),
    "string": ("string", None),
    "void": ("null", None),
    "date": ("date32", datetime.date.fromisoformat),
    "binary": ("binary", base64.b64decode),
}


def table(data: Sequence[dict[str, Any]], columns: Sequence[Column]) -> pyarrow.Table:
    """Rows of JSON values as an Arrow table of the columns' types. Nested columns get the types of their values."""
    import pyarrow

    arrays = []
    for column in columns:
        kind, convert = arrow_type(column.type)
        values = [row.get(column.name) for row in data]
        if convert:
            values = [None if value is None else convert(value) for value in values]
        arrays.append(pyarrow.array(values, kind))
    return pyarrow.table(arrays, names=[column.name for column in columns])


def to_pandas(table: pyarrow.Table) -> pandas.DataFrame:
    """Whole numbers stay whole: a column of them with nulls would be one of floats else."""
    return table.to_pandas(integer_object_nulls=True)


def arrow_type(text: str) -> tuple[Any, Callable[[Any], Any] | None]:
    import pyarrow

    if text in SCALARS:
        name, convert = SCALARS[text]
        return getattr(pyarrow, name)(), convert
    if text in ("timestamp", "timestamp_ntz"):
        return pyarrow.timestamp("us", tz="UTC" if text == "timestamp" else None), timestamp
    found = DECIMAL.fullmatch(text)
    if found:
        return pyarrow.decimal128(int(found[1]), int(found[2])), lambda value: Decimal(str(value))
    return None, None


# Types of Python that JSON has none for; a `datetime` is a `date` too, so it stands first.
PARAMETER_TYPES: tuple[tuple[type, Callable[[Any], str], Callable[[Any], str]], ...] = (
    (datetime.datetime, lambda value: "TIMESTAMP" if value.tzinfo else "TIMESTAMP_NTZ", lambda value: value.isoformat()),
    (datetime.date, lambda _: "DATE", lambda value: value.isoformat()),
    (bytes, lambda _: "BINARY", lambda value: base64.b64encode(value).decode()),
    (Decimal, lambda value: decimal_type(value), str),
)


def parameter(name: str, value: Any) -> dict[str, Any]:
    """A named parameter of a statement. A mapping with `value` says its type itself."""
    if isinstance(value, dict) and "value" in value:
        return {"name": name, **value}
    for kind, sql, text in PARAMETER_TYPES:
        if isinstance(value, kind):
            return {"name": name, "type": sql(value), "value": text(value)}
    if isinstance(value, float) and not math.isfinite(value):
        # Sent as a text, which would be a STRING.
        return {"name": name, "type": "DOUBLE", "value": value}
    return {"name": name, "value": value}


def decimal_type(value: Decimal) -> str:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no DECIMAL")
    scale = max(-exponent, 0)
    return f"DECIMAL({max(len(digits) + max(exponent, 0), scale, 1)},{scale})"
