"""Jobs: what a change became, how far it is, and how it ended."""
from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from .. import calls, errors, html, progress
from ..calls import Call, segment
from ..credentials import Credentials, to_request
from ..documents import JobState
from ..progress import Watch
from .transport import AsyncTransport

WATCH_SECONDS = 0.5

J = TypeVar("J", bound="AsyncJob")


class AsyncJob:
    """A job. `state` is what was last heard of it; `refresh`, `wait` and `cancel` hear more."""

    base = "/v1/jobs"

    def __init__(self, transport: AsyncTransport, document: Mapping[str, Any]):
        self.transport = transport
        self.state = JobState.of(document)

    @property
    def id(self) -> str:
        return self.state.id

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.state.metrics

    def path(self, rest: str = "") -> str:
        return f"{self.base}/{segment(self.id)}{rest}"

    def take(self, document: Mapping[str, Any]) -> None:
        self.state = JobState.of(document)

    async def refresh(self, wait: float = 0) -> JobState:
        """Asks once; the server answers when the job has ended, or after `wait` seconds (60 at most)."""
        self.take(await self.transport.document(calls.get(self.path(), wait=min(wait, calls.WAIT_SECONDS_MAX))))
        return self.state

    async def wait(self: J, timeout: float | None = None, progress: Watch = None) -> J:
        """Until the job has ended well. It raises how it ended otherwise, or `WaitTimeoutError`, and the job goes on then."""
        await self._wait(timeout, progress)
        return self

    async def _wait(self, timeout: float | None, watch: Watch) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        tell = progress.watcher(watch)
        step = WATCH_SECONDS if tell else calls.WAIT_SECONDS_MAX
        while True:
            if tell:
                tell(self.state)
            if self.state.ended:
                return self.check()
            left = step if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise errors.WaitTimeoutError(f"{self.id} is {self.state.state} after {timeout} s", job_id=self.id)
            await self.refresh(min(step, left))

    def check(self) -> None:
        """Raises what the job ended with, unless it succeeded or runs."""
        state = self.state
        if state.state in ("succeeded", "queued", "running"):
            return
        if state.state == "cancelled":
            raise errors.JobCancelledError(f"{self.id} was cancelled", problem=state.error, job_id=self.id)
        if state.state == "interrupted":
            raise errors.JobInterruptedError(f"{self.id}: the server stopped while it ran", problem=state.error, job_id=self.id)
        raise errors.from_problem(state.error or {"detail": f"{self.id} failed"}, job_id=self.id)

    async def cancel(self) -> JobState:
        """Stops it. One that has ended stays as it is."""
        self.take(await self.transport.document(Call("POST", self.path("/cancel"), repeatable=True)))
        return self.state

    async def retry(self: J, credentials: Credentials | None = None, wait: float = 0) -> J:
        """Runs a failed, cancelled or interrupted job again, as a new one."""
        body = {"credentials": to_request(credentials), "wait": wait}
        call = calls.change(f"/v1/jobs/{segment(self.id)}/retry", body, None)
        return type(self)(self.transport, await self.transport.document(call))

    async def forget(self) -> None:
        """Removes it, and the rows that are kept for it."""
        await self.transport.send(Call("DELETE", self.path(), repeatable=True))

    async def events(self) -> AsyncIterator[JobState]:
        """Each state that the server tells, the ended one last."""
        call = Call("GET", self.path("/events"), accept="text/event-stream", repeatable=True)
        async with self.transport.stream(call) as response:
            name, data = "", ""
            async for line in response.aiter_lines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data += line[5:].strip()
                elif not line and data:
                    self.take(json.loads(data))
                    yield self.state
                    if name == "end":
                        return
                    name, data = "", ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}: {self.state.kind} {self.state.state}>"

    def _repr_html_(self) -> str:
        state = self.state
        values = [("kind", state.kind), ("state", state.state), *state.metrics.items()]
        if state.error:
            values.append(("error", state.error.get("detail")))
        return html.pairs(self.id, values)
