"""Asks for a job and, unless it is told not to, waits until that has ended."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import calls
from ..progress import Watch
from .jobs import J
from .transport import AsyncTransport


async def submit(
    transport: AsyncTransport,
    kind: type[J],
    path: str,
    fields: Mapping[str, Any],
    wait: bool | float,
    progress: Watch,
    timeout: float | None = None,
    tags: Sequence[str] | None = None,
    idempotency_key: str | None = None,
) -> J:
    """`wait`: True to the end, False not at all, else so many seconds. `timeout`: how long the job may run."""
    # A watched job is looked at from its beginning.
    first = 0 if wait is False or progress else calls.WAIT_SECONDS_MAX if wait is True else min(wait, calls.WAIT_SECONDS_MAX)
    body = {**fields, "wait": first, "timeout": timeout, "tags": tags}
    job = kind(transport, await transport.document(calls.change(path, body, idempotency_key)))
    if wait is False:
        job.check()
    else:
        await job.wait(None if wait is True else wait, progress)
    return job
