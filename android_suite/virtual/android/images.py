"""Unpacks what a user pulled from a device: file system images and APEX modules, with packaged tools and never mounted.

Nothing of an image runs on the host, and what is unpacked is looked at without following links out of its folder. The
tools themselves write wherever a name in the image says (``../x``; a link and then a file of its name), so an ext4 image
is walked here, and each file written to a name of ours; an erofs image with such names is refused before it is unpacked.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import disk_full

Form = Literal["sparse", "ext4", "erofs", "f2fs", "super", "payload", "zip", "unknown"]

# name of a tool -> Debian's package
TOOLS = {
    "debugfs": "e2fsprogs", "fsck.erofs": "erofs-utils", "dump.erofs": "erofs-utils", "simg2img": "android-sdk-libsparse-utils",
}  # fmt: skip
_HEAD_BYTES = 8192
_TIMEOUT_S = 1800.0
_SIMPLE = re.compile(r"[A-Za-z0-9._+@-]+")  # names of everything that is needed; debugfs has no quoting for others
_PAYLOAD, _ORIGINAL = "apex_payload.img", "original_apex"
_SYSTEM_FOLDERS = ("system/apex", "system/lib64", "system/etc/icu", "apex", "lib64")  # of a system image, either layout
_EROFS_LINE = re.compile(r"\s*(\d+)\s+(\d+)\s+([^/]+)")  # number, type and name
_EROFS_FOLDER = "2"
_NEXT_STEP: dict[Form, str] = {
    "super": "is super.img, which holds several partitions; take system.img out of it with lpunpack and give that",
    "payload": "is the payload of an update; take system.img out of it with payload-dumper-go and give that",
    "f2fs": "is an f2fs file system, which no packaged tool reads unmounted; pull the folders from the device instead",
    "unknown": "is neither an ext4 or erofs image, a sparse image of one, nor an APEX module; give system.img of the "
    "device's factory image, or a folder with what `adb pull` got",
}  # fmt: skip


class _Entry(NamedTuple):
    """A file or folder of an ext4 image."""

    inode: int
    mode: int
    name: str
    size: int


def list_missing() -> list[str]:
    """The tools that are not installed."""
    return [name for name in TOOLS if not shutil.which(name, path=_path())]


def read_form(path: Path) -> Form:
    """What kind of file it is, by its content."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"\x3a\xff\x26\xed"):
        return "sparse"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"CrAU"):
        return "payload"
    if head[4096:4100] == b"gDla":
        return "super"
    [magic] = struct.unpack_from("<I", head.ljust(_HEAD_BYTES, b"\0"), 1024)
    if magic == 0xE0F5E1E2:
        return "erofs"
    if magic == 0xF2F52010:
        return "f2fs"
    return "ext4" if head[1080:1082] == b"\x53\xef" else "unknown"


def unpack(path: Path, out: Path, work: Path) -> None:
    """Unpacks a file into the folder ``out``.

    Args:
        path: a file system image, plain or sparse, or an APEX module, compressed or not.
        out: is made. Of a system image it gets what can be needed, of a module everything.
        work: a folder for intermediate files, which are removed.

    Raises:
        UsageError: it is another kind of file; the message says how to get one of these.
        MachineError: a tool is missing or refuses the image, or the disk is full.
    """
    form = read_form(path)
    if form == "zip":
        unpack(_take_payload(path, work), out, work)
        _inner(path, work).unlink()
    elif form == "sparse":
        plain = work / f"{path.name}.plain"
        _run(["simg2img", path, plain], f"expand the sparse image {path.name}")
        if read_form(plain) == "sparse":
            raise UsageError(f"{path.name} is a sparse image within a sparse image; give the plain image")
        unpack(plain, out, work)
        plain.unlink()
    elif form == "ext4":
        out.mkdir(parents=True)
        _unpack_ext4(path, out)
    elif form == "erofs":
        _check_erofs(path)
        out.mkdir(parents=True)
        argv = ["fsck.erofs", "--no-preserve", "--overwrite", f"--extract={out}", path]
        _run(argv, f"unpack {path.name}", "if it is compressed in a way that Debian's erofs-utils does not know, pull "
             "the folders from the device instead")  # fmt: skip
    else:
        raise UsageError(f"{path} {_NEXT_STEP[form]}")


def _inner(module: Path, work: Path) -> Path:
    return work / f"{module.name}.inner"


def _take_payload(path: Path, work: Path) -> Path:
    """The file system image of a module, taken out of one archive or, if it is compressed, out of two."""
    inner = _inner(path, work)
    if _take_member(path, inner, work) == _PAYLOAD:
        return inner
    if read_form(inner) != "zip":
        raise UsageError(f"{path} is a compressed APEX module without a module in it; pull it from the device again")
    module = inner.rename(inner.with_suffix(".module"))
    if _take_member(module, inner, work) != _PAYLOAD:
        raise UsageError(f"{path} is a compressed APEX module within another; pull it from the device again")
    module.unlink()
    return inner


