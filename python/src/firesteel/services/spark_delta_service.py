"""Delta tables on S3: read any version, update, delete, merge.

    from firesteel.services.spark_delta_service import spark_delta_service
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import runtime
from .._sync.delta import DeltaTable
from .._sync.jobs import Job
from ..credentials import Credentials
from ..progress import Watch
from .common import location, page


class SparkDeltaService:
    """Each method asks the server's REST API and answers with a dict. A change is one commit of the table."""

    def read_delta_table(
        self,
        bucket: str,
        table_path: str,
        credentials: Credentials | None = None,
        version: int | None = None,
        timestamp: str | None = None,
        columns: Sequence[str] | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int | None = None,
        order_by: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Rows of the newest version, or of an older one: `data`, `columns`, `stats`, `truncated`, `version`."""
        if version is None and timestamp is None:
            # The rows, their total and the answer's version are then of one and the same.
            version = self.get_table_history(bucket, table_path, credentials, 1)[0]["version"]
        dataset = runtime.client().dataset(
            location(bucket, table_path), format="delta", version=version, timestamp=timestamp, credentials=credentials
        )
        answer = page(dataset.query(columns, filters, order_by, limit, include_total=True))
        return {**answer, "version": answer["stats"].get("version")}

    def update_delta_table(
        self,
        bucket: str,
        table_path: str,
        credentials: Credentials | None = None,
        update_expr: Mapping[str, str] | None = None,
        condition: str | None = None,
        progress: Watch = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Sets columns to SQL expressions where the condition holds, everywhere without one: `rows_updated`, `version`."""
        table = self._table(bucket, table_path, credentials)
        job = table.update(dict(update_expr or {}), condition, progress=progress, idempotency_key=idempotency_key)
        return self._answer(job, "rows_updated")

    def delete_from_delta_table(
        self,
        bucket: str,
        table_path: str,
        credentials: Credentials | None = None,
        condition: str | None = None,
        delete_all: bool = False,
        progress: Watch = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Deletes the rows for which the condition holds; all of them only with `delete_all`: `rows_deleted`, `version`."""
        table = self._table(bucket, table_path, credentials)
        job = table.delete(condition, all=delete_all or None, progress=progress, idempotency_key=idempotency_key)
        return self._answer(job, "rows_deleted")

    def merge_into_delta_table(
        self,
        bucket: str,
        table_path: str,
        credentials: Credentials | None = None,
        source_data: Sequence[Mapping[str, Any]] = (),
        merge_key: str | Sequence[str] = "id",
        schema_evolution: bool | None = None,
        progress: Watch = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Updates the rows whose keys are there, inserts the others: `rows_inserted`, `rows_updated`, `version`."""
        job = self._table(bucket, table_path, credentials).merge(
            list(source_data),
            merge_key=merge_key,
            schema_evolution=schema_evolution,
            progress=progress,
            idempotency_key=idempotency_key,
        )
        return self._answer(job, "rows_inserted", "rows_updated", "rows_deleted")

    def get_table_history(
        self, bucket: str, table_path: str, credentials: Credentials | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The versions, newest first."""
        return self._table(bucket, table_path, credentials).history(limit)

    def _table(self, bucket: str, table_path: str, credentials: Credentials | None) -> DeltaTable:
        return runtime.client().delta(location(bucket, table_path), credentials=credentials)

    def _answer(self, job: Job, *counts: str) -> dict[str, Any]:
        return {**{name: job.metrics.get(name) for name in counts}, "version": job.metrics.get("version"), "job_id": job.id}


spark_delta_service = SparkDeltaService()
