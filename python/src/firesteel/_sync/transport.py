# Made from _async by python/unasync.py.
"""Sends requests, again where that is right, and turns refusals into exceptions."""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from .. import calls, values
from ..calls import Call

CONNECT_SECONDS = 10.0


class Transport:
    def __init__(
        self,
        url: str,
        token: str | None,
        timeout: float,
        retries: int,
        verify: Any = True,
        http_transport: httpx.BaseTransport | None = None,
    ):
        self.url = url.rstrip("/")
        self.retries = retries
        headers = {"User-Agent": "firesteel-python"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        host = httpx.URL(self.url).host
        self.http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            verify=verify,
            transport=http_transport,
            # No proxy stands between this machine and itself.
            trust_env=host not in ("localhost", "127.0.0.1", "::1"),
        )

    def send(self, call: Call, stream: bool = False) -> httpx.Response:
        """The answer, which is a success."""
        attempt = 0
        while True:
            request = self.http.build_request(
                call.method, call.path, content=call.content(), params=call.query() or None, headers=call.headers()
            )
            try:
                response = self.http.send(request, stream=stream)
                if response.is_success:
                    return response
                response.read()
            except httpx.HTTPError as error:
                seconds = calls.delay(call, attempt, error)
                if seconds is None or attempt >= self.retries:
                    raise calls.unreachable(self.url, error) from error
            else:
                seconds = calls.delay(call, attempt, response)
                if seconds is None or attempt >= self.retries:
                    raise calls.failure(response)
            attempt += 1
            time.sleep(seconds)

    def document(self, call: Call) -> Any:
        response = self.send(call)
        return values.loads(response.content) if response.content else None

    @contextmanager
    def stream(self, call: Call) -> Iterator[httpx.Response]:
        """The answer before its body has come. Leaving early ends the request, and with it the query."""
        response = self.send(call, stream=True)
        try:
            yield response
        except httpx.HTTPError as error:
            raise calls.unreachable(self.url, error) from error
        finally:
            response.close()

    def close(self) -> None:
        self.http.close()
