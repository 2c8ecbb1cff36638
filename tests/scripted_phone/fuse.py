"""A file system of Python objects, spoken to the kernel over /dev/fuse (include/uapi/linux/fuse.h, version 7.31).

The scripted phone's /sys is one: a read or a write of a file calls a function, which may refuse it with an errno, as
tracefs does. Whoever mounts it passes the descriptor of /dev/fuse to mount(8); it ends when that is closed.
"""

from __future__ import annotations

import errno
import os
import select
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_IN = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_DIR, _FILE = 0o040000, 0o100000
_DIRECT_IO = 1
_ATOMIC_TRUNC = 1 << 3
_O_TRUNC = os.O_TRUNC


@dataclass
class File:
    """A file whose content is made when it is opened for reading or, if ``flow`` is given, at each read.

    Attributes:
        read: gives the content.
        write: takes the bytes of one write; raises OSError with an errno to refuse them.
        truncated: called when it is opened with O_TRUNC.
        flow: gives at most that many bytes; raises OSError(EAGAIN) if there are none now.
        mode: permissions; uid 0 ignores them.
        denied: even root is refused, as SELinux does.
    """

    read: Callable[[], bytes] = lambda: b""
    write: Callable[[bytes], None] | None = None
    truncated: Callable[[], None] = lambda: None
    flow: Callable[[int], bytes] | None = None
    mode: int = 0o644
    denied: bool = False


@dataclass
class Folder:
    """A folder; ``children`` may be changed at any time."""

    children: dict[str, File | Folder] = field(default_factory=dict)
    mode: int = 0o755
    denied: bool = False

    def put(self, path: str, node: File | Folder) -> None:
        """Adds a node below this folder, with the folders on the way."""
        at = self
        *way, name = path.strip("/").split("/")
        for part in way:
            below = at.children.setdefault(part, Folder())
            assert isinstance(below, Folder)
            at = below
        at.children[name] = node

    def find(self, path: str) -> File | Folder | None:
        """The node at a path below this folder."""
        at: File | Folder | None = self
        for part in filter(None, path.split("/")):
            at = at.children.get(part) if isinstance(at, Folder) else None
        return at


def text(value: str | Callable[[], str], *, mode: int = 0o444) -> File:
    """A file with a text, given or made at each opening; a line end is added."""
    return File(read=lambda: ((value() if callable(value) else value) + "\n").encode(), mode=mode)


