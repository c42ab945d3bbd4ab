"""Datasets: files and tables to read, and the new files that are made of them."""
from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import arrow, calls, values
from ..documents import Column
from ..progress import Watch
from ..results import Rows
from .jobs import AsyncJob
from .submit import submit
from .transport import AsyncTransport

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Filters = Mapping[str, Any]


class AsyncDataset:
    """Files, a folder or a table. Nothing is read before a method is called."""

    def __init__(self, transport: AsyncTransport, source: Mapping[str, Any]):
        self.transport = transport
        # The fields that name the data, and the credentials to read it with.
        self.source = calls.present(source)

    async def _read(self, what: str, fields: Mapping[str, Any]) -> Any:
        return await self.transport.document(calls.read(f"/v1/datasets/{what}", {**self.source, **fields}))

    async def query(
        self,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
        order_by: Sequence[str | Mapping[str, Any]] | None = None,
        limit: int | None = None,
        include_total: bool | None = None,
        paginate: bool | None = None,
    ) -> Rows:
        """Rows that match, 1,000 unless `limit` says otherwise. `Rows.truncated` says whether there are more."""
        fields = {"columns": columns, "filters": filters, "order_by": order_by, "limit": limit}
        return Rows(await self._read("query", {**fields, "include_total": include_total, "paginate": paginate}))

    async def pages(
        self,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
        order_by: Sequence[str | Mapping[str, Any]] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Rows]:
        """All that match, `limit` rows at a time. Pages neither overlap nor miss a row, though the data may change meanwhile."""
        page = await self.query(columns, filters, order_by, limit, paginate=True)
        yield page
        kept = calls.present({"credentials": self.source.get("credentials"), "limit": limit})
        while page.next_cursor:
            body = {"cursor": page.next_cursor, **kept}
            page = Rows(await self.transport.document(calls.read("/v1/datasets/query", body)))
            yield page

    async def batches(
        self,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
        order_by: Sequence[str | Mapping[str, Any]] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[pyarrow.RecordBatch]:
        """Arrow batches as the server computes them. To stop early is to stop the query."""
        fields = {"columns": columns, "filters": filters, "order_by": order_by, "limit": limit}
        call = calls.read("/v1/datasets/query", {**self.source, **fields}, calls.ARROW)
        async with self.transport.stream(call) as response:
            async for batch in arrow.abatches(response):
                yield batch

    async def to_arrow(self, **fields: Any) -> pyarrow.Table:
        """All rows, or those that `columns`, `filters`, `order_by` and `limit` leave."""
        call = calls.read("/v1/datasets/query", {**self.source, **fields}, calls.ARROW)
        async with self.transport.stream(call) as response:
            return await arrow.atable(response)

    async def to_pandas(self, **fields: Any) -> pandas.DataFrame:
        return values.to_pandas(await self.to_arrow(**fields))

    async def to_polars(self, **fields: Any) -> polars.DataFrame:
        import polars

        return polars.from_arrow(await self.to_arrow(**fields))

    async def sample(
        self,
        rows: int | None = None,
        fraction: float | None = None,
        seed: int | None = None,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
    ) -> Rows:
        """Some rows; the same `seed` gives the same ones."""
        fields = {"rows": rows, "fraction": fraction, "seed": seed, "columns": columns, "filters": filters}
        return Rows(await self._read("sample", fields))

    async def summary(
        self,
        columns: Sequence[str] | None = None,
        filters: Filters | None = None,
        quantiles: Sequence[float] | None = None,
        histogram_bins: int | None = None,
    ) -> dict[str, Any]:
        """Counts, nulls, distinct values, bounds, mean, quantiles and a histogram for each column."""
        fields = {"columns": columns, "filters": filters, "quantiles": quantiles, "histogram_bins": histogram_bins}
        answer: dict[str, Any] = await self._read("summary", fields)
        return answer

    async def count(self, filters: Filters | None = None) -> int:
        return int((await self._read("count", {"filters": filters}))["count"])

    async def schema(self) -> tuple[Column, ...]:
        return tuple(map(Column.of, (await self._read("schema", {}))["columns"]))

    async def partitions(self, filters: Filters | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = await self._read("partitions", {"filters": filters})
        return answer

    async def modify(
        self,
        sql: str,
        output_path: str | os.PathLike[str],
        partition_by: Sequence[str] | None = None,
        mode: str | None = None,
        output_format: str | None = None,
        output_options: Mapping[str, Any] | None = None,
        single_file: bool | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Writes what `sql`, over the table `data_table`, makes of the data: an UPDATE, a DELETE or a SELECT."""
        fields = {
            "sql": sql,
            "output_path": output_path,
            "partition_by": partition_by,
            "mode": mode,
            "output_format": output_format,
            "output_options": calls.option_texts(output_options),
            "single_file": single_file,
        }
        return await submit(self.transport, AsyncJob, "/v1/datasets/modify", {**self.source, **fields}, wait, progress, **job)

    async def merge_files(
        self,
        output_path: str | os.PathLike[str],
        deduplicate_on: Sequence[str] | None = None,
        keep: str | None = None,
        partition_by: Sequence[str] | None = None,
        mode: str | None = None,
        output_format: str | None = None,
        output_options: Mapping[str, Any] | None = None,
        single_file: bool | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Writes the rows of all `paths` together; of rows with the same key, the one of the last file (`keep`)."""
        fields = {
            "output_path": output_path,
            "deduplicate_on": deduplicate_on,
            "keep": keep,
            "partition_by": partition_by,
            "mode": mode,
            "output_format": output_format,
            "output_options": calls.option_texts(output_options),
            "single_file": single_file,
        }
        return await submit(self.transport, AsyncJob, "/v1/datasets/merge", {**self.source, **fields}, wait, progress, **job)

    def __repr__(self) -> str:
        named = [f"{name}={self.source[name]!r}" for name in ("path", "paths", "table", "format", "version") if name in self.source]
        return f"<{type(self).__name__} {' '.join(named)}>"
