"""Unpacks what a user pulled from a device: file system images and APEX modules, with packaged tools and never mounted.

An image is read by a program of the user that calls us, so a damaged or hostile one can at most fail: nothing of it runs
on the host, and what is unpacked is looked at without following links out of its folder.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import disk_full

Form = Literal["sparse", "ext4", "erofs", "f2fs", "super", "payload", "zip", "unknown"]

# name of a tool -> Debian's package
TOOLS = {"debugfs": "e2fsprogs", "fsck.erofs": "erofs-utils", "simg2img": "android-sdk-libsparse-utils"}
_HEAD_BYTES = 8192
_TIMEOUT_S = 1800.0
_SIMPLE = re.compile(r"[A-Za-z0-9._+@-]+")  # names of everything that is needed; debugfs has no quoting for others
_PAYLOAD, _ORIGINAL = "apex_payload.img", "original_apex"
_SYSTEM_FOLDERS = ("system/apex", "system/lib64", "system/etc/icu", "apex", "lib64")  # of a system image, either layout
_NEXT_STEP: dict[Form, str] = {
    "super": "is super.img, which holds several partitions; take system.img out of it with lpunpack and give that",
    "payload": "is the payload of an update; take system.img out of it with payload-dumper-go and give that",
    "f2fs": "is an f2fs file system, which no packaged tool reads unmounted; pull the folders from the device instead",
    "unknown": "is neither an ext4 or erofs image, a sparse image of one, nor an APEX module; give system.img of the "
    "device's factory image, or a folder with what `adb pull` got",
}  # fmt: skip


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
        _unpack_module(path, out, work)
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
        out.mkdir(parents=True)
        argv = ["fsck.erofs", "--no-preserve", "--overwrite", f"--extract={out}", path]
        _run(argv, f"unpack {path.name}", "if it is compressed in a way that Debian's erofs-utils does not know, pull "
             "the folders from the device instead")  # fmt: skip
    else:
        raise UsageError(f"{path} {_NEXT_STEP[form]}")


def _unpack_module(path: Path, out: Path, work: Path) -> None:
    inner = work / f"{path.name}.inner"
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
    if member == _ORIGINAL and read_form(inner) != "zip":
        raise UsageError(f"{path} is a compressed APEX module without a module in it; pull it from the device again")
    unpack(inner, out, work)
    inner.unlink()


def _unpack_ext4(image: Path, out: Path) -> None:
    """Takes out the folders of a system image that can be needed; everything, if it has none of them."""
    if '"' in str(image) or '"' in str(out) or "\n" in f"{image}{out}":
        raise UsageError(f"{image} is in a folder whose name has a quote or a line break; move it elsewhere")
    found = [folder for folder in _SYSTEM_FOLDERS if _list_ext4(image, folder)]
    is_system = any("apex" in folder for folder in found)
    for folder in found if is_system else [name for name in _list_ext4(image, "") if name != "lost+found"]:
        target = (out / folder).parent
        target.mkdir(parents=True, exist_ok=True)
        _run(["debugfs", "-R", f'rdump "/{folder}" "{target}"', image], f"unpack {image.name}")


def _list_ext4(image: Path, folder: str) -> list[str]:
    """The names in a folder of an image; empty if it has no such folder."""
    told = _run(["debugfs", "-R", f'ls -p "/{folder}"', image], f"read {image.name}")
    names = [line.split("/")[5] for line in told.splitlines() if line.count("/") >= 6]
    return [name for name in names if _SIMPLE.fullmatch(name) and name not in (".", "..")]


def _run(argv: Sequence[object], what: str, hint: str = "") -> str:
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
    if done.returncode or "Bad magic number" in said or "No space left" in said:
        error = MachineError(f"could not {what} ({words[0]}): {hint or 'the image may be damaged; get it again'}")
        error.add_note(said.strip()[-2000:])
        raise error
    return done.stdout.decode(errors="replace")


def _path() -> str:
    return os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/sbin"])  # debugfs is outside of a user's path
