from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from android_suite.virtual.cpio import file_node, folder_node, join_archives, link_node, render_cpio

NODES = {
    "init": file_node(b"#!/bin/sh\n", executable=True),
    "etc/a/b": file_node(b"x" * 1001),
    "bin/sh": link_node("/usr/bin/busybox"),
    "proc": folder_node(),
    "empty": file_node(b""),
}


def test_cpio_reads_it_back(tmp_path: Path) -> None:
    subprocess.run(["cpio", "-idm", "--quiet"], input=render_cpio(NODES), cwd=tmp_path, check=True)
    assert (tmp_path / "init").read_bytes() == b"#!/bin/sh\n"
    assert stat.S_IMODE((tmp_path / "init").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "etc/a/b").stat().st_mode) == 0o644
    assert (tmp_path / "etc/a/b").read_bytes() == b"x" * 1001
    assert (tmp_path / "bin/sh").readlink() == Path("/usr/bin/busybox")
    assert (tmp_path / "proc").is_dir()
    assert (tmp_path / "empty").stat().st_size == 0


def test_same_nodes_give_same_bytes() -> None:
    assert render_cpio(NODES) == render_cpio(dict(reversed(NODES.items())))


def test_joined_archives_start_at_blocks() -> None:
    joined = join_archives([b"\x28\xb5\x2f\xfdabc", render_cpio({"a": file_node(b"1")})])
    assert joined.index(b"070701") == 512
    assert len(joined) % 512 == 0
