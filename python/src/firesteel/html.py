"""Tables for notebooks."""
from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

SHOWN_ROWS = 20
SHOWN_CHARACTERS = 200


def cell(value: Any) -> str:
    if value is None:
        return "<i>NULL</i>"
    text = str(value)
    return html.escape(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")


def table(names: Sequence[str], rows: Iterable[dict[str, Any]], note: str) -> str:
    """The first rows, and a line below them."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(row.get(name))}</td>" for name in names) + "</tr>" for row in islice(rows, SHOWN_ROWS)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(note)}</p>"


def pairs(title: str, values: Iterable[tuple[str, Any]]) -> str:
    """Names and values, one below the other."""
    body = "".join(f"<tr><th>{html.escape(name)}</th><td>{cell(value)}</td></tr>" for name, value in values)
    return f"<table><caption>{html.escape(title)}</caption><tbody>{body}</tbody></table>"
