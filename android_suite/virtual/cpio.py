"""Writes cpio archives (``newc``) for an initramfs. The same input gives the same bytes.

An initramfs may consist of several archives in sequence, compressed or not; later files replace earlier ones. So the
large part is made once, and the part that changes per boot is appended.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# The kernel looks for the next archive at multiples of four bytes; cpio tools pad an archive to 512.
BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One file, folder or link of an archive: ``mode`` as in ``st_mode``; ``content`` of a link is its target."""

    mode: int
    content: bytes = b""


def file_node(content: bytes, *, executable: bool = False) -> Node:
    """A regular file."""
    return Node(mode=stat.S_IFREG | (0o755 if executable else 0o644), content=content)


def link_node(target: str) -> Node:
    """A symbolic link."""
    return Node(mode=stat.S_IFLNK | 0o777, content=target.encode())


def folder_node() -> Node:
    """A folder."""
    return Node(mode=stat.S_IFDIR | 0o755)


def render_cpio(nodes: Mapping[str, Node]) -> bytes:
    """An archive of ``nodes`` (path without leading ``/`` to node), sorted, with the parent folders of each file.

    Times are 0 and owners are root, so equal nodes give equal bytes.
    """
    whole = {parent: folder_node() for path in nodes for parent in _parents(path)} | dict(nodes)
    parts: list[bytes] = []
    for inode, path in enumerate(sorted(whole), 1):
        parts.extend(_render_member(path, whole[path], inode))
    parts.extend(_render_member("TRAILER!!!", Node(mode=0), 0))
    archive = b"".join(parts)
    return archive + b"\0" * (-len(archive) % BLOCK_BYTES)


def join_archives(archives: Iterable[bytes]) -> bytes:
    """Concatenates archives, each padded to where the kernel looks for the next."""
    return b"".join(archive + b"\0" * (-len(archive) % BLOCK_BYTES) for archive in archives)


def _parents(path: str) -> list[str]:
    names = path.split("/")[:-1]
    return ["/".join(names[: depth + 1]) for depth in range(len(names))]


def _render_member(path: str, node: Node, inode: int) -> tuple[bytes, ...]:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(node.mode) else 1
    numbers = (inode, node.mode, 0, 0, links, 0, len(node.content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    padding = b"\0" * (-(len(header) + len(name)) % 4)
    return header, name, padding, node.content, b"\0" * (-len(node.content) % 4)
