"""Rows, as a list of dicts that knows its columns."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from . import html, values
from .documents import Column

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class Rows(Sequence[dict[str, Any]]):
    """An answer of a dataset: the rows of one page, and what is known about them."""

    def __init__(self, document: Mapping[str, Any]):
        self.data: list[dict[str, Any]] = document.get("data") or []
        self.columns = tuple(map(Column.of, document.get("columns") or ()))
        self.stats: dict[str, Any] = document.get("stats") or {}
        # There are more rows than these.
        self.truncated = bool(document.get("truncated"))
        self.next_cursor: str | None = document.get("next_cursor")

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self.data[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.data)

    def to_arrow(self) -> pyarrow.Table:
        return values.table(self.data, self.columns)

    def to_pandas(self) -> pandas.DataFrame:
        return values.to_pandas(self.to_arrow())

    def to_polars(self) -> polars.DataFrame:
        import polars

        return polars.from_arrow(self.to_arrow())

    def note(self) -> str:
        total = self.stats.get("total_rows")
        return f"{len(self)} rows" + (f" of {total}" if total is not None else ", and there are more" if self.truncated else "")

    def __repr__(self) -> str:
        return f"<Rows: {self.note()}; {', '.join(f'{column.name} {column.type}' for column in self.columns)}>"

    def _repr_html_(self) -> str:
        return html.table([column.name for column in self.columns], self.data, self.note())