def _take_member(path: Path, inner: Path, work: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            member = next((name for name in (_PAYLOAD, _ORIGINAL) if name in names), None)
            if member is None:
                image = next((name for name in names if name.endswith("system.img")), "")
                step = f"unzip it and give {image}" if image else "give system.img of the device's factory image"
                raise UsageError(f"{path} is a zip archive and no APEX module; {step}")
            with archive.open(member) as packed, inner.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise UsageError(f"{path} is not a whole APEX module; pull it from the device again") from error
    except OSError as error:
        raise disk_full(work, path.stat().st_size) from error
    return member


def _unpack_ext4(image: Path, out: Path) -> None:
    """Takes out the folders of a system image that can be needed; everything, if it has none of them. No links."""
    if '"' in str(image) or '"' in str(out) or "\n" in f"{image}{out}":
        raise UsageError(f"{image} is in a folder whose name has a quote or a line break; move it elsewhere")
    top = _list_ext4(image, '"/"')
    found = [folder for folder in _SYSTEM_FOLDERS if _list_ext4(image, f'"/{folder}"', missing_ok=True)]
    if not any("apex" in folder for folder in found):
        found = [each.name for each in top if stat.S_ISDIR(each.mode) and each.name != "lost+found"]
    files: dict[Path, _Entry] = {}
    for folder in found:
        files |= {out / path: entry for path, entry in _walk_ext4(image, PurePosixPath(folder))}
    for path in {each.parent for each in files}:
        path.mkdir(parents=True, exist_ok=True)
    commands = out.parent / f"{out.name}.commands"
    commands.write_text("".join(f'dump <{entry.inode}> "{path}"\n' for path, entry in files.items()))
    _run(["debugfs", "-f", commands, image], f"unpack {image.name}")
    commands.unlink()
    for path, entry in files.items():
        if not path.is_file() or path.stat().st_size != entry.size:
            raise MachineError(f"could not unpack {image.name}: {path.name} is not whole in it; get the image again")


def _walk_ext4(image: Path, folder: PurePosixPath) -> Iterator[tuple[PurePosixPath, _Entry]]:
    """The regular files below a folder of an image, each with its path from the image's root."""
    queue = [(folder, f'"/{folder}"')]
    seen: set[int] = set()  # a damaged image may have a folder within itself
    for path, where in queue:
        for entry in _list_ext4(image, where):
            if stat.S_ISREG(entry.mode):
                yield path / entry.name, entry
            elif stat.S_ISDIR(entry.mode) and entry.inode not in seen:
                seen.add(entry.inode)
                queue.append((path / entry.name, f"<{entry.inode}>"))


def _list_ext4(image: Path, where: str, *, missing_ok: bool = False) -> list[_Entry]:
    """What a folder has, as far as its names are simple; empty if it is missing and may be."""
    told = _run(["debugfs", "-R", f"ls -p {where}", image], f"read {image.name}", missing_ok=missing_ok)
    entries = []
    for line in told.splitlines():
        match line.split("/"):
            case ["", inode, mode, _, _, name, size, ""] if _SIMPLE.fullmatch(name) and name not in (".", ".."):
                entries.append(_Entry(int(inode), int(mode, 8), name, int(size or 0)))
    return entries


def _check_erofs(image: Path) -> None:
    """Refuses an image in which a name leads elsewhere, or a folder is in itself: its tool would follow both."""
    (root,) = re.findall(r"root nid: *(\d+)", _run(["dump.erofs", "-s", image], f"read {image.name}"))[:1] or ("0",)
    queue, seen = [root], {root}
    for folder in queue:
        told = _run(["dump.erofs", "--ls", f"--nid={folder}", image], f"read {image.name}")
        for line in filter(None, told.partition("FILENAME\n")[2].split("\n")):
            found = _EROFS_LINE.fullmatch(line)
            number, kind, name = found.groups() if found else ("", "", line.split(maxsplit=2)[-1])
            if name in (".", ".."):
                continue
            if found is None or (kind == _EROFS_FOLDER and number in seen):
                raise UsageError(
                    f"{image.name} has a name that no Android system has ({name[:80]!r}); get the image again"
                )
            if kind == _EROFS_FOLDER:
                seen.add(number)
                queue.append(number)


def _run(argv: Sequence[object], what: str, hint: str = "", *, missing_ok: bool = False) -> str:
    words = [str(word) for word in argv]
    if not shutil.which(words[0], path=_path()):
        raise MachineError(f"could not {what}: no {words[0]}; run: apt-get install {TOOLS[words[0]]}")
    try:
        done = subprocess.run(
            words, capture_output=True, check=False, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": _path(), "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MachineError(f"could not {what} within {_TIMEOUT_S / 60:.0f} minutes; try again") from None
    said = (done.stdout + done.stderr).decode(errors="replace")
    # debugfs ends with 0 whatever happens; it begins with a line of its version.
    complaints = [
        line for line in done.stderr.decode(errors="replace").splitlines() if not line.startswith("debugfs 1.")
    ]
    missing = ("File not found", "is not a directory") if missing_ok else ()
    complained = words[0] == "debugfs" and any(not any(each in line for each in missing) for line in complaints)
    if done.returncode or complained:
        error = MachineError(f"could not {what} ({words[0]}): {hint or 'the image may be damaged; get it again'}")
        error.add_note(said.strip()[-2000:])
        raise error
    return done.stdout.decode(errors="replace")


def _path() -> str:
    return os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/sbin"])  # debugfs is outside of a user's path
