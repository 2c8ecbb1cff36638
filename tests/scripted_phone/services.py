"""What adbd offers: shell, exec and sync. Each function serves one channel to its end."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.scripted_phone.jail import hang_up
from tests.scripted_phone.wire import Channel, Gone

if TYPE_CHECKING:
    from tests.scripted_phone.phone import ScriptedPhone

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_PIECE: Final = 1 << 16
_OPEN_TO_SHELL = ("/data/local/tmp", "/sdcard", "/storage")


def serve_shell_v2(phone: ScriptedPhone, channel: Channel, command: str) -> None:
    """``shell,v2,raw:``: packets of kind, length and data in both directions, the exit status at the end."""
    process = phone.start_shell(command, stderr=subprocess.PIPE)
    sending = threading.Lock()
    ended = threading.Event()

    def hang() -> None:
        if not ended.is_set():
            hang_up(process)

    channel.on_close = hang

    def send(kind: int, data: bytes) -> None:
        with sending:
            channel.write(struct.pack("<BI", kind, len(data)) + data)

    def pump(kind: int, descriptor: int) -> None:
        with suppress(Gone, OSError):
            while data := os.read(descriptor, _PIECE):
                send(kind, data)

    def feed() -> None:
        rest = bytearray()
        assert process.stdin is not None
        with suppress(Gone, OSError), process.stdin:
            while True:
                kind, size = struct.unpack("<BI", channel.read_exactly(5, rest))
                data = channel.read_exactly(size, rest)
                if kind == _STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()
                elif kind == _CLOSE_STDIN:
                    return  # which closes it; what comes after it is for nobody

    assert process.stdout is not None
    assert process.stderr is not None
    pumps = [
        threading.Thread(target=pump, args=(_STDOUT, process.stdout.fileno()), daemon=True),
        threading.Thread(target=pump, args=(_STDERR, process.stderr.fileno()), daemon=True),
    ]
    threading.Thread(target=feed, daemon=True).start()
    for each in pumps:
        each.start()
    for each in pumps:
        each.join()
    status = process.wait()
    ended.set()
    process.stdout.close()
    process.stderr.close()
    with suppress(Gone):
        send(_EXIT, bytes([status & 0xFF if status >= 0 else 128 - status]))


def serve_raw_shell(phone: ScriptedPhone, channel: Channel, command: str) -> None:
    """``shell:`` and ``exec:`` of old: bytes in both directions, errors among the output, no status."""
    process = phone.start_shell(command, stderr=subprocess.STDOUT)
    channel.on_close = lambda: hang_up(process)

    def feed() -> None:
        assert process.stdin is not None
        with suppress(Gone, OSError), process.stdin:
            while data := channel.read():
                process.stdin.write(data)
                process.stdin.flush()

    threading.Thread(target=feed, daemon=True).start()
    assert process.stdout is not None
    with process.stdout, suppress(Gone):
        while data := os.read(process.stdout.fileno(), _PIECE):
            channel.write(data)
    channel.on_close = lambda: None
    process.wait()


def serve_sync(phone: ScriptedPhone, channel: Channel) -> None:
    """``sync:`` with STAT, LIST, RECV and SEND, and the second versions of each (no compression)."""
    rest = bytearray()
    while True:
        kind, size = struct.unpack("<4sI", channel.read_exactly(8, rest))
        if kind == b"QUIT":
            return
        path = channel.read_exactly(size, rest).decode(errors="surrogateescape")
        match kind:
            case b"STAT":
                channel.write(b"STAT" + struct.pack("<III", *_stat(phone, path)))
            case b"STA2" | b"LST2":
                channel.write(kind + _stat2(phone, path))
            case b"LIST" | b"LIS2":
                _list(phone, channel, kind, path)
            case b"RECV" | b"RCV2":
                if kind == b"RCV2":
                    channel.read_exactly(8, rest)  # RCV2 again, and flags
                _receive(phone, channel, path)
            case b"SEND":
                path, _, mode = path.rpartition(",")
                _send(phone, channel, path, int(mode), rest)
            case b"SND2":
                _, mode, _ = struct.unpack("<4sII", channel.read_exactly(12, rest))
                _send(phone, channel, path, mode, rest)
            case _:
                _fail(channel, f"unknown command {kind!r}")
                return


def _fail(channel: Channel, said: str) -> None:
    channel.write(b"FAIL" + struct.pack("<I", len(said)) + said.encode())


def _may(phone: ScriptedPhone, path: str) -> bool:
    return phone.adbd_uid == 0 or any(path == top or path.startswith(f"{top}/") for top in _OPEN_TO_SHELL)


def _stat(phone: ScriptedPhone, path: str) -> tuple[int, int, int]:
    try:
        found = phone.jail.inside(path).lstat()
    except OSError:
        return 0, 0, 0
    return found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime)


def _stat2(phone: ScriptedPhone, path: str) -> bytes:
    form = "<IQQIIIIQqqq"
    try:
        found = phone.jail.inside(path).lstat()
    except OSError as error:
        return struct.pack(form, error.errno or 5, *(0,) * 10)
    times = int(found.st_atime), int(found.st_mtime), int(found.st_ctime)
    owner = found.st_mode, found.st_nlink, found.st_uid, found.st_gid
    return struct.pack(form, 0, found.st_dev, found.st_ino, *owner, found.st_size, *times)


def _list(phone: ScriptedPhone, channel: Channel, kind: bytes, path: str) -> None:
    try:
        names = sorted(each.name for each in phone.jail.inside(path).iterdir())
    except OSError:
        names = []
    for name in names:
        encoded = name.encode(errors="surrogateescape")
        if kind == b"LIST":
            head = b"DENT" + struct.pack("<III", *_stat(phone, f"{path}/{name}"))
        else:
            head = b"DNT2" + _stat2(phone, f"{path}/{name}")
        channel.write(head + struct.pack("<I", len(encoded)) + encoded)
    channel.write(b"DONE" + bytes(16 if kind == b"LIST" else 76))


def _receive(phone: ScriptedPhone, channel: Channel, path: str) -> None:
    if not _may(phone, path):
        _fail(channel, f"open failed: {path}: Permission denied")
        return
    try:
        data = phone.jail.inside(path).read_bytes()
    except OSError as error:
        _fail(channel, f"open failed: {error.strerror}")
        return
    for at in range(0, len(data), _PIECE):
        piece = data[at : at + _PIECE]
        channel.write(b"DATA" + struct.pack("<I", len(piece)) + piece)
    channel.write(b"DONE" + struct.pack("<I", 0))


def _send(phone: ScriptedPhone, channel: Channel, path: str, mode: int, rest: bytearray) -> None:
    data = bytearray()
    while True:
        kind, size = struct.unpack("<4sI", channel.read_exactly(8, rest))
        if kind == b"DONE":
            break
        data += channel.read_exactly(size, rest)
    if not _may(phone, path):
        _fail(channel, f"couldn't create file: Permission denied ({path})")
        return
    if phone.free_bytes is not None and len(data) > phone.free_bytes:
        _fail(channel, "write failed: No space left on device")
        return
    target = phone.jail.inside(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)  # fixed_push_mkdir
        target.write_bytes(phone.translate_program(path, bytes(data)))
        target.chmod(stat.S_IMODE(mode) or 0o644)
        _own(target, phone.adbd_uid)
    except OSError as error:
        _fail(channel, f"couldn't create file: {error.strerror}")
        return
    channel.write(b"OKAY" + struct.pack("<I", 0))


def _own(path: Path, uid: int) -> None:
    os.chown(path, uid or 0, uid or 0)
