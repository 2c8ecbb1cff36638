"""libart is mended only where every byte is as expected."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from android_suite.errors import MachineError
from android_suite.virtual.art.patch import PATCHES, Patch, Place, apply_patch, parse_patches

BROKEN, MENDED = bytes(range(32)), bytes([*range(8), 0xAA, 0xBB, *range(10, 32)])
PATCH = Patch(
    before=hashlib.sha256(BROKEN).hexdigest(),
    after=hashlib.sha256(MENDED).hexdigest(),
    places=(Place(offset=8, old=b"\x08\x09", new=b"\xaa\xbb"),),
)


def test_the_named_file_becomes_the_named_file() -> None:
    assert apply_patch(BROKEN, PATCH, name="lib") == MENDED


def test_another_file_is_refused() -> None:
    with pytest.raises(MachineError, match=r"lib is not the file that the suite can mend.*another build of it"):
        apply_patch(BROKEN + b"\0", PATCH, name="lib")


def test_mending_twice_is_refused() -> None:
    with pytest.raises(MachineError, match="lib is not the file"):
        apply_patch(MENDED, PATCH, name="lib")


@pytest.mark.parametrize(
    "place",
    [
        Place(offset=9, old=b"\x08\x09", new=b"\xaa\xbb"),
        Place(offset=31, old=b"\x1f\x20", new=b"\xaa\xbb"),
        Place(offset=8, old=b"\x08\x09", new=b"\xaa"),
    ],
)
def test_a_place_that_differs_is_refused(place: Place) -> None:
    with pytest.raises(MachineError, match="lib differs at"):
        apply_patch(BROKEN, replace(PATCH, places=(place,)), name="lib")


def test_a_result_that_differs_is_refused() -> None:
    with pytest.raises(MachineError, match="lib does not become"):
        apply_patch(BROKEN, replace(PATCH, places=(Place(offset=8, old=b"\x08", new=b"\xaa"),)), name="lib")


def test_our_table_is_of_both_architectures_and_sound() -> None:
    patches = parse_patches(PATCHES.read_text())
    assert {arch: len(patch.places) for arch, patch in patches.items()} == {"arm64": 8, "amd64": 6}
    for patch in patches.values():
        assert len({patch.before, patch.after}) == 2
        ends = 0
        for place in sorted(patch.places, key=lambda each: each.offset):
            assert place.offset >= ends
            assert len(place.old) == len(place.new)
            assert place.old != place.new
            ends = place.offset + len(place.old)
    assert all(place.offset % 4 == 0 and len(place.old) == 4 for place in patches["arm64"].places)
