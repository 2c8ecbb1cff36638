"""logcat, as far as recordings use it: formats epoch and threadtime, -d, -T, -e, -s, -m, -b, -c."""

from __future__ import annotations

import re
import time

from tests.scripted_phone.call import Call, command
from tests.scripted_phone.state import LogLine

_WITH_VALUE = {"-v", "-T", "-t", "-e", "-m", "-b", "--regex", "--pid"}


@command("logcat")
def logcat(call: Call) -> int:
    given: dict[str, str] = {}
    flags: set[str] = set()
    filters: list[str] = []
    words = iter(call.words[1:])
    for word in words:
        if word in _WITH_VALUE:
            given[word] = next(words, "")
        elif word.startswith("-"):
            flags.add(word)
        else:
            filters.append(word)
    log = call.phone.state.log
    if "-c" in flags:
        with log.grown:
            log.lines.clear()
        return 0
    wanted = re.compile(given.get("-e", ""))
    left = int(given.get("-m", "0")) or 1 << 30
    buffers = (
        ("events",) if given.get("-b") == "events" else ("main", "events") if given.get("-b") == "all" else ("main",)
    )
    at = _first(given.get("-T") or given.get("-t"), log.lines)
    if "-d" in flags and log.lines:
        call.out(f"--------- beginning of {buffers[0]}")
    while left > 0:
        with log.grown:
            fresh, at = log.lines[at:], len(log.lines)
            if not fresh:
                if "-d" in flags or "-t" in given:
                    return 0
                log.grown.wait(0.2)
                if call.phone.is_gone(call):
                    return 0
                continue
        for line in fresh:
            if line.buffer in buffers and wanted.search(line.text) and _passes(line, filters) and left > 0:
                left -= 1
                call.out(_render(line, given.get("-v", "threadtime")))
    return 0


def _first(since: str | None, lines: list[LogLine]) -> int:
    if since is None:
        return 0
    if since.isdigit():
        return max(0, len(lines) - int(since))
    return next((index for index, line in enumerate(lines) if line.at >= float(since)), len(lines))


def _passes(line: LogLine, filters: list[str]) -> bool:
    if not filters:
        return True
    levels = "VDIWEF"
    for each in filters:
        tag, _, level = each.partition(":")
        if tag in (line.tag, "*"):
            return level != "S" and levels.find(line.level) >= max(0, levels.find(level or "V"))
    return False


def _render(line: LogLine, form: str) -> str:
    if form == "epoch":
        stamp = f"{line.at:19.3f}"
    else:
        stamp = time.strftime("%m-%d %H:%M:%S", time.gmtime(line.at)) + f".{int(line.at % 1 * 1000):03d}"
    return f"{stamp} {line.pid:5} {line.tid:5} {line.level} {line.tag:8}: {line.text}"
