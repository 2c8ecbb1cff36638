"""What a user pulled from a device: every form of it is unpacked, and what is missing is said with the way to get it."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from android_suite.errors import MachineError, UsageError
from android_suite.virtual.android import images
from android_suite.virtual.android.images import read_form, unpack
from android_suite.virtual.android.tree import ART, Android, find_android
from tests.virtual.android.standin import make_image, make_module, make_small_tree

JARS = (
    "/apex/com.android.art/javalib/core-oj.jar", "/apex/com.android.art/javalib/core-libart.jar",
    "/apex/com.android.i18n/javalib/core-icu4j.jar", "/apex/com.android.art/javalib/okhttp.jar",
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_tree(tmp_path_factory.mktemp("whole") / "tree")


@pytest.fixture
def tree(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "tree"))


def check(android: Android) -> None:
    assert android.arch == "amd64"
    assert android.boot_class_path == JARS
    assert android.files["apex/com.android.runtime/bin/linker64"].read_bytes() == b"linker64"
    for name in (
        "system/lib64/libbase.so",
        "apex/com.android.art/lib64/libart.so",
        "apex/com.android.i18n/etc/icu/icudt72l.dat",
    ):
        assert name in android.files
    assert next(iter(android.libraries)) == "libsigchain.so"
    assert "JNI_CreateJavaVM" in android.libraries["libart.so"].given


def test_a_folder_of_what_adb_pull_got(tree: Path, tmp_path: Path) -> None:
    check(find_android(tree, tmp_path))
    shutil.move(tree / "apex/com.android.art", tree / "com.android.art")  # adb pull /apex/com.android.art .
    shutil.move(tree / "system/lib64", tree / "lib64")  # adb pull /system/lib64 .
    check(find_android(tree, tmp_path))


@pytest.mark.parametrize("form", ["ext4", "sparse", "erofs", "erofs lz4"])
def test_a_system_image_with_modules(form: str, tree: Path, tmp_path: Path) -> None:
    """As a device has it: system-as-root, the modules as files, one of them compressed, one with its vendor's name."""
    system = tree / "system/apex"
    system.mkdir()
    make_module(
        tree / "apex/com.android.art", system / "com.google.android.art_compressed.capex", form, compressed=True
    )
    make_module(tree / "apex/com.android.runtime", system / "com.android.runtime.apex", "ext4")
    make_module(tree / "apex/com.android.i18n", system / "com.android.i18n.apex", "erofs")
    shutil.rmtree(tree / "apex")
    (tree / "system/lib64/libc.so").symlink_to("/apex/com.android.runtime/lib64/bionic/libc.so")
    (tree / 'system/lib64/a "name" $(touch x)').touch()
    image = make_image(tree, tmp_path / "system.img", form)
    assert read_form(image) == form.split()[0]
    out = tmp_path / "out"
    unpack(image, out, tmp_path)
    check(find_android(out, tmp_path))


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (
            "apex/com.android.art/lib64/libart.so",
            "libart.so: adb pull /apex/com.android.art (needed by the suite's app)",
        ),
        ("apex/com.android.art/javalib/core-oj.jar", "core-oj.jar: adb pull /apex/com.android.art"),
        ("apex/com.android.i18n/etc/icu/icudt72l.dat", "etc/icu/*.dat: adb pull /apex/com.android.i18n"),
        ("apex/com.android.runtime/bin/linker64", "linker64: adb pull /apex/com.android.runtime"),
        ("apex/com.android.runtime/lib64/bionic/libc.so", "libc.so: adb pull /apex/com.android.runtime"),
        ("system/lib64/libbase.so", "libbase.so: adb pull /system/lib64/libbase.so (needed by libart.so)"),
        ("system/lib64/liblog.so", "liblog.so: adb pull /system/lib64/liblog.so (needed by the suite's app)"),
    ],
)
def test_what_is_missing_is_said_with_how_to_get_it(gone: str, said: str, tree: Path, tmp_path: Path) -> None:
    (tree / gone).unlink()
    with pytest.raises(UsageError, match="mine lacks what the Android runtime needs") as told:
        find_android(tree, tmp_path, name="mine")
    assert said in str(told.value)
    assert str(told.value).count("adb pull") == 1


def test_everything_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        find_android(tmp_path, tmp_path)
    assert str(told.value).count("adb pull /apex/com.android.art") >= 5


def test_a_library_of_another_machine_is_refused(tree: Path, tmp_path: Path) -> None:
    library = tree / "system/lib64/libbase.so"
    content = bytearray(library.read_bytes())
    content[18:20] = (183).to_bytes(2, "little")  # EM_AARCH64
    library.write_bytes(content)
    with pytest.raises(UsageError, match=r"libbase\.so is for arm64 and libart\.so for amd64"):
        find_android(tree, tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 40, 200, 5000])
def test_a_damaged_library_is_refused(kept: int, tree: Path, tmp_path: Path) -> None:
    library = tree / "apex/com.android.art/lib64/libart.so"
    library.write_bytes(library.read_bytes()[:kept])
    with pytest.raises(UsageError, match=r"libart\.so"):
        find_android(tree, tmp_path)


