"""Parquet files on S3: read, modify, merge.

    from firesteel.services.spark_parquet_service import spark_parquet_service
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import runtime
from ..credentials import Credentials
from ..progress import Watch
from .common import location, page


class SparkParquetService:
    """Each method asks the server's REST API and answers with a dict."""

    def read_and_query(
        self,
        bucket: str,
        key: str,
        credentials: Credentials | None = None,
        columns: Sequence[str] | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int | None = None,
        order_by: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Rows that match the filters: `data`, `columns`, `stats` (`total_rows`, …), `truncated`."""
        dataset = runtime.client().dataset(location(bucket, key), credentials=credentials)
        return page(dataset.query(columns, filters, order_by, limit, include_total=True))

    def modify_and_write_back(
        self,
        bucket: str,
        key: str,
        credentials: Credentials | None = None,
        sql_modification: str = "SELECT * FROM data_table",
        output_key: str | None = None,
        partition_by: Sequence[str] | None = None,
        mode: str = "overwrite",
        single_file: bool | None = None,
        progress: Watch = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Writes what an UPDATE, a DELETE or a SELECT over `data_table` makes of the data, to `output_key` or in its place.

        The answer: `final_rows`, `original_rows`, `rows_updated`, `rows_deleted`, `output_key`, `output_path`, `job_id`.
        """
        target = output_key or key
        dataset = runtime.client().dataset(location(bucket, key), credentials=credentials)
        job = dataset.modify(
            sql_modification,
            location(bucket, target),
            partition_by=partition_by,
            mode=mode,
            single_file=single_file,
            progress=progress,
            idempotency_key=idempotency_key,
        )
        return {
            "original_rows": job.metrics.get("rows_read"),
            "final_rows": job.metrics.get("rows_written"),
            "rows_updated": job.metrics.get("rows_updated"),
            "rows_deleted": job.metrics.get("rows_deleted"),
            "output_key": target,
            "output_path": location(bucket, target),
            "job_id": job.id,
        }

    def merge_multiple_files(
        self,
        bucket: str,
        keys: Sequence[str],
        credentials: Credentials | None = None,
        output_key: str = "",
        deduplicate_on: Sequence[str] | None = None,
        partition_by: Sequence[str] | None = None,
        mode: str = "overwrite",
        keep: str | None = None,
        single_file: bool | None = None,
        progress: Watch = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Writes the rows of several files to one place. Of rows with the same key the one of the last file stays.

        The answer: `files_merged`, `total_rows`, `original_rows`, `duplicates_removed`, `output_key`, `output_path`, `job_id`.
        """
        target = location(bucket, output_key)
        dataset = runtime.client().dataset([location(bucket, key) for key in keys], credentials=credentials)
        job = dataset.merge_files(
            target,
            deduplicate_on=deduplicate_on,
            keep=keep,
            partition_by=partition_by,
            mode=mode,
            single_file=single_file,
            progress=progress,
            idempotency_key=idempotency_key,
        )
        return {
            "files_merged": job.metrics.get("files_merged"),
            "original_rows": job.metrics.get("rows_read"),
            "total_rows": job.metrics.get("rows_written"),
            "duplicates_removed": job.metrics.get("rows_deduplicated"),
            "output_key": output_key,
            "output_path": target,
            "job_id": job.id,
        }


spark_parquet_service = SparkParquetService()
