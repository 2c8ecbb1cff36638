"""trace-cmd as a witness: what it reads in the trace.dat that the suite writes of a recording."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from android_suite.trace.dat.writer import write_trace_dat
from android_suite.trace.render.lines import render_text
from android_suite.trace.ring.capture_folder import open_raw_capture
from tests.witness.comparing import Finding, Looked

_NAME = re.compile(r"^.{16}-\d+ +\[\d+\] +\d+\.\d+: (?P<name>\w+):")


def compare_trace_cmd(looked: Looked, path: Path) -> list[Finding]:
    """``trace-cmd report`` against the suite's own lines and counts, over every event of the recording.

    Args:
        looked: the recording.
        path: where the trace.dat is written.
    """
    write_trace_dat(looked.raw, path, trace=looked.trace)
    threads = looked.trace["threads"]
    comms = dict(zip(threads["tid"].tolist(), threads["comm"].tolist(), strict=True))
    ours = render_text(open_raw_capture(looked.raw), comms)
    counted: Counter[str] = Counter()
    lines = 0
    different: list[tuple[str | None, str | None]] = []
    for mine, theirs in itertools.zip_longest(ours, _read_report(path)):
        lines += 1
        if mine != theirs and len(different) < 3:
            different.append((mine, theirs))
        if theirs and (m := _NAME.match(theirs)):
            counted[m["name"]] += 1
    suite = {name.partition(":")[2]: n for name, n in looked.trace.source.event_counts.items() if n}
    return [
        Finding(what=f"trace-cmd report: lines that differ among {lines}", suite=different, witness=[]),
        Finding(what="trace-cmd report: events of each kind", suite=suite, witness=dict(counted)),
    ]


def _read_report(path: Path) -> Iterator[str]:
    with subprocess.Popen(["trace-cmd", "report", "-i", path], stdout=subprocess.PIPE, text=True) as report:
        assert report.stdout is not None
        next(report.stdout)  # the number of CPUs
        for line in report.stdout:
            yield line.removesuffix("\n")
    if report.returncode:
        raise subprocess.CalledProcessError(report.returncode, "trace-cmd report")