def test_links_do_not_lead_out_of_the_folder(tree: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    shutil.move(tree / "apex/com.android.art", secret)
    (tree / "apex/com.android.art").symlink_to(secret)
    (tree / "system/lib64/libbase.so").unlink()
    (tree / "system/lib64/libbase.so").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match=r"libart\.so: adb pull"):
        find_android(tree, tmp_path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\0" * 4096 + b"gDla", "holds several partitions; take system.img out of it with lpunpack"),
        (b"CrAU", "is the payload of an update"),
        (b"\0" * 1024 + b"\x10\x20\xf5\xf2", "is an f2fs file system"),
        (b"#!/bin/sh\n", "is neither an ext4 or erofs image"),
        (b"", "is neither an ext4 or erofs image"),
        (b"PK\x03\x04", "is not a whole APEX module"),
    ],
)
def test_other_files_are_refused_with_the_next_step(head: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "file.img"
    file.write_bytes(head + b"\0" * 9000)
    with pytest.raises(UsageError, match=said):
        unpack(file, tmp_path / "out", tmp_path)


PLANTED = b"..#planted"  # with the bytes of `../planted` in its place, a name that leads out of its folder


def plant(tree: Path, image: Path, form: str) -> bytearray:
    """An image with a file of that name, two files `zy` and `zz`, the first of them a link out; without checksums."""
    folder = tree / "system/lib64"
    (folder / PLANTED.decode()).write_text("planted")
    (folder / "zy").symlink_to(image.parent / "planted")
    (folder / "zz").write_text("planted")
    if form == "ext4":
        argv = ["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum", "-d", str(tree), str(image), "64M"]
        subprocess.run(argv, check=True, capture_output=True)
        return bytearray(image.read_bytes())
    content = bytearray(make_image(tree, image, form).read_bytes())
    content[1024 + 8] &= ~1 & 0xFF  # the superblock has no checksum
    return content


@pytest.mark.parametrize("form", ["ext4", "erofs"])
def test_names_in_an_image_do_not_lead_out_of_the_folder(form: str, tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "system.img"
    content = plant(tree, image, form)
    assert content.count(PLANTED) == 1
    image.write_bytes(content.replace(PLANTED, b"../planted"))
    out = tmp_path / "out/there"
    out.parent.mkdir()
    if form == "erofs":
        with pytest.raises(UsageError, match=r"a name that no Android system has \('\.\./planted'\)"):
            unpack(image, out, tmp_path)
    else:
        unpack(image, out, tmp_path)
        check(find_android(out, tmp_path))
    assert not [path for path in tmp_path.rglob("planted") if tree not in path.parents]


def test_a_file_with_the_name_of_a_link_is_not_written_through_it(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "system.img"
    content = plant(tree, image, "ext4")
    second = b"\x02\x01zz"  # the length and the type of a regular file, then its name
    assert content.count(second) == 1
    image.write_bytes(content.replace(second, b"\x02\x01zy"))
    unpack(image, tmp_path / "out", tmp_path)
    assert not (tmp_path / "planted").exists()
    assert (tmp_path / "out/system/lib64/zy").read_text() == "planted"


@pytest.mark.parametrize("form", ["ext4", "sparse", "erofs"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_an_image_that_was_cut_is_refused(form: str, share: float, whole: Path, tmp_path: Path) -> None:
    image = make_image(whole, tmp_path / "system.img", form)
    with image.open("r+b") as file:
        # The data of an ext4 image lie at its start, the rest is free: cut within what is used.
        file.truncate(int(share * min(image.stat().st_size, 400_000)))
    with pytest.raises((MachineError, UsageError), match=r"system\.img|libart\.so"):
        find_unpacked(image, tmp_path / "out")


def test_a_module_within_modules_ends(tree: Path, tmp_path: Path) -> None:
    module = tmp_path / "art.capex"
    make_module(tree / "apex/com.android.art", module, "ext4", compressed=True)
    outer = tmp_path / "outer.capex"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(module, "original_apex")
    with pytest.raises(UsageError, match="compressed APEX module within another"):
        unpack(outer, tmp_path / "out", tmp_path)


def test_damaged_images_are_refused(whole: Path, tmp_path: Path) -> None:
    for form in ("ext4", "erofs"):
        image = make_image(whole, tmp_path / f"{form.split()[0]}.img", form)
        content = image.read_bytes()
        image.write_bytes(content[:4096] + b"\xff" * min(len(content) - 4096, 200_000) + content[204_096:])
        with pytest.raises((MachineError, UsageError)):
            find_unpacked(image, tmp_path / f"out-{form}")


def find_unpacked(image: Path, out: Path) -> Android:
    unpack(image, out, out.parent)
    return find_android(out, out.parent)


def test_a_missing_tool_is_named_with_its_package(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image(whole / "apex" / ART, tmp_path / "a.img", "erofs")
    monkeypatch.setattr(images.shutil, "which", lambda *_, **__: None)
    with pytest.raises(MachineError, match=r"no dump\.erofs; run: apt-get install erofs-utils"):
        unpack(image, tmp_path / "out", tmp_path)
