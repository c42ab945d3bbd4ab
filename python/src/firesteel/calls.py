"""What is sent, and when it is sent again. Nothing here does input or output, so both clients share it."""
from __future__ import annotations

import json
import math
import os
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx

from . import errors

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
PROBLEM = "application/problem+json"

# The server waits this long in one request, at most; longer waits are several requests.
WAIT_SECONDS_MAX = 60.0
FIRST_DELAY_SECONDS = 0.1
DELAY_SECONDS_MAX = 10.0
AGAIN_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Call:
    """A request."""

    method: str
    path: str
    # It may hold credentials.
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, Any] | None = None
    accept: str = JSON
    # With a key the server does a change once, however often it is asked.
    key: str | None = None
    # Doing it twice is the same as once.
    repeatable: bool = False

    def headers(self) -> dict[str, str]:
        headers = {"Accept": self.accept}
        if self.body is not None:
            headers["Content-Type"] = JSON
        if self.key:
            headers["Idempotency-Key"] = self.key
        return headers

    def content(self) -> bytes | None:
        return None if self.body is None else dumps(self.body).encode()

    def query(self) -> dict[str, str]:
        return {name: text(value) for name, value in (self.params or {}).items() if value is not None}


def text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def dumps(value: Any) -> str:
    """NaN and the infinities, which JSON does not have, are the texts that the server answers too."""
    try:
        return json.dumps(value, default=plain, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), default=plain, allow_nan=False)


def finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [finite(each) for each in value]
    if callable(getattr(value, "tolist", None)):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def option_texts(options: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Options of readers and writers, which are texts: `True` is `true`, a number its digits."""
    if options is None:
        return None
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items() if value is not None}


def plain(value: Any) -> Any:
    """JSON of what the filters and parameters of Python programs hold."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    numbers = getattr(value, "tolist", None)  # a number of NumPy, or an array of them
    if callable(numbers):
        return numbers()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON: {value!r}")


def get(path: str, **params: Any) -> Call:
    return Call("GET", path, params=params, repeatable=True)


def read(path: str, body: Mapping[str, Any], accept: str = JSON) -> Call:
    """A POST that changes nothing."""
    return Call("POST", path, present(body), accept=accept, repeatable=True)


def change(path: str, body: Mapping[str, Any], key: str | None) -> Call:
    """A POST that makes a job. Every one has a key, so that a connection that breaks does not make two of them."""
    return Call("POST", path, present(body), key=key or str(uuid.uuid4()))


def present(body: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not said."""
    return {name: value for name, value in body.items() if value is not None}


def segment(value: str | int) -> str:
    """A part of a path, whatever is in it."""
    return quote(str(value), safe="")


def delay(call: Call, attempt: int, outcome: httpx.Response | Exception) -> float | None:
    """Seconds until the request goes out again, or None: what came is the answer."""
    backoff: float = min(FIRST_DELAY_SECONDS * 2**attempt, DELAY_SECONDS_MAX) * (0.5 + random.random() / 2)
    safe = call.repeatable or call.key is not None
    if isinstance(outcome, httpx.ConnectError):
        return backoff
    if isinstance(outcome, Exception):
        return backoff if safe and isinstance(outcome, httpx.TransportError) else None
    # What was refused for the moment was not begun.
    if outcome.status_code not in AGAIN_STATUSES or not (safe or outcome.status_code == 429):
        return None
    try:
        return min(float(outcome.headers.get("retry-after", backoff)), DELAY_SECONDS_MAX)
    except ValueError:
        return backoff


def failure(response: httpx.Response) -> errors.FiresteelError:
    """The exception for an answer that is no success; its body has been read."""
    if response.headers.get("content-type", "").startswith(PROBLEM):
        try:
            return errors.from_problem(response.json(), status=response.status_code)
        except ValueError:
            pass
    said = response.text.strip()[:500]
    message = f"HTTP {response.status_code} from {response.request.url.copy_with(query=None)}" + (f": {said}" if said else "")
    return errors.class_of(response.status_code)(message, status=response.status_code)


def unreachable(url: str, error: Exception) -> errors.ServerUnreachableError:
    return errors.ServerUnreachableError(f"{url}: {type(error).__name__}: {error}".rstrip(": "))
