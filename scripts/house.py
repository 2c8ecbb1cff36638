"""The package in numbers: ``python -m scripts.house [REVISION...]`` measures it at git revisions, or in the working tree.

Files and their lengths, import cycles between files, and how many files of ``trace/`` describe one event. The same
numbers before and after a change show whether the code got simpler.
"""

from __future__ import annotations

import ast
import io
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = "android_suite"
# Events whose fields end in tables. A file that names one of them says something about it.
EVENTS = ("sched_switch", "sched_waking", "mmap_lock_acquire_returned", "contention_begin", "sched_blocked_reason")


def read_sources(revision: str | None) -> dict[str, str]:
    """The text of every Python file of the package by path, at a revision or in the working tree."""
    if revision is None:
        return {str(path): path.read_text() for path in sorted(Path(PACKAGE).rglob("*.py"))}
    packed = subprocess.run(["git", "archive", revision, PACKAGE], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {
            member.name: file.read().decode()
            for member in archive
            if member.name.endswith(".py") and (file := archive.extractfile(member)) is not None
        }


def module_name(path: str) -> str:
    """``android_suite/trace/detect.py`` as ``android_suite.trace.detect``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def find_imports(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """By module, the modules of the package that it imports anywhere: at the top, lazily, or for types only."""
    modules = {module_name(path) for path in sources}
    return {module_name(path): set(_imports(text, modules)) - {module_name(path)} for path, text in sources.items()}


def _imports(text: str, modules: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in modules:
                    yield full
                elif node.module in modules:
                    yield node.module


def find_circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for target in imports.get(todo.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    reached = {module: reach(module) for module in imports}
    circles = {
        tuple(sorted({module, *(other for other in reached[module] if module in reached.get(other, ()))}))
        for module in imports
        if module in reached[module]
    }
    return [list(circle) for circle in sorted(circles)]


def describe(sources: Mapping[str, str]) -> str:
    """The numbers of one version, one per line."""
    lengths = sorted(len(text.splitlines()) for text in sources.values())
    largest = max(sources, key=lambda path: len(sources[path].splitlines()))
    circles = find_circles(find_imports(sources))
    places = {
        event: sum(event in text for path, text in sources.items() if path.startswith(f"{PACKAGE}/trace/"))
        for event in EVENTS
    }
    folders = {Path(path).parent for path in sources}
    most = max(folders, key=lambda folder: sum(Path(path).parent == folder for path in sources))
    inside = sum(Path(path).parent == most for path in sources)
    lines = (
        f"files: {len(lengths)}, with {sum(lengths)} lines",
        f"lines per file: median {statistics.median(lengths):.0f}, p90 {lengths[int(len(lengths) * 0.9)]}",
        f"largest file: {largest}, {lengths[-1]} lines",
        f"largest folder: {most}, {inside} files",
        f"circles between files: {len(circles)}",
        *(f"  {' <-> '.join(circle)}" for circle in circles),
        "files of trace/ that name an event: " + ", ".join(f"{event} {count}" for event, count in places.items()),
    )
    return "\n".join(lines)


def main() -> None:
    """Prints the numbers of the revisions given, or of the working tree."""
    revisions: list[str | None] = [*sys.argv[1:]]
    for revision in revisions or [None]:
        sys.stdout.write(f"{revision or 'working tree'}\n{describe(read_sources(revision))}\n\n")


if __name__ == "__main__":
    main()
