"""Two sets of runs to a comparison. ``compare_runs`` is the door; nothing here reads a file."""

from android_suite.compare.overhead import measure_tracing_overhead
from android_suite.compare.runs import RunSet, compare_runs

__all__ = ["RunSet", "compare_runs", "measure_tracing_overhead"]
