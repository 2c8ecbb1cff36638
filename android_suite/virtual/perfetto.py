"""The overlay with Perfetto for a virtual device: Debian's ``traced``, ``traced_probes`` and ``perfetto``.

A phone has the three programs; the plain image of a virtual device does not, and its bytes stay as they are. The overlay
has them with their own libraries and dynamic linker below ``/system/perfetto``, so that the image's versions do not
matter, and a command of each name in ``/system/bin``. ``perfetto`` starts the two daemons if they do not run yet, which
Android's init does at boot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache
from android_suite.virtual.cpio import Node, file_node, link_node, render_cpio
from android_suite.virtual.image import KEPT_BASES, KEPT_S, TRIPLETS, find_needed_files
from android_suite.virtual.packages import Packages, read_members

HOME: Final = "system/perfetto"
SUITE: Final = "forky"  # the first suite that has the package
LAYOUT: Final = "1"  # a change here builds every overlay anew
_PROGRAMS: Final = ("usr/bin/perfetto", "usr/sbin/traced", "usr/sbin/traced_probes")
# The linker is run by a link of the program's name, so that ps and pidof show that name.
_COMMAND: Final = """#!/system/bin/sh
exec /{home}/run/{name} --library-path /{home}/lib /{home}/bin/{name} "$@"
"""
_CLIENT: Final = """#!/system/bin/sh
mkdir -p /data/misc/perfetto-traces /run/perfetto
start() {{
    pidof $1 > /dev/null && return
    setsid $1 < /dev/null > /tmp/$1.log 2>&1 &
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -e $2 ] && return
        sleep 0.2
    done
}}
start traced /run/perfetto/traced-consumer.sock
start traced_probes /sys/kernel/tracing
exec /{home}/run/perfetto --library-path /{home}/lib /{home}/bin/perfetto "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfettoOverlay:
    """A built overlay.

    Attributes:
        path: the initramfs archive to append to the image.
        sha256: its digest.
        packages: the Debian packages in it, as ``name=version``.
    """

    path: Path
    sha256: str
    packages: tuple[str, ...]


def build_perfetto(arch: str, *, config: Config) -> PerfettoOverlay:
    """The overlay for an architecture: from the cache, or made of Debian's packages (seconds).

    Args:
        arch: ``arm64`` or ``amd64``.
        config: gives the cache and the Debian mirror.

    Raises:
        UsageError: there is none for that architecture.
        MachineError: the packages cannot be fetched, or lack a file.
    """
    if arch not in TRIPLETS:
        raise UsageError(f"no Perfetto for {arch!r}; use {' or '.join(TRIPLETS)}")
    cache = Cache(config.cache)
    made_of = "\0".join([LAYOUT, SUITE, *_PROGRAMS, _COMMAND, _CLIENT])
    key = f"{arch}-{hashlib.sha256(made_of.encode()).hexdigest()[:32]}"
    with cache.lock(f"perfetto-{arch}"):
        entry = cache.read_entry("perfetto", key)
        if entry is None:
            packages = Packages(config, arch, suites=(SUITE,))
            files, links, specs = _fetch(packages, arch)
            overlay = render_cpio(list_nodes(files, links))
            entry = cache.write_entry("perfetto", key, {"overlay": overlay}, {"arch": arch, "packages": specs})
            cache.prune("perfetto", f"{arch}-", keep=KEPT_BASES, unused_s=KEPT_S)
        cache.mark_used("perfetto", key)
    return PerfettoOverlay(
        path=entry.files["overlay"], sha256=entry.digests["overlay"], packages=tuple(entry.meta["packages"])
    )


def list_nodes(files: Mapping[str, tuple[bool, bytes]], links: Mapping[str, str]) -> dict[str, Node]:
    """The files of the overlay: the programs, the libraries that they open, and the commands.

    Args:
        files: paths of the packages, with a leading ``usr/``, to whether each is executable, and its content.
        links: paths to targets of symbolic links.

    Raises:
        MachineError: a program or the dynamic linker is not among the files.
    """
    loader = next((path for path in sorted(files) if "/ld-linux" in path), "")
    if missing := [path for path in (*_PROGRAMS, loader) if path not in files]:
        raise MachineError(
            f"Debian's package perfetto has no {missing[0] or 'dynamic linker'}; report this to the suite's authors"
        )
    nodes: dict[str, Node] = {}
    for path in sorted(find_needed_files(files, links, (*_PROGRAMS, loader))):
        name = path.rpartition("/")[2]
        if path in links and links[path].rpartition("/")[2] == name:
            continue  # to a file of that name in another folder; here is one folder
        if path in links:
            nodes[f"{HOME}/lib/{name}"] = link_node(links[path].rpartition("/")[2])
        else:
            folder = "bin" if path in _PROGRAMS else "lib"
            nodes[f"{HOME}/{folder}/{name}"] = file_node(files[path][1], executable=True)
    for path in _PROGRAMS:
        name = path.rpartition("/")[2]
        text = (_CLIENT if name == "perfetto" else _COMMAND).format(home=HOME, name=name)
        nodes[f"{HOME}/run/{name}"] = link_node(f"../lib/{loader.rpartition('/')[2]}")
        nodes[f"system/bin/{name}"] = file_node(text.encode(), executable=True)
    return nodes


def _fetch(packages: Packages, arch: str) -> tuple[dict[str, tuple[bool, bytes]], dict[str, str], list[str]]:
    """The programs and all libraries of the package and its dependencies: files, links, ``name=version``."""
    wanted = re.compile(
        rf"usr/(?:s?bin/(?:perfetto|traced|traced_probes)|lib/perfetto/[^/]+\.so|lib/{TRIPLETS[arch]}/[^/]+\.so[.\d]*"
        r"|lib(?:64)?/ld-linux[^/]+)$"
    )
    files: dict[str, tuple[bool, bytes]] = {}
    links: dict[str, str] = {}
    libraries = re.compile(r"(?:perfetto|zlib1g|lib(?:c6|stdc\+\+6|gcc-s1))=")
    specs = [spec for spec in packages.list_closure(["perfetto"]) if libraries.match(spec)]

    def take(debs: Sequence[Path]) -> None:
        for deb in debs:
            for member, content in read_members(deb, lambda name: True):
                path = member.name if member.name.startswith("usr/") else f"usr/{member.name}"
                if not wanted.match(path):
                    continue
                if member.isfile():
                    files[path] = (True, content)
                elif member.issym():
                    links[path] = member.linkname

    packages.fetch(specs, take)
    return files, links, specs
