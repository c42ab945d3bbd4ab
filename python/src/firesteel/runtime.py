"""The server that the guide's functions use: the one that the environment names, or an embedded one.

| variable | |
|---|---|
| `FIRESTEEL_REMOTE`, else `SPARK_REMOTE` | a server's Spark Connect address, `sc://host:15002` |
| `FIRESTEEL_URL` | its REST address, `http://host:8080` |
| `FIRESTEEL_TOKEN` | the token for both |

With neither address a server is started, once for the process.
"""
from __future__ import annotations

import os
import threading

from . import errors
from ._sync.client import Client
from .session_conf import SessionConf
from .embedded import EmbeddedServer

# What `get_spark` and the embedded server are configured with.
conf = SessionConf()

# What an embedded server is, unless `conf` says otherwise.
DEFAULTS = {"spark.app.name": "Firesteel", "spark.master": "local[*]"}

_lock = threading.RLock()
_server: EmbeddedServer | None = None
_client: Client | None = None


def _embedded() -> EmbeddedServer:
    global _server
    with _lock:
        if _server is not None and not _server.is_running:
            _server.stop()  # it ended by itself: this removes what it left
            _server = None
        # A forked child has a server of its own.
        if _server is None or _server.owner != os.getpid():
            _server = EmbeddedServer({**DEFAULTS, **conf.given()})
        return _server


def _named() -> tuple[str | None, str | None]:
    remote = os.environ.get("FIRESTEEL_REMOTE") or os.environ.get("SPARK_REMOTE") or None
    if remote and not remote.startswith("sc://"):
        raise errors.ConfigurationError(f"A Spark Connect address begins with sc://, not {remote!r}")
    return remote, os.environ.get("FIRESTEEL_URL") or None


def remote() -> str:
    """Where sessions connect to."""
    address, url = _named()
    if address is None and url is not None:
        raise errors.ConfigurationError("FIRESTEEL_URL names a server: set FIRESTEEL_REMOTE to its Spark Connect address too")
    token = os.environ.get("FIRESTEEL_TOKEN")
    if address and token and "token=" not in address:
        address = address.rstrip("/") + ("" if "/;" in address else "/") + f";token={token}"
    return address or _embedded().connect


def has_ended() -> bool:
    """Whether there was an embedded server, and it ended by itself."""
    return _server is not None and not _server.is_running


def unknown_to_server() -> dict[str, str]:
    """Settings that the server was not started with."""
    known = _server.conf if _server is not None and _named() == (None, None) else {}
    return {key: value for key, value in conf.getAll() if known.get(key) != value}


def client() -> Client:
    """The client that the guide's services share."""
    global _client
    with _lock:
        address, url = _named()
        if url is None and address is not None:
            raise errors.ConfigurationError("FIRESTEEL_REMOTE names a server: set FIRESTEEL_URL to its REST address too")
        url = (url or _embedded().rest).rstrip("/")
        if _client is None or _client.transport.url != url:
            _client = Client(url)
        return _client


def stop() -> None:
    """Closes the shared client and stops the embedded server, if there is one. The next use starts again."""
    global _server, _client
    with _lock:
        if _client is not None:
            _client.close()
            _client = None
        if _server is not None:
            _server.stop()
            _server = None
