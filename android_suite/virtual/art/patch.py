"""Mends the faults of Debian's libart in its bytes, as ``patches.toml`` says. The file must be the one that is named."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import MachineError

PATCHES = Path(__file__).parent / "patches.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Bytes at an offset of the file, and what they become."""

    offset: int
    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """The places of one file, which has the SHA-256 ``before`` and gets ``after``."""

    before: str
    after: str
    places: tuple[Place, ...]


def parse_patches(text: str) -> dict[str, Patch]:
    """The patches of a TOML document, by architecture."""
    return {
        arch: Patch(
            before=each["before"],
            after=each["after"],
            places=tuple(
                Place(offset=place["offset"], old=bytes.fromhex(place["old"]), new=bytes.fromhex(place["new"]))
                for place in each["places"]
            ),
        )
        for arch, each in tomllib.loads(text).items()
    }


def apply_patch(content: bytes, patch: Patch, *, name: str) -> bytes:
    """The mended file.

    Args:
        content: the file.
        patch: what to change.
        name: of the file, for messages.

    Raises:
        MachineError: the file is not the one that the patch is made for, or the patch does not make what it names.
    """
    if (found := hashlib.sha256(content).hexdigest()) != patch.before:
        raise MachineError(
            f"{name} is not the file that the suite can mend (SHA-256 {found[:16]}, wanted {patch.before[:16]}): Debian "
            "has another build of it; report this to the suite's authors, or record without --runtime art"
        )
    mended = bytearray(content)
    for place in patch.places:
        end = place.offset + len(place.old)
        if mended[place.offset : end] != place.old or len(place.new) != len(place.old):
            raise MachineError(f"{name} differs at {place.offset:#x} from what patches.toml names; report this")
        mended[place.offset : end] = place.new
    if hashlib.sha256(mended).hexdigest() != patch.after:
        raise MachineError(f"{name} does not become the file that patches.toml names; report this")
    return bytes(mended)
