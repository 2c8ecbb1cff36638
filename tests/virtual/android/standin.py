"""A tree as `adb pull` gets it from a device, in which Debian's ART and C library play the parts of Android's.

No build of bionic is packaged for Debian, so what is tested is all but bionic itself: the layout, the checks, the app
that is linked for another C library, the paths on the device, and that a runtime of this layout runs it.
"""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

from android_suite.virtual.art.build import ROOM
from android_suite.virtual.art.compilers import LINKED
from android_suite.virtual.image import COMPILERS

LOADERS = {"arm64": "ld-linux-aarch64.so.1", "amd64": "ld-linux-x86-64.so.2"}
_ALIGN = 4
# bionic's entry and errno, by way of glibc's.
_C_LIBRARY = """
#include <stddef.h>
extern int __libc_start_main(int (*)(), int, char **, void *, void *, void *, void *);
extern int *__errno_location(void);
int *__errno(void) { return __errno_location(); }
void __libc_init(void *raw, void (*at_exit)(void), int (*entry)(), void *arrays) {
    __libc_start_main(entry, (int)*(long *)raw, (char **)raw + 1, NULL, NULL, at_exit, (long *)raw + *(long *)raw + 1);
}
"""
# Debian's libart calls these three for its sections (see patches.toml); a device's asks its palette itself.
_TRACE = """
#include <dlfcn.h>
#include <stdint.h>
static void *palette(const char *name) {
    static void *library;
    if (!library) library = dlopen("/system/lib64/libartpalette-system.so", RTLD_NOW);
    return dlsym(library, name);
}
int XzProps_Init(const char *name) { return ((int (*)(const char *))palette("PaletteTraceBegin"))(name); }
int Lzma2EncProps_Init(void) { return ((int (*)(void))palette("PaletteTraceEnd"))(); }
int Lzma2EncProps_Normalize(const char *name, int32_t value) {
    return ((int (*)(const char *, int32_t))palette("PaletteTraceIntegerValue"))(name, value);
}
"""


