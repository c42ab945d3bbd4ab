# Made from _async by python/unasync.py.
"""Statements: SQL whose rows the server keeps for a while."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import arrow, calls, html, values
from ..calls import Call
from ..documents import Column
from .jobs import Job
from .transport import Transport

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class Statement(Job):
    """A statement. Its rows come in chunks, or as one table of Arrow, pandas or Polars."""

    base = "/v1/statements"

    def __init__(self, transport: Transport, document: Mapping[str, Any]):
        self.first: list[dict[str, Any]] | None = None
        super().__init__(transport, document)
        self.take(document)

    def take(self, document: Mapping[str, Any]) -> None:
        super().take(document)
        if document.get("data") is not None:
            self.first = document["data"]

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.state.columns

    @property
    def row_count(self) -> int | None:
        return self.state.row_count

    @property
    def truncated(self) -> bool:
        """Whether `row_limit` or `byte_limit` cut the rows."""
        return self.state.truncated

    def chunk(self, index: int) -> list[dict[str, Any]]:
        """Rows of one chunk; any of them, in any order, as often as wanted."""
        if index == 0 and self.first is not None:
            return self.first
        document = self.transport.document(calls.get(self.path(f"/chunks/{index}")))
        rows: list[dict[str, Any]] = document["data"]
        return rows

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row, a chunk in memory at a time."""
        self.wait()
        for chunk in self.state.chunks:
            for row in self.chunk(chunk.index):
                yield row

    def fetch(self) -> list[dict[str, Any]]:
        """Every row, in a list."""
        return [row for row in self.rows()]

    def to_arrow(self) -> pyarrow.Table:
        self.wait()
        call = Call("GET", self.path("/rows"), accept=calls.ARROW, repeatable=True)
        with self.transport.stream(call) as response:
            return arrow.table(response)

    def to_pandas(self) -> pandas.DataFrame:
        return values.to_pandas(self.to_arrow())

    def to_polars(self) -> polars.DataFrame:
        import polars

        return polars.from_arrow(self.to_arrow())

    def _repr_html_(self) -> str:
        if self.first is None:
            return super()._repr_html_()
        note = f"{self.row_count} rows" + (", cut by a limit" if self.truncated else "")
        return html.table([column.name for column in self.columns], self.first, note)


def parameters(given: Mapping[str, Any] | list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """`{"day": date(…)}` as the server wants it. Values of Python that JSON has no kind for get their type."""
    if given is None or isinstance(given, list):
        return given
    return [values.parameter(name, value) for name, value in given.items()]
