"""A progress bar of one line, on the terminal or in a notebook."""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO

from .documents import JobState

WIDTH = 30

# True shows the bar; a function gets every state.
Watch = bool | Callable[[JobState], None] | None


def watcher(watch: Watch) -> Callable[[JobState], None] | None:
    if watch is True:
        return Bar()
    return watch or None


def count(number: int) -> str:
    """1234 as 1.2k."""
    value, units = float(number), iter(("", "k", "M", "G", "T"))
    unit = next(units)
    while value >= 1000 and unit != "T":
        value, unit = value / 1000, next(units)
    return f"{value:.0f}" if not unit else f"{value:.1f}{unit}"


def line(state: JobState) -> str:
    """`[#####     ]  50 % running · 2/4 tasks · 1.2M rows read`"""
    progress = state.progress
    fraction = 1.0 if state.state == "succeeded" else min(max(progress.fraction or 0.0, 0.0), 1.0)
    done = round(fraction * WIDTH)
    parts = [f"[{'#' * done}{' ' * (WIDTH - done)}] {fraction:4.0%} {state.state}"]
    if progress.tasks_total:
        parts.append(f"{progress.tasks_completed}/{progress.tasks_total} tasks")
    for number, what in ((progress.rows_read, "read"), (progress.rows_written, "written")):
        if number:
            parts.append(f"{count(number)} rows {what}")
    return " · ".join(parts)


class Bar:
    """Writes over its own line where that can be done, and a line at the end elsewhere."""

    def __init__(self, out: IO[str] | None = None):
        self.out = out or sys.stderr
        # A notebook's output knows the carriage return as well.
        self.moves = self.out.isatty() or "ipykernel" in sys.modules
        self.length = 0

    def __call__(self, state: JobState) -> None:
        if not self.moves and not state.ended:
            return
        text = line(state)
        lead = "\r" if self.moves else ""
        self.out.write(f"{lead}{text.ljust(self.length)}" + ("\n" if state.ended else ""))
        self.out.flush()
        self.length = len(text)
