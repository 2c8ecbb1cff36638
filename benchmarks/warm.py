"""Compiles ahead what is compiled at first use, so that the first `analyze` is fast: ``python -m benchmarks.warm``.

Every format is read, analyzed and exported once, on a small generated trace; the machine code is kept beside the
sources.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from android_suite.analyze import analyze_file
from android_suite.export import PERFETTO, TEXT, export_trace
from benchmarks.child import FILES
from benchmarks.generate import generate

_EVENTS = 5_000


def warm_up(folder: Path) -> None:
    """Runs all code that is compiled.

    Args:
        folder: folder for the traces, a few megabytes.
    """
    generate(folder, _EVENTS)
    for file in dict.fromkeys(FILES.values()):
        analyze_file(folder / file)
    export_trace(folder / FILES["raw"], {PERFETTO: folder / "exported.pftrace", TEXT: folder / "exported.txt"})


def main() -> None:
    """Warms up and prints how long it took."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="android-suite-warm-") as folder:
        warm_up(Path(folder))
    print(f"compiled code is ready ({time.monotonic() - begin:.0f} s)", file=sys.stderr)


if __name__ == "__main__":
    main()
