"""Delta tables: changes with transactions, and the versions they leave."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import calls
from ..progress import Watch
from .datasets import Filters
from .jobs import AsyncJob
from .submit import submit
from .transport import AsyncTransport


class AsyncDeltaTable:
    """A Delta table by its path, or by its name in the catalog. A change is a job whose `metrics` hold rows and the version."""

    def __init__(self, transport: AsyncTransport, source: Mapping[str, Any]):
        self.transport = transport
        self.source = calls.present(source)

    async def _change(self, what: str, fields: Mapping[str, Any], wait: bool | float, progress: Watch, job: dict[str, Any]) -> AsyncJob:
        path = f"/v1/delta/{what}"
        return await submit(self.transport, AsyncJob, path, {**self.source, **fields}, wait, progress, **job)

    async def update(
        self,
        set: Mapping[str, str],  # noqa: A002, the word of SQL
        condition: str | None = None,
        filters: Filters | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Sets columns, to SQL expressions over the row, where the condition holds."""
        fields = {"set": set, "condition": condition, "filters": filters}
        return await self._change("update", fields, wait, progress, job)

    async def delete(
        self,
        condition: str | None = None,
        filters: Filters | None = None,
        all: bool | None = None,  # noqa: A002
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Deletes the rows for which the condition holds. All of them go only with `all=True`."""
        fields = {"condition": condition, "filters": filters, "all": all}
        return await self._change("delete", fields, wait, progress, job)

    async def merge(
        self,
        source_data: Sequence[Mapping[str, Any]] | None = None,
        source: Mapping[str, Any] | None = None,
        merge_key: str | Sequence[str] | None = None,
        condition: str | None = None,
        when_matched: str | None = None,
        set: Mapping[str, str] | None = None,  # noqa: A002
        when_not_matched: str | None = None,
        when_not_matched_by_source: str | None = None,
        schema_evolution: bool | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Updates the rows that match, inserts the others: rows of Python (`source_data`) or a dataset's (`source`)."""
        fields = {
            "source_data": source_data,
            "source": source,
            "merge_key": merge_key,
            "condition": condition,
            "when_matched": when_matched,
            "set": set,
            "when_not_matched": when_not_matched,
            "when_not_matched_by_source": when_not_matched_by_source,
            "schema_evolution": schema_evolution,
        }
        return await self._change("merge", fields, wait, progress, job)

    async def optimize(
        self,
        filters: Filters | None = None,
        z_order_by: Sequence[str] | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Makes large files of small ones."""
        return await self._change("optimize", {"filters": filters, "z_order_by": z_order_by}, wait, progress, job)

    async def vacuum(
        self,
        retention_hours: float | None = None,
        dry_run: bool | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Deletes the files that no version within the retention needs."""
        return await self._change("vacuum", {"retention_hours": retention_hours, "dry_run": dry_run}, wait, progress, job)

    async def restore(
        self,
        version: int | None = None,
        timestamp: str | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **job: Any,
    ) -> AsyncJob:
        """Makes an older version the newest one."""
        return await self._change("restore", {"version": version, "timestamp": timestamp}, wait, progress, job)

    async def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The versions, newest first."""
        answer = await self.transport.document(calls.read("/v1/delta/history", {**self.source, "limit": limit}))
        versions: list[dict[str, Any]] = answer["history"]
        return versions

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source.get('path') or self.source.get('table')}>"
