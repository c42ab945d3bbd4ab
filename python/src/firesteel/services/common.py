"""What the guide's services share."""
from __future__ import annotations

from typing import Any

from ..results import Rows

SCHEME = "s3"


def location(bucket: str, key: str) -> str:
    """The place of a key. A bucket's name holds no slash, so that it cannot name another place."""
    if not bucket or "/" in bucket:
        raise ValueError(f"{bucket!r} is no name of a bucket")
    if not key.strip("/"):
        raise ValueError("a key is empty")
    return f"{SCHEME}://{bucket}/{key.lstrip('/')}"


def page(rows: Rows) -> dict[str, Any]:
    """An answer as the guide has it. `stats.total_rows` are all that match, `data` those within the limit."""
    return {
        "data": rows.data,
        "columns": [{"name": column.name, "type": column.type, "nullable": column.nullable} for column in rows.columns],
        "stats": rows.stats,
        "truncated": rows.truncated,
    }
