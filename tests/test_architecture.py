"""Who may import whom. Lazy and type-only imports count.

A room is a package or module directly in ``android_suite/``; a new one needs an entry here. Doors use both halves.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

PACKAGE = "android_suite"
ROOT = Path(__file__).resolve().parent.parent / PACKAGE

GROUND = {"errors", "config", "model", "store"}
# room -> rooms it may import besides itself. Drawn in docs/map.md.
MAY: dict[str, set[str]] = {
    # shared ground
    "errors": set(),
    "config": {"errors", "model"},
    "model": {"errors"},
    "store": {"errors", "model"},
    # online: talks to devices
    "device": GROUND,
    "virtual": GROUND,
    "boot": GROUND | {"device", "virtual"},
    "capture": GROUND | {"device"},
    "workload": GROUND | {"device"},
    "ready": GROUND | {"device"},
    "record": GROUND | {"device", "boot", "capture", "workload", "ready"},
    "lab": GROUND | {"device", "ready"},
    "soak": GROUND | {"device"},
    # offline: reads files
    "jit": set(),
    "tables": {"errors", "model"},
    "trace": {"errors", "model", "jit", "tables"},
    "evidence": {"errors", "model", "tables"},
    "analysis": {"errors", "model", "jit", "tables"},
    "stats": {"errors"},
    "analyze": GROUND | {"tables", "trace", "evidence", "analysis"},
    "export": GROUND | {"tables", "trace", "analysis", "analyze"},
    "compare": GROUND | {"tables", "stats", "analyze"},
    "report": {"errors", "model"},
    "history": GROUND | {"tables", "stats", "analyze", "compare"},
    # doors: know both halves, measure nothing
    "campaign": GROUND
    | {
        "virtual",
        "boot",
        "device",
        "workload",
        "ready",
        "record",
        "tables",
        "analyze",
        "compare",
        "report",
    },
    "lab_page": GROUND | {"report"},
    "bisection": GROUND | {"virtual", "campaign", "workload", "report"},
    "survey": GROUND | {"virtual", "campaign", "workload", "analyze", "stats", "report"},
    "cli": GROUND
    | {"device", "virtual", "boot", "capture", "workload", "record", "campaign", "bisection", "survey"}
    | {"device", "virtual", "boot", "capture", "workload", "ready", "record", "campaign", "lab"}
    | {"device", "virtual", "boot", "capture", "workload", "record", "campaign", "bisection"}
    | {"device", "virtual", "boot", "capture", "workload", "ready", "record", "soak", "campaign", "lab"}
    | {"tables", "trace", "evidence", "analyze", "export", "compare", "report", "history", "lab_page"},
    "pytest_plugin": GROUND | {"device", "boot", "workload", "ready", "record", "analyze"},
}
ONLINE = {"device", "virtual", "boot", "capture", "workload", "ready", "record", "lab", "soak"}
OFFLINE = {"jit", "tables", "trace", "evidence", "analysis", "stats", "analyze", "export", "compare", "report"} | {
    "history"
}
# third-party package -> rooms that may know it
ONLY_IN: dict[str, set[str]] = {
    "adbutils": {"device"},
    "uiautomator2": {"device"},
    "pandas": OFFLINE | {"cli", "campaign", "pytest_plugin"},
    "numpy": OFFLINE | {"cli", "campaign", "pytest_plugin"},
    "numba": {"jit"},
    "llvmlite": {"jit"},
    "scipy": {"stats"},
    "otava": {"stats"},
    "diptest": {"stats"},
    "pyarrow": OFFLINE,
    "perfetto": {"trace", "capture"},  # capture/ makes its configuration
    "jinja2": {"report"},
    "click": {"cli"},
    "starlette": {"lab_page"},
    "anyio": {"lab_page"},
    "uvicorn": {"cli"},
    "distributed": {"campaign"},
    "fsspec": {"store"},
}


def room_of(file: Path) -> str:
    part = file.relative_to(ROOT).parts[0]
    return part.removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module == PACKAGE else {module}
    return found


FILES = sorted(f for f in ROOT.rglob("*.py") if f.name != "__init__.py" or f.parent != ROOT)


def test_every_room_is_placed() -> None:
    rooms = {room_of(f) for f in FILES}
    assert rooms - MAY.keys() == set(), "place the new room in MAY"
    assert {r for allowed in MAY.values() for r in allowed} <= MAY.keys()


def test_the_picture_has_no_cycle() -> None:
    left = {room: set(allowed) for room, allowed in MAY.items()}
    while left:
        free = {room for room, allowed in left.items() if not allowed & left.keys()}
        assert free, f"cycle among {sorted(left)}"
        left = {room: allowed for room, allowed in left.items() if room not in free}


def test_adb_and_pandas_never_meet() -> None:
    for room in ONLINE:
        assert not MAY[room] & OFFLINE, room
    for room in OFFLINE:
        assert not MAY[room] & ONLINE, room


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_keep_to_the_picture(file: Path) -> None:
    room = room_of(file)
    for name in imports_of(file):
        top, _, rest = name.partition(".")
        if top == PACKAGE:
            target = rest.split(".")[0]
            assert target in {"", "__version__", room} | MAY[room], f"{room} may not import {name}"
        elif top in ONLY_IN:
            assert room in ONLY_IN[top], f"{room} may not know {top}"


# Inside trace/: a format's folder -> what it may see of trace/ besides itself. No format knows another, with these
# exceptions, because they hold one: trace.dat is a container of ring-buffer pages, Perfetto of older recorders holds systrace
# text in packets, and render/ prints events as their ring-buffer formats say.
SHARED = {"core", "catalogue", "threads"}
MAY_IN_TRACE: dict[str, set[str]] = {
    "core": set(),
    "catalogue": {"core"},
    "threads": {"core"},
    "ring": SHARED,
    "text": SHARED,
    "dat": SHARED | {"ring"},
    "perfetto": SHARED | {"text"},
    "render": SHARED | {"ring"},
    "choose": {"core", "dat", "perfetto", "text"},  # by what each format's files begin with
    "detect": SHARED | {"choose", "ring", "text", "dat", "perfetto"},
}


def test_no_format_knows_another() -> None:
    for file in (f for f in FILES if room_of(f) == "trace" and f != ROOT / "trace" / "__init__.py"):
        place = file.relative_to(ROOT / "trace").parts[0].removesuffix(".py")
        assert place in MAY_IN_TRACE, f"place {place} in MAY_IN_TRACE"
        for name in imports_of(file):
            if name.startswith(f"{PACKAGE}.trace."):
                target = name.split(".")[2]
                assert target in MAY_IN_TRACE[place] | {place}, f"{file.relative_to(ROOT)} may not import {name}"


def test_imports_between_files_form_no_circle() -> None:
    """Lazy and type-only imports count: two files that need each other are one."""
    modules = {".".join((PACKAGE, *f.relative_to(ROOT).with_suffix("").parts)): f for f in FILES}
    left = {name: _modules_of(file, modules.keys()) - {name} for name, file in modules.items()}
    while left:
        free = {name for name, needed in left.items() if not needed & left.keys()}
        assert free, f"circle among {sorted(_on_a_circle(left))}"
        left = {name: needed for name, needed in left.items() if name not in free}


def _modules_of(file: Path, known: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & set(known)


def _on_a_circle(needs: dict[str, set[str]]) -> set[str]:
    """Of modules that all reach a circle the ones that stand on one: those that reach themselves."""

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = (needs[todo.pop()] & needs.keys()) - seen
            seen |= new
            todo += new
        return seen

    return {name for name in needs if name in reach(name)}


def test_only_virtual_knows_qemu() -> None:
    for file in FILES:
        if room_of(file) != "virtual":
            assert "qemu-system" not in file.read_text(), file


@pytest.mark.parametrize("verb", ["analyze", "export", "record"])
def test_verbs_that_compare_nothing_load_no_statistics_and_no_charts(verb: str) -> None:
    """They take seconds to load."""
    slow = {"scipy.stats", "jinja2", "pydantic", "distributed", "fsspec"}
    code = f"import sys, android_suite.cli.{verb}; print(*{slow} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "\n"


def test_only_config_reads_settings() -> None:
    """Everything else is given a Config; a copy of the environment for a child process is no reading."""
    for file in FILES:
        if room_of(file) not in ("config", "jit"):  # jit: where numba keeps its own code, before any setting is read
            text = file.read_text()
            assert not any(word in text for word in ("environ.get(", "environ[", "getenv(")), file
