"""Settings that are collected before there is a session, and go to the session once there is one."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

# As Spark's `spark.redaction.regex`, and what Azure and Google call their secrets.
SECRET = re.compile(r"secret|password|token|access[._]?key|account\.key|private[._]key|credential", re.IGNORECASE)
HIDDEN = "*********(redacted)"


class SessionConf:
    """Settings in the manner of `SparkConf`. `conf.set(…)` before the first `get_spark()` configures the server that is started
    and the session; later it changes the session, and a setting that cannot change any more is refused as Spark refuses it."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        # Set while there is a session.
        self.live: Callable[[str, str], None] | None = None

    def set(self, key: str, value: Any) -> SessionConf:  # noqa: A003
        if not isinstance(key, str) or not key:
            raise TypeError(f"A setting's key is a text, not {key!r}")
        if value is None:
            raise TypeError(f"The value of {key} is None")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if self.live:
            self.live(key, text)
        self._values[key] = text
        return self

    def setAll(self, pairs: Iterable[tuple[str, Any]]) -> SessionConf:  # noqa: N802
        for key, value in pairs.items() if hasattr(pairs, "items") else pairs:
            self.set(key, value)
        return self

    def setAppName(self, name: str) -> SessionConf:  # noqa: N802
        return self.set("spark.app.name", name)

    def setMaster(self, master: str) -> SessionConf:  # noqa: N802
        return self.set("spark.master", master)

    def setIfMissing(self, key: str, value: Any) -> SessionConf:  # noqa: N802
        return self if key in self._values else self.set(key, value)

    def get(self, key: str, default: str | None = None) -> str | None:
        """What was set here."""
        return self._values.get(key, default)

    def contains(self, key: str) -> bool:
        return key in self._values

    def getAll(self) -> list[tuple[str, str]]:  # noqa: N802
        return list(self._values.items())

    def unset(self, key: str) -> SessionConf:
        """Forgets a setting, for the next session."""
        self._values.pop(key, None)
        return self

    def clear(self) -> SessionConf:
        self._values.clear()
        return self

    def given(self) -> dict[str, str]:
        return dict(self._values)

    def toDebugString(self) -> str:  # noqa: N802
        """A line per setting, without secrets."""
        return "\n".join(f"{key}={HIDDEN if SECRET.search(key) else value}" for key, value in sorted(self._values.items()))

    def __repr__(self) -> str:
        return f"<SessionConf {', '.join(self.toDebugString().splitlines())}>"
