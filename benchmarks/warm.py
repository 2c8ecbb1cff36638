"""Compiles ahead what is compiled at first use, so that the first `analyze` is fast: ``python -m benchmarks.warm``.

Every format is read, analyzed and exported once, on small traces; the machine code is kept beside the sources.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from android_suite.analyze import analyze_file
from android_suite.export import PERFETTO, TEXT, export_trace
from android_suite.trace.detect import open_trace
from benchmarks.child import FILES
from benchmarks.generate import generate

_EVENTS = 5_000
# What the generated traces lack: a futex with an owner, a call through binder, calls by number, a lock's release.
_CALLS = Path(__file__).with_name("calls.txt")


def warm_up(folder: Path) -> None:
    """Runs all code that is compiled.

    Args:
        folder: folder for the traces, a few megabytes.
    """
    # The compiler takes one core a process. Where two compile the same, the store keeps one of them.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for begun in [pool.submit(_analyze_pages, folder / "pages"), pool.submit(_read_texts, folder)]:
            begun.result()
    # What is left: the code that only these tables and formats need.
    for path in (_CALLS, *(folder / file for file in dict.fromkeys(FILES.values()))):
        analyze_file(path)
    export_trace(folder / FILES["raw"], {PERFETTO: folder / "exported.pftrace", TEXT: folder / "exported.txt"})


def _analyze_pages(folder: Path) -> None:
    generate(folder, _EVENTS, ())
    analyze_file(folder / FILES["raw"])


def _read_texts(folder: Path) -> None:
    open_trace(_CALLS)
    generate(folder, _EVENTS)
    open_trace(folder / FILES["text"])
    open_trace(folder / FILES["perfetto"])


def main() -> None:
    """Warms up and prints how long it took."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="android-suite-warm-") as folder:
        warm_up(Path(folder))
    print(f"compiled code is ready ({time.monotonic() - begin:.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    main()
