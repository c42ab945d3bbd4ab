"""The documents that the server answers with, as small immutable values."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

ENDED = frozenset({"succeeded", "failed", "cancelled", "interrupted"})

T = TypeVar("T")


def take(kind: type[T], document: Mapping[str, Any]) -> T:
    """The fields that the class knows. A newer server may say more."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in document.items() if name in known})


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    nullable: bool = True

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Column:
        return take(cls, document)


@dataclass(frozen=True)
class Chunk:
    index: int
    row_offset: int = 0
    row_count: int = 0
    byte_count: int = 0


@dataclass(frozen=True)
class Progress:
    stages_total: int = 0
    stages_completed: int = 0
    tasks_total: int = 0
    tasks_completed: int = 0
    rows_read: int = 0
    bytes_read: int = 0
    rows_written: int = 0
    bytes_written: int = 0
    fraction: float | None = None


@dataclass(frozen=True)
class JobState:
    """A job or a statement at one moment."""

    id: str
    kind: str
    state: str
    user: str | None = None
    tags: tuple[str, ...] = ()
    statement: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    expires_at: str | None = None
    progress: Progress = field(default_factory=Progress)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    retry_of: str | None = None
    columns: tuple[Column, ...] = ()
    row_count: int | None = None
    byte_count: int | None = None
    truncated: bool = False
    chunks: tuple[Chunk, ...] = ()

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> JobState:
        values = dict(document)
        values["progress"] = take(Progress, document.get("progress") or {})
        values["metrics"] = document.get("metrics") or {}
        values["tags"] = tuple(document.get("tags") or ())
        values["columns"] = tuple(map(Column.of, document.get("columns") or ()))
        values["chunks"] = tuple(take(Chunk, chunk) for chunk in document.get("chunks") or ())
        return take(cls, values)
