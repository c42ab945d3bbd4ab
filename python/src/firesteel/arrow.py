"""Arrow's stream over HTTP: batches as they come, without the whole answer in memory."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import pyarrow


class Body:
    """Bytes that come in pieces, as a file that Arrow reads from."""

    closed = False

    def __init__(self, more: Callable[[], bytes]):
        self.more = more
        self.left = memoryview(b"")

    def read(self, size: int) -> bytes:
        parts, wanted = [], size
        while wanted:
            if not self.left:
                self.left = memoryview(self.more())
                if not self.left:
                    break
            parts.append(self.left[:wanted])
            self.left = self.left[len(parts[-1]) :]
            wanted -= len(parts[-1])
        return b"".join(parts)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True


def reader(more: Callable[[], bytes]) -> pyarrow.RecordBatchReader:
    import pyarrow

    return pyarrow.ipc.open_stream(pyarrow.PythonFile(Body(more), mode="r"))


def batches(response: httpx.Response) -> Iterator[pyarrow.RecordBatch]:
    pieces = response.iter_bytes()
    with reader(lambda: next(pieces, b"")) as opened:
        yield from opened


def table(response: httpx.Response) -> pyarrow.Table:
    pieces = response.iter_bytes()
    with reader(lambda: next(pieces, b"")) as opened:
        return opened.read_all()


async def abatches(response: httpx.Response) -> AsyncIterator[pyarrow.RecordBatch]:
    """Arrow's reader pulls, so it works in a thread that asks the event loop for bytes."""
    opened = await asyncio.to_thread(reader, pull(response))
    while True:
        batch = await asyncio.to_thread(next, opened, None)
        if batch is None:
            return
        yield batch


async def atable(response: httpx.Response) -> pyarrow.Table:
    opened = await asyncio.to_thread(reader, pull(response))
    return await asyncio.to_thread(opened.read_all)


def pull(response: httpx.Response) -> Callable[[], bytes]:
    loop, pieces = asyncio.get_running_loop(), response.aiter_bytes()

    async def piece() -> bytes:
        return await anext(pieces, b"")

    return lambda: asyncio.run_coroutine_threadsafe(piece(), loop).result()
