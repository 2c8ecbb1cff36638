"""A run directory or any trace to tables, JSON and samples. What it writes into ``derived/`` can always be made again."""

from android_suite.analysis.summary import summarize
from android_suite.analyze.evidence import read_evidence
from android_suite.analyze.file import analyze_file, choose_iteration, require_process
from android_suite.analyze.results import IterationAnalysis, RunAnalysis
from android_suite.analyze.run import analyze_run, is_analyzed, load_run, load_samples, write_tables

__all__ = [
    "IterationAnalysis",
    "RunAnalysis",
    "analyze_file",
    "analyze_run",
    "choose_iteration",
    "is_analyzed",
    "load_run",
    "load_samples",
    "read_evidence",
    "require_process",
    "summarize",
    "write_tables",
]
