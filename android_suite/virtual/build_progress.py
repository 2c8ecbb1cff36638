"""Tells how far the build of a kernel is and how long it still takes, from what earlier builds made and took."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from android_suite.virtual.cache import Cache

# Files that a build makes, where none was counted yet: Linux 7.3, arm64.
_FILES = {"lab": 1700, "gki": 2000, "debug": 1800}
_EVERY_S = 20.0  # between two lines
_FIRST_S = 10.0
_ENOUGH = 30  # files, to tell from them how long the others take


class BuildProgress:
    """Use it around one build, and give its ``count`` to the build.

    Args:
        cache: keeps what builds of a kind took, in ``builds.json``.
        kind: builds of one kind make about the same files.
        what: is built, for the lines.
        whole: nothing of it is built yet.
        say: called with a line now and then.
        clock: monotonic clock in seconds.
    """

    def __init__(
        self,
        cache: Cache,
        kind: str,
        what: str,
        *,
        whole: bool,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._kind, self._what, self._whole = cache.root / "builds.json", kind, what, whole
        self._say, self._clock = say, clock
        self._begun = self._told = clock()
        self._made = 0

    def __enter__(self) -> Self:
        past = self._read().get(self._kind) if self._whole else None
        if not self._whole:
            expected = "only what changed is compiled"
        elif past:
            expected = f"about {past['files']} files; the last one took {_minutes(past['seconds'])}"
        else:
            expected = "everything is compiled once: minutes"
        self._total = (
            int(past["files"]) if past else next((n for k, n in _FILES.items() if k in self._kind), _FILES["lab"])
        )
        self._say(f"building {self._what} ({expected})")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        took = self._clock() - self._begun
        if kind is not None:
            return
        self._say(f"built {self._what} in {_minutes(took)}, {self._made} files")
        if self._whole and self._made:
            known = self._read() | {self._kind: {"files": self._made, "seconds": round(took, 1)}}
            draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            try:
                draft.write_text(json.dumps(known, indent=1, sort_keys=True))
                draft.rename(self._file)
            except OSError:
                draft.unlink(missing_ok=True)  # only an estimate is lost

    def count(self, made: int) -> None:
        """``made`` files are there by now."""
        self._made = made
        now = self._clock()
        if now - self._told < (_EVERY_S if self._told > self._begun else _FIRST_S):
            return
        self._told = now
        text = f"building {self._what}: {made} files"
        if self._whole:
            total = max(self._total, made)
            text += f" of about {total}"
            if made >= _ENOUGH:
                text += f", about {_minutes((now - self._begun) / made * (total - made))} left"
        self._say(text)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text())
            return {str(key): value for key, value in found.items() if {"files", "seconds"} <= value.keys()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
