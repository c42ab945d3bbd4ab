"""Exceptions, made from the problem documents (RFC 9457) of the server.

    try:
        client.sql("SELECT * FROM nothing")
    except firesteel.NotFoundError as error:
        error.condition    # 'TABLE_OR_VIEW_NOT_FOUND'
        error.sqlstate     # '42P01'
        error.parameters   # {'relationName': '`nothing`'}
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FiresteelError(Exception):
    """What the server, or the way to it, refused."""

    def __init__(self, message: str, *, problem: Mapping[str, Any] | None = None, status: int | None = None, job_id: str | None = None):
        super().__init__(message)
        document = dict(problem or {})
        self.problem = document
        self.status: int | None = document.get("status", status)
        self.condition: str | None = document.get("condition")
        self.sqlstate: str | None = document.get("sqlstate")
        self.detail: str = document.get("detail") or message
        self.parameters: dict[str, str] = document.get("parameters") or {}
        self.query_context: list[dict[str, Any]] = document.get("query_context") or []
        # Where in the request, as `filters.age`.
        self.field: str | None = document.get("field")
        self.retryable: bool = bool(document.get("retryable"))
        self.job_id = job_id

    # The names that PySpark's exceptions have.
    def getCondition(self) -> str | None:  # noqa: N802
        return self.condition

    def getSqlState(self) -> str | None:  # noqa: N802
        return self.sqlstate

    def getMessageParameters(self) -> dict[str, str]:  # noqa: N802
        return self.parameters


class InvalidRequestError(FiresteelError):
    """400: a field, the SQL's syntax, or what analysis found."""


class UnauthenticatedError(FiresteelError):
    """401: no token, or one that is not known."""


class PermissionDeniedError(FiresteelError):
    """403: the token's scope or paths, or the store's refusal of the credentials."""


class NotFoundError(FiresteelError):
    """404: no such table, path, job or page."""


class RequestTimeoutError(FiresteelError):
    """408: the query or the request took too long."""


class ConflictError(FiresteelError):
    """409: it is there already, it runs still, or somebody else committed first."""


class ExpiredError(FiresteelError):
    """410: the rows or the cursor are no longer kept."""


class RequestTooLargeError(FiresteelError):
    """413, 431: more than the server takes."""


class UnprocessableError(FiresteelError):
    """422: values that cannot be (a cast, a division by zero), or a key that was used for something else."""


class TooManyRequestsError(FiresteelError):
    """429: over the rate limit, or the queue is full."""


class ServerError(FiresteelError):
    """5xx: the server could not."""


class UnsupportedError(ServerError):
    """501: Firesteel does not do this yet."""


class UnavailableError(ServerError):
    """502 to 504: not now; trying again may help."""


class ServerUnreachableError(FiresteelError):
    """Nobody answers, or the answer broke off."""


class ServerStartError(FiresteelError):
    """The embedded server did not start; the message holds the end of its log."""


class ConfigurationError(FiresteelError):
    """A setting of this process is missing or makes no sense."""


class JobCancelledError(FiresteelError):
    """The job or statement was cancelled."""


class JobInterruptedError(FiresteelError):
    """The server stopped while the job ran."""


class WaitTimeoutError(FiresteelError):
    """The job runs still, and the caller did not want to wait longer."""


BY_STATUS: dict[int, type[FiresteelError]] = {
    400: InvalidRequestError,
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RequestTimeoutError,
    409: ConflictError,
    410: ExpiredError,
    413: RequestTooLargeError,
    422: UnprocessableError,
    429: TooManyRequestsError,
    431: RequestTooLargeError,
    501: UnsupportedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def class_of(status: int) -> type[FiresteelError]:
    """Of a status without a class of its own, the class of its hundred."""
    return BY_STATUS.get(status) or (ServerError if status >= 500 else InvalidRequestError)


def from_problem(problem: Mapping[str, Any], *, status: int | None = None, job_id: str | None = None) -> FiresteelError:
    """The exception for a problem document."""
    status = int(problem.get("status") or status or 500)
    condition, detail = problem.get("condition"), problem.get("detail") or problem.get("title") or f"HTTP {status}"
    message = detail if not condition or f"[{condition}" in detail else f"[{condition}] {detail}"
    if problem.get("field"):
        message += f" (field: {problem['field']})"
    return class_of(status)(message, problem=problem, status=status, job_id=job_id)