class FuseServer:
    """Serves one tree. ``descriptor`` is for mount(8)'s option ``fd=``."""

    def __init__(self, root: Folder) -> None:
        self.descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._nodes: dict[int, File | Folder] = {1: root}
        self._numbers: dict[int, int] = {id(root): 1}
        self._open: dict[int, bytes] = {}
        self._next = 1
        self._closed = False
        self.caller = 0  # the process that the current request comes from, as the phone numbers it

    def start(self) -> None:
        """Answers from the moment on that it is mounted."""
        self._thread = threading.Thread(target=self._serve, daemon=True, name="fuse")
        self._thread.start()

    def close(self) -> None:
        """Ends it. The thread ends first: a closed descriptor's number may be another's by then."""
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join()
        os.close(self.descriptor)
        os.close(self._wake)

    def _serve(self) -> None:
        while not self._closed:
            select.select([self.descriptor, self._wake], [], [])
            try:
                data = os.read(self.descriptor, (1 << 20) + 4096)
            except OSError as error:
                if error.errno == errno.EPERM:
                    time.sleep(0.01)  # not mounted yet
                    continue
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return  # unmounted, or closed
            _, opcode, unique, node, uid, _, self.caller, _ = _IN.unpack_from(data)
            try:
                answer = self._answer(opcode, node, uid, data[_IN.size :])
            except OSError as error:
                self._reply(unique, -(error.errno or errno.EIO), b"")
            else:
                if answer is not None:
                    self._reply(unique, 0, answer)

    def _reply(self, unique: int, error: int, payload: bytes) -> None:
        with suppress(OSError):  # the caller is gone
            os.write(self.descriptor, _OUT.pack(_OUT.size + len(payload), error, unique) + payload)

    def _answer(self, opcode: int, number: int, uid: int, body: bytes) -> bytes | None:
        handler = _HANDLERS.get(opcode)
        if handler is None:
            raise OSError(errno.ENOSYS, "not served")
        return handler(self, self._nodes.get(number), uid, body)

    def _init(self, _node: object, _uid: int, body: bytes) -> bytes:
        _, minor, ahead, _ = struct.unpack_from("<IIII", body)
        return struct.pack(
            "<IIIIHHIIHHI", 7, min(minor, 31), ahead, _ATOMIC_TRUNC, 16, 12, 1 << 17, 1, 0, 0, 0
        ) + bytes(28)

    def _forget(self, _node: object, _uid: int, _body: bytes) -> None:
        return None

    def _attributes(self, node: File | Folder) -> bytes:
        kind = _DIR if isinstance(node, Folder) else _FILE
        return _ATTR.pack(self._number(node), 0, 0, 0, 0, 0, 0, 0, 0, kind | node.mode, 1, 0, 0, 0, 4096, 0)

    def _number(self, node: File | Folder) -> int:
        if id(node) not in self._numbers:
            self._next += 1
            self._numbers[id(node)] = self._next
            self._nodes[self._next] = node
        return self._numbers[id(node)]

    def _lookup(self, node: File | Folder | None, uid: int, body: bytes) -> bytes:
        folder = _folder(node)
        if uid and not folder.mode & 0o001:
            raise OSError(errno.EACCES, "denied")
        child = folder.children.get(body.rstrip(b"\0").decode())
        if child is None:
            raise OSError(errno.ENOENT, "no such file")
        return struct.pack("<QQQQII", self._number(child), 0, 0, 0, 0, 0) + self._attributes(child)

    def _getattr(self, node: File | Folder | None, _uid: int, _body: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self._attributes(_there(node))

    def _open_file(self, node: File | Folder | None, uid: int, body: bytes) -> bytes:
        flags = struct.unpack_from("<I", body)[0]
        file = _there(node)
        assert isinstance(file, File)
        mode, writes = flags & os.O_ACCMODE, (flags & os.O_ACCMODE) != os.O_RDONLY
        reads = mode != os.O_WRONLY
        if file.denied or (uid and ((reads and not file.mode & 0o004) or (writes and not file.mode & 0o002))):
            raise OSError(errno.EACCES, "denied")
        if writes and file.write is None:
            raise OSError(errno.EACCES if uid else errno.EINVAL, "read-only")
        if writes and flags & _O_TRUNC:
            file.truncated()
        self._next += 1
        self._open[self._next] = file.read() if reads and file.flow is None else b""
        return struct.pack("<QII", self._next, _DIRECT_IO, 0)

    def _access(self, node: File | Folder | None, uid: int, body: bytes) -> bytes:
        wanted = struct.unpack_from("<I", body)[0]
        found = _there(node)
        # SELinux is not asked by access(2) here, as on a phone, where [ -r ] says yes and cat is denied
        if uid and wanted & ~found.mode & 0o7:
            raise OSError(errno.EACCES, "denied")
        return b""

    def _read(self, node: File | Folder | None, _uid: int, body: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", body)
        assert isinstance(node, File)
        return node.flow(size) if node.flow else self._open[handle][offset : offset + size]

    def _write(self, node: File | Folder | None, _uid: int, body: bytes) -> bytes:
        size = struct.unpack_from("<QQI", body)[2]
        assert isinstance(node, File)
        assert node.write is not None
        node.write(body[40 : 40 + size])
        return struct.pack("<II", size, 0)

    def _release(self, _node: object, _uid: int, body: bytes) -> bytes:
        self._open.pop(struct.unpack_from("<Q", body)[0], None)
        return b""

    def _open_folder(self, node: File | Folder | None, uid: int, _body: bytes) -> bytes:
        folder = _folder(node)
        if folder.denied or (uid and not folder.mode & 0o004):
            raise OSError(errno.EACCES, "denied")
        out = bytearray()
        listed: Mapping[str, File | Folder] = {".": folder, "..": folder, **folder.children}
        for name, child in listed.items():
            encoded = name.encode()
            entry = struct.pack(
                "<QQII",
                self._number(child),
                len(out) + (24 + len(encoded) + 7) // 8 * 8,
                len(encoded),
                4 if isinstance(child, Folder) else 8,
            )
            out += entry + encoded + bytes(-(24 + len(encoded)) % 8)
        self._next += 1
        self._open[self._next] = bytes(out)
        return struct.pack("<QII", self._next, 0, 0)

    def _read_folder(self, _node: object, _uid: int, body: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", body)
        data, end = self._open[handle], offset
        while end < len(data):
            length = struct.unpack_from("<I", data, end + 16)[0]
            step = (24 + length + 7) // 8 * 8
            if end + step - offset > size:
                break
            end += step
        return data[offset:end]

    def _create(self, _node: object, uid: int, _body: bytes) -> bytes:
        raise OSError(errno.EACCES if uid else errno.EPERM, "nothing can be created here")

    def _nothing(self, _node: object, _uid: int, _body: bytes) -> bytes:
        return b""

    def _statfs(self, _node: object, _uid: int, _body: bytes) -> bytes:
        return struct.pack("<QQQQQIII", 0, 0, 0, 0, 0, 4096, 255, 4096) + bytes(28)


def _there(node: File | Folder | None) -> File | Folder:
    if node is None:
        raise OSError(errno.ENOENT, "gone")
    return node


def _folder(node: File | Folder | None) -> Folder:
    if not isinstance(node, Folder):
        raise OSError(errno.ENOTDIR, "not a folder")
    return node


_HANDLERS: Mapping[int, Callable[[FuseServer, File | Folder | None, int, bytes], bytes | None]] = {
    1: FuseServer._lookup, 2: FuseServer._forget, 3: FuseServer._getattr, 4: FuseServer._getattr, 14: FuseServer._open_file,
    15: FuseServer._read, 16: FuseServer._write, 17: FuseServer._statfs, 18: FuseServer._release, 25: FuseServer._nothing,
    26: FuseServer._init, 27: FuseServer._open_folder, 34: FuseServer._access, 28: FuseServer._read_folder,
    29: FuseServer._release, 9: FuseServer._create, 35: FuseServer._create, 8: FuseServer._create,
    36: FuseServer._forget, 42: FuseServer._forget,
}  # fmt: skip
