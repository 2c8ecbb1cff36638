"""Debian's own perf for a virtual device, as an initramfs archive: the program and the libraries it opens, nothing else."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from android_suite.virtual.cpio import file_node, render_cpio
from android_suite.virtual.packages import Packages, read_members
from tests.settings import CONFIG

_TRIPLET = "aarch64-linux-gnu"
_WANTED = re.compile(rf"(?:usr/)?(?:bin/perf|lib/{_TRIPLET}/[^/]+\.so[.\d]*)$")
FOLDER = "opt/perf"


def write_perf_overlay(path: Path) -> str:
    """Writes the archive; perf lies in ``/opt/perf`` with its libraries, which the guest's own are not mixed with.

    Returns:
        The package's version.
    """
    packages = Packages(CONFIG, "arm64")
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}

    def take(debs: Sequence[Path]) -> None:
        for deb in debs:
            for member, content in read_members(deb, lambda name: bool(_WANTED.match(name))):
                name = Path(member.name).name
                if member.issym():
                    links[name] = Path(member.linkname).name
                else:
                    files[name] = content

    specs = packages.list_closure(["linux-perf"])
    packages.fetch([spec for spec in specs if re.match(r"lib|linux-perf|zlib", spec)], take)
    nodes = {}
    todo, done = ["perf"], set()
    while todo:
        name = todo.pop()
        content = files.get(_follow(name, links))
        if name in done or content is None:
            continue
        done.add(name)
        nodes[f"{FOLDER}/{name}"] = file_node(content, executable=True)
        todo += read_needed(content)
    path.write_bytes(render_cpio(nodes))
    return next(spec.partition("=")[2] for spec in specs if spec.startswith("linux-perf="))


def _follow(name: str, links: dict[str, str]) -> str:
    while name in links and links[name] != name:
        name = links[name]
    return name


def read_needed(elf: bytes) -> list[str]:
    """Names of the shared libraries that a program or library asks for."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(elf)
        file.flush()
        listing = subprocess.run(["readelf", "-dW", file.name], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", listing)
