# Made from _async by python/unasync.py.
"""The client: where everything begins."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from .. import arrow, calls, errors
from ..calls import Call, segment
from ..credentials import Credentials, to_request
from ..progress import Watch
from .datasets import Dataset
from .delta import DeltaTable
from .jobs import Job
from .statements import Statement, parameters
from .submit import submit
from .transport import Transport

if TYPE_CHECKING:
    import pyarrow


class Client:
    """A client of a server's REST API. It may be shared; `with` closes its connections.

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
        http_transport: httpx.BaseTransport | None = None,
    ):
        url = url or os.environ.get("FIRESTEEL_URL")
        if not url:
            raise errors.ConfigurationError("No server: give its URL, as http://127.0.0.1:8080, or set FIRESTEEL_URL")
        if not url.startswith(("http://", "https://")):
            raise errors.ConfigurationError(f"A server's URL begins with http:// or https://, not {url!r}")
        token = token or os.environ.get("FIRESTEEL_TOKEN")
        self.transport = Transport(url, token, timeout, retries, verify, http_transport)
        self.credentials = credentials

    def _credentials(self, given: Credentials | None) -> dict[str, Any] | None:
        return to_request(given if given is not None else self.credentials)

    # Statements

    def sql(
        self,
        statement: str,
        parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None,
        wait: bool | float = True,
        progress: Watch = None,
        **options: Any,
    ) -> Statement:
        """Runs one statement, to its end unless `wait` says otherwise.

        `parameters` are the values of `:names`. Options: `catalog`, `schema`, `conf`, `row_limit`, `byte_limit`, `timeout`,
        `tags`, `credentials`, `idempotency_key`.
        """
        job = {name: options.pop(name) for name in ("timeout", "tags", "idempotency_key") if name in options}
        fields = self._statement(statement, parameters, options)
        return submit(self.transport, Statement, "/v1/statements", fields, wait, progress, **job)

    def sql_batches(
        self, statement: str, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None, **options: Any
    ) -> Iterator[pyarrow.RecordBatch]:
        """Runs one statement and gives Arrow batches as the server computes them; it keeps none of them."""
        body = calls.present(self._statement(statement, parameters, options))
        with self.transport.stream(Call("POST", "/v1/statements", body, accept=calls.ARROW)) as response:
            for batch in arrow.batches(response):
                yield batch

    def _statement(self, statement: str, given: Any, options: dict[str, Any]) -> dict[str, Any]:
        credentials = self._credentials(options.pop("credentials", None))
        return {"statement": statement, "parameters": parameters(given), "credentials": credentials, **options}

    def statement(self, id: str) -> Statement:  # noqa: A002
        """A statement that was begun earlier, here or elsewhere."""
        return Statement(self.transport, self.transport.document(calls.get(f"/v1/statements/{segment(id)}")))

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
    ) -> Dataset:
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
        return Dataset(self.transport, source)

    def delta(self, path: str | os.PathLike[str] | None = None, table: str | None = None, credentials: Credentials | None = None) -> DeltaTable:
        """A Delta table to change."""
        source = {"path": path, "table": table, "credentials": self._credentials(credentials)}
        return DeltaTable(self.transport, source)

    def tables(self, schema: str | None = None, pattern: str | None = None) -> list[dict[str, Any]]:
        """Tables and views of a schema."""
        answer = self.transport.document(calls.get("/v1/tables", schema=schema, pattern=pattern))
        found: list[dict[str, Any]] = answer["tables"]
        return found

    def table(self, name: str) -> dict[str, Any]:
        """Columns and format of a table."""
        answer: dict[str, Any] = self.transport.document(calls.get(f"/v1/tables/{segment(name)}"))
        return answer

    # Jobs

    def job(self, id: str) -> Job:  # noqa: A002
        return Job(self.transport, self.transport.document(calls.get(f"/v1/jobs/{segment(id)}")))

    def jobs(
        self,
        state: str | None = None,
        kind: str | None = None,
        user: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Jobs and statements, newest first; `limit` is how many a request asks for."""
        cursor = None
        while True:
            call = calls.get("/v1/jobs", state=state, kind=kind, user=user, tag=tag, limit=limit, cursor=cursor)
            answer = self.transport.document(call)
            for document in answer["jobs"]:
                yield Job(self.transport, document)
            cursor = answer.get("next_cursor")
            if not cursor:
                return

    # The server

    def session(self) -> dict[str, Any]:
        """Version, user, scopes and limits."""
        answer: dict[str, Any] = self.transport.document(calls.get("/v1/session"))
        return answer

    def is_healthy(self) -> bool:
        try:
            self.transport.send(calls.get("/healthz"))
        except errors.FiresteelError:
            return False
        return True

    def close(self) -> None:
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.transport.url}>"
