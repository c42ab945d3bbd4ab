"""The client: where everything begins."""
from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from .. import arrow, calls, errors
from ..calls import Call, segment
from ..credentials import Credentials, to_request
from ..progress import Watch
from .datasets import AsyncDataset
from .delta import AsyncDeltaTable
from .jobs import AsyncJob
from .statements import AsyncStatement, parameters
from .submit import submit
from .transport import AsyncTransport

if TYPE_CHECKING:
    import pyarrow


class AsyncClient:
    """A client of a server's REST API. It may be shared; `async with` closes its connections.

    `url` and `token` come from `FIRESTEEL_URL` and `FIRESTEEL_TOKEN` where they are not given. `credentials` are those of
    every request that names none.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        credentials: Credentials | None = None,
        timeout: float = 330.0,
        retries: int = 3,
        verify: Any = True,
        http_transport: httpx.AsyncBaseTransport | None = None,
    ):
        url = url or os.environ.get("FIRESTEEL_URL")
        if not url:
            raise errors.ConfigurationError("No server: give its URL, as http://127.0.0.1:8080, or set FIRESTEEL_URL")
        if not url.startswith(("http://", "https://")):
            raise errors.ConfigurationError(f"A server's URL begins with http:// or https://, not {url!r}")
        token = token or os.environ.get("FIRESTEEL_TOKEN")
        self.transport = AsyncTransport(url, token, timeout, retries, verify, http_transport)
        self.credentials = credentials

    def _credentials(self, given: Credentials | None) -> dict[str, Any] | None:
        return to_request(given if given is not None else self.credentials)

    # Statements

    async def sql(
        self,
        statement: str,
        parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **options: Any,
    ) -> AsyncStatement:
        """Runs one statement, to its end unless `wait` says otherwise.

        `parameters` are the values of `:names`. Options: `catalog`, `schema`, `conf`, `row_limit`, `byte_limit`, `timeout`,
        `tags`, `credentials`, `idempotency_key`.
        """
        job = {name: options.pop(name) for name in ("timeout", "tags", "idempotency_key") if name in options}
        fields = self._statement(statement, parameters, options)
        return await submit(self.transport, AsyncStatement, "/v1/statements", fields, wait, progress, **job)

    async def sql_batches(
        self, statement: str, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None, **options: Any
    ) -> AsyncIterator[pyarrow.RecordBatch]:
        """Runs one statement and gives Arrow batches as the server computes them; it keeps none of them."""
        body = calls.present(self._statement(statement, parameters, options))
        async with self.transport.stream(Call("POST", "/v1/statements", body, accept=calls.ARROW)) as response:
            async for batch in arrow.abatches(response):
                yield batch

    def _statement(self, statement: str, given: Any, options: dict[str, Any]) -> dict[str, Any]:
        credentials = self._credentials(options.pop("credentials", None))
        return {"statement": statement, "parameters": parameters(given), "credentials": credentials, **options}

    async def statement(self, id: str) -> AsyncStatement:  # noqa: A002
        """A statement that was begun earlier, here or elsewhere."""
        return AsyncStatement(self.transport, await self.transport.document(calls.get(f"/v1/statements/{segment(id)}")))

    # Data

    def dataset(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        table: str | None = None,
        format: str | None = None,  # noqa: A002
        options: Mapping[str, Any] | None = None,
        schema: str | None = None,
        version: int | None = None,
        timestamp: str | None = None,
        credentials: Credentials | None = None,
    ) -> AsyncDataset:
        """Files, by one path or several, or a table of the catalog."""
        source = {
            "path": os.fspath(path) if isinstance(path, (str, os.PathLike)) else None,
            "paths": None if path is None or isinstance(path, (str, os.PathLike)) else [os.fspath(each) for each in path],
            "table": table,
            "format": format,
            "options": calls.option_texts(options),
            "schema": schema,
            "version": version,
            "timestamp": timestamp,
            "credentials": self._credentials(credentials),
        }
        return AsyncDataset(self.transport, source)

    def delta(self, path: str | os.PathLike[str] | None = None, table: str | None = None, credentials: Credentials | None = None) -> AsyncDeltaTable:
        """A Delta table to change."""
        source = {"path": path, "table": table, "credentials": self._credentials(credentials)}
        return AsyncDeltaTable(self.transport, source)

    async def tables(self, schema: str | None = None, pattern: str | None = None) -> list[dict[str, Any]]:
        """Tables and views of a schema."""
        answer = await self.transport.document(calls.get("/v1/tables", schema=schema, pattern=pattern))
        found: list[dict[str, Any]] = answer["tables"]
        return found

    async def table(self, name: str) -> dict[str, Any]:
        """Columns and format of a table."""
        answer: dict[str, Any] = await self.transport.document(calls.get(f"/v1/tables/{segment(name)}"))
        return answer

    # Jobs

    async def job(self, id: str) -> AsyncJob:  # noqa: A002
        return AsyncJob(self.transport, await self.transport.document(calls.get(f"/v1/jobs/{segment(id)}")))

    async def jobs(
        self,
        state: str | None = None,
        kind: str | None = None,
        user: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[AsyncJob]:
        """Jobs and statements, newest first; `limit` is how many a request asks for."""
        cursor = None
        while True:
            call = calls.get("/v1/jobs", state=state, kind=kind, user=user, tag=tag, limit=limit, cursor=cursor)
            answer = await self.transport.document(call)
            for document in answer["jobs"]:
                yield AsyncJob(self.transport, document)
            cursor = answer.get("next_cursor")
            if not cursor:
                return

    # The server

    async def session(self) -> dict[str, Any]:
        """Version, user, scopes and limits."""
        answer: dict[str, Any] = await self.transport.document(calls.get("/v1/session"))
        return answer

    async def is_healthy(self) -> bool:
        try:
            await self.transport.send(calls.get("/healthz"))
        except errors.FiresteelError:
            return False
        return True

    async def aclose(self) -> None:
        await self.transport.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.transport.url}>"
