from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from android_suite.errors import MachineError, UsageError
from android_suite.virtual.perfetto import HOME, build_perfetto, list_nodes
from tests.settings import CONFIG

PROGRAM = Path(shutil.which("true") or "/bin/true").read_bytes()  # any program: what it needs is read from it
LIBRARIES = "usr/lib/aarch64-linux-gnu"
FILES = {
    "usr/bin/perfetto": (True, PROGRAM), "usr/sbin/traced": (True, PROGRAM), "usr/sbin/traced_probes": (True, PROGRAM),
    f"{LIBRARIES}/ld-linux-aarch64.so.1": (True, PROGRAM), f"{LIBRARIES}/libc.so.6": (True, PROGRAM),
    f"{LIBRARIES}/libunused.so.1": (True, PROGRAM),
}  # fmt: skip


def test_the_overlay_has_the_programs_with_their_own_libraries_and_linker() -> None:
    links = {"usr/lib/ld-linux-aarch64.so.1": "aarch64-linux-gnu/ld-linux-aarch64.so.1"}
    nodes = list_nodes(FILES, links)
    assert f"{HOME}/lib/libc.so.6" in nodes
    assert f"{HOME}/lib/libunused.so.1" not in nodes
    linker = nodes[f"{HOME}/lib/ld-linux-aarch64.so.1"]
    assert linker.content == PROGRAM  # the file, not the link of the same name in another folder
    for name in ("perfetto", "traced", "traced_probes"):
        assert nodes[f"{HOME}/run/{name}"].content == b"../lib/ld-linux-aarch64.so.1"
        assert nodes[f"system/bin/{name}"].content.startswith(b"#!/system/bin/sh\n")
    # everything is in its own folder, but for the three commands
    assert [path for path in nodes if not path.startswith((f"{HOME}/", "system/bin/"))] == []


def test_a_package_without_a_program_is_refused() -> None:
    with pytest.raises(MachineError, match="has no usr/sbin/traced"):
        list_nodes({path: file for path, file in FILES.items() if path != "usr/sbin/traced"}, {})
    with pytest.raises(UsageError, match="arm64"):
        build_perfetto("riscv64", config=CONFIG)