def read_archive(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The regular files and links (as their targets) of a cpio archive."""
    at = 0
    while True:
        fields = [int(content[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = content[at + 110 : at + 109 + fields[11]].decode()
        start = at + 110 + fields[11] + -(110 + fields[11]) % _ALIGN
        if name == "TRAILER!!!":
            return
        yield name, content[start : start + fields[6]]
        at = start + fields[6] + -fields[6] % _ALIGN


def make_tree(out: Path, overlay: Path, arch: str) -> Path:
    """Makes the tree from the overlay that ``build_runtime`` made: ``apex/com.android.*`` and ``system/lib64``."""
    debian = {name: content for name, content in read_archive(overlay.read_bytes()) if name.startswith("system/art/")}
    art, runtime, i18n = (out / f"apex/com.android.{name}" for name in ("art", "runtime", "i18n"))
    libraries, bionic, system = art / "lib64", runtime / "lib64/bionic", out / "system/lib64"
    for folder in (
        libraries,
        bionic,
        system,
        art / "javalib",
        i18n / "javalib",
        i18n / "etc/icu",
        i18n / "lib64",
        runtime / "bin",
    ):
        folder.mkdir(parents=True)
    for name, content in debian.items():
        file = Path(name).name
        if ".so" in file and file not in ("libicu_jni.so", "libopenjdk.so"):
            home = bionic if file.startswith(("libc.", "libm.", "ld-")) else libraries
            (home / file).write_bytes(content)
    (runtime / "bin/linker64").write_bytes((bionic / LOADERS[arch]).read_bytes())
    (art / "javalib/core-oj.jar").write_bytes(debian["system/art/core.jar"])
    # Any jar with classes will do in place of the others: Debian's class library is one jar.
    for jar in (art / "javalib/core-libart.jar", i18n / "javalib/core-icu4j.jar"):
        jar.write_bytes(debian["system/art/workload.jar"])
    (i18n / "etc/icu/icudt.dat").write_bytes(b"no data")
    mended = (ROOM / "native/app/mended.c").read_text()
    needs = [
        name for name in LINKED if name not in ("libicu_jni.so", "libjavacore.so", "libopenjdk.so", "libsigchain.so.0")
    ]
    for home, name, text, needed in (
        (libraries, "libsigchain.so", mended + _TRACE, ["libsigchain.so.0"]),
        (libraries, "libart.so", "", needs),
        (libraries, "libopenjdk.so", "", ["libjavacore.so"]),
        (i18n / "lib64", "libicu_jni.so", "", ["libjavacore.so"]),
        (system, "liblog.so", "", ["liblog.so.0"]),
        (bionic, "libc.so", _C_LIBRARY, ["libc.so.6"]),
        (bionic, "libm.so", "", ["libm.so.6"]),
        (bionic, "libdl.so", "", ["libc.so.6"]),
    ):
        _compile(
            arch,
            home / name,
            text,
            [f"-L{folder}" for folder in (libraries, bionic)] + [f"-l:{each}" for each in needed],
        )
    return out


def _compile(arch: str, out: Path, text: str, needed: list[str]) -> None:
    source = out.with_suffix(".c")
    source.write_text(text)
    argv = [COMPILERS[arch], "-shared", "-fPIC", "-w", "-nostdlib", f"-Wl,-soname,{out.name}", "-Wl,--no-as-needed"]
    argv += ["-Wl,--allow-shlib-undefined", "-o", str(out), str(source), *needed]
    subprocess.run(argv, check=True)
    source.unlink()


def make_small_tree(out: Path, arch: str = "amd64") -> Path:
    """A tree with everything in its place and nothing in it: empty libraries, and files without content."""
    art, runtime, i18n = (out / f"apex/com.android.{name}" for name in ("art", "runtime", "i18n"))
    for path in (
        runtime / "bin/linker64", i18n / "javalib/core-icu4j.jar", i18n / "etc/icu/icudt72l.dat",
        *(art / f"javalib/{name}" for name in ("core-oj.jar", "core-libart.jar", "okhttp.jar")),
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    for folder, names in (
        (out / "system/lib64", ("liblog.so", "libbase.so")),
        (runtime / "lib64/bionic", ("libc.so", "libm.so", "libdl.so")),
        (art / "lib64", ("libsigchain.so", "libjavacore.so", "libopenjdk.so")),
        (i18n / "lib64", ("libicu_jni.so",)),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            _compile(arch, folder / name, "", [])
    needed = [f"-L{out}/system/lib64", "-l:libbase.so"]
    _compile(arch, art / "lib64/libart.so", "int JNI_CreateJavaVM(void) { return 0; }", needed)
    return out


def make_image(tree: Path, image: Path, form: str) -> Path:
    """A file system image of a folder: ``ext4``, ``erofs``, ``erofs lz4``, or ``sparse``, an ext4 image made sparse."""
    if form.startswith("erofs"):
        options = ["-zlz4hc"] if form == "erofs lz4" else []
        subprocess.run(["mkfs.erofs", *options, str(image), str(tree)], check=True, capture_output=True)
        return image
    size = sum(each.stat().st_size for each in tree.rglob("*") if each.is_file())
    argv = ["/sbin/mkfs.ext4", "-q", "-d", str(tree), "-b", "4096", str(image), f"{size // 512 + 16_384}K"]
    subprocess.run(argv, check=True, capture_output=True)
    if form == "sparse":
        plain = image.rename(image.with_suffix(".plain"))
        subprocess.run(["img2simg", str(plain), str(image)], check=True, capture_output=True)
        plain.unlink()
    return image


def make_module(folder: Path, module: Path, form: str, *, compressed: bool = False) -> Path:
    """An APEX file of a folder: a zip archive with a file system image; compressed, another archive around it."""
    image = make_image(folder, module.with_suffix(".img"), form)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("apex_manifest.pb", b"\n\x0fcom.android.art")
        archive.write(image, "apex_payload.img")
    image.unlink()
    if compressed:
        with zipfile.ZipFile(module, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("original_apex", inner.getvalue())
    else:
        module.write_bytes(inner.getvalue())
    return module
