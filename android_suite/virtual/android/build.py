"""Builds the overlay with the runtime of a user's Android system, and keeps it in the cache by its content."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.android.images import unpack
from android_suite.virtual.android.tree import ART, I18N, LINKER, RUNTIME, Android, find_android, list_parts
from android_suite.virtual.art.build import HOME, Runtime, make_workload, measure_sources
from android_suite.virtual.art.build import ROOM as ART_ROOM
from android_suite.virtual.art.compilers import SHARED, read_jdk
from android_suite.virtual.art.fetch import fetch_dex_program, read_recipe
from android_suite.virtual.cache import Cache, Entry, disk_full, measure_digest
from android_suite.virtual.cpio import Node, file_node, link_node, render_cpio
from android_suite.virtual.image import COMPILERS, GUEST, KEPT_BASES, KEPT_S

ROOM = Path(__file__).parent
Progress = Callable[[str], None]
_WORKLOAD = f"{HOME}/workload.jar"
_PALETTE = "libartpalette-system.so"
# Debian's own glue between ART and another C library, which a device's ART does not need.
_DEBIANS = ("mended.c", "trace.c")
_CFLAGS = ("-O2", "-Wall", "-Wextra", "-fPIC", "-fno-stack-protector", "-U_FORTIFY_SOURCE")
_ARCH_FLAGS = {"arm64": ("-mno-outline-atomics",), "amd64": ()}
_SEARCH = (f"/apex/{ART}/lib64", f"/apex/{RUNTIME}/lib64/bionic", f"/apex/{I18N}/lib64", "/system/lib64")
# bionic's linker finds what the libraries of ART need here; a device has one such file for each module.
_LINKER_CONFIG = f"""dir.system = /system/bin
[system]
namespace.default.isolated = false
namespace.default.search.paths = {":".join(_SEARCH)}
"""
# Libraries that ART opens when it starts, so that an app finds them: none of them draws here.
_PUBLIC_LIBRARIES = "libc.so\nlibm.so\nlibdl.so\nliblog.so\n"


def build_android(path: Path, arch: str, *, config: Config, progress: Progress = lambda _: None) -> Runtime:
    """The runtime of a user's Android system: from the cache, or built.

    Args:
        path: ``system.img`` of a device (ext4 or erofs, plain or sparse), an APEX file, or a folder of what was pulled:
            see :func:`tree.find_android`.
        arch: of the virtual device; the system must be of the same.
        config: gives the cache.
        progress: called with a line at each step.

    Raises:
        UsageError: there is no such file, something is missing in it, or it is for another machine.
        MachineError: a tool is missing or refuses the image, or a compiler refuses a source.
    """
    if not path.exists():
        raise UsageError(f"no Android system at {path}; give system.img, or a folder with what `adb pull` got")
    cache = Cache(config.cache)
    progress(f"reading {path}")
    sources = measure_sources(
        ROOM / "native", ART_ROOM / "native", ART_ROOM / "workload", ART_ROOM / "app", GUEST / "src"
    )
    # Which Python chose the files counts, too.
    code = "".join(measure_digest(ROOM / name) for name in ("build.py", "tree.py", "images.py"))
    key = f"{arch}-{hashlib.sha256(f'{_measure_input(path)} {sources} {code}'.encode()).hexdigest()[:32]}"
    with cache.lock(f"android-{arch}"):
        entry = cache.read_entry("android", key)
        if entry is None:
            entry = _build(path, arch, key, cache=cache, config=config, progress=progress)
            cache.prune("android", f"{arch}-", keep=KEPT_BASES, unused_s=KEPT_S)
        cache.mark_used("android", key)
    return Runtime(overlay=entry.files["overlay"], sha256=entry.digests["overlay"], packages=())


def _measure_input(path: Path) -> str:
    """A digest over what was given: the file's, or that of every name and file of the folder."""
    if path.is_file():
        return measure_digest(path)
    total = hashlib.sha256()
    for each in sorted(path.rglob("*")):
        if each.is_file() and not each.is_symlink():
            total.update(f"\0{each.relative_to(path)}\0{measure_digest(each)}".encode(errors="surrogateescape"))
    return total.hexdigest()


def _build(path: Path, arch: str, key: str, *, cache: Cache, config: Config, progress: Progress) -> Entry:
    with cache.scratch() as scratch:
        work = Path(scratch)
        folder = path
        if path.is_file():
            progress(f"unpacking {path.name}")
            folder = work / "system"
            unpack(path, folder, work)
        android = find_android(folder, work, name=str(path))
        if android.arch != arch:
            raise UsageError(
                f"{path} is of a device with {android.arch}, and the virtual device is {arch}; choose with --arch"
            )
        progress(f"compiling the app for it ({', '.join(list_parts(android.files))})")
        jdk = read_jdk()
        dx = work / "dx.jar"
        dx.write_bytes(fetch_dex_program(read_recipe(), config=config))
        workload = make_workload(work, dx=dx, jdk=jdk)
        programs = work / "programs"
        programs.mkdir()
        app = compile_for_bionic(android, programs, headers=jdk.home / "include")
        palette = compile_palette(arch, programs)
        try:
            nodes = list_nodes(android, app=app, palette=palette, workload=workload)
            archive = render_cpio(nodes)
        except OSError as error:
            raise disk_full(work, sum(each.stat().st_size for each in android.files.values())) from error
    return cache.write_entry("android", key, {"overlay": archive}, {"arch": arch, "packages": []})


def list_nodes(android: Android, *, app: bytes, palette: bytes, workload: bytes) -> dict[str, Node]:
    """The files of the overlay: those of the device where it has them, and ours."""
    nodes = {
        name: file_node(path.read_bytes(), executable="/bin/" in name or name.endswith(".so"))
        for name, path in android.files.items()
    }
    nodes["system/bin/linker64"] = link_node(f"/{LINKER}")
    nodes["linkerconfig/ld.config.txt"] = file_node(_LINKER_CONFIG.encode())
    nodes["system/etc/public.libraries.txt"] = file_node(_PUBLIC_LIBRARIES.encode())
    nodes[f"system/lib64/{_PALETTE}"] = file_node(palette, executable=True)
    nodes[_WORKLOAD] = file_node(workload)
    nodes["system/bin/app_process"] = file_node(app, executable=True)
    nodes["system/bin/dalvikvm"] = link_node("app_process")
    return nodes


def compile_for_bionic(android: Android, work: Path, *, headers: Path) -> bytes:
    """Our app as a program for bionic, linked with the device's libraries.

    It is compiled with the cross compiler's headers. It uses only what has one layout in both C libraries, and every
    function that it wants must be in the device's libraries.

    Args:
        android: what the device has.
        work: an empty folder.
        headers: of JNI.

    Raises:
        UsageError: the device's libraries lack a function.
        MachineError: the compiler is missing or refuses a source.
    """
    compiler = COMPILERS[android.arch]
    if not shutil.which(compiler):
        raise MachineError(f"no C compiler for {android.arch} ({compiler}); run make setup")
    model, app = GUEST / "src/app_process", ART_ROOM / "native/app"
    sources = [each for each in sorted(app.glob("*.c")) if each.name not in _DEBIANS]
    sources += [*(model / f"{name}.c" for name in SHARED), ROOM / "native/start.c"]
    jars = ":".join((*android.boot_class_path, f"/{_WORKLOAD}"))
    jit = str("libart-compiler.so" in android.libraries).lower()
    includes = [f"-I{each}" for each in (headers, headers / "linux", app, model, GUEST / "src/include")]
    flags = [
        *_CFLAGS,
        *_ARCH_FLAGS[android.arch],
        *includes,
        f'-DJARS="{jars}"',
        f'-DJIT="{jit}"',
        "-include",
        str(ROOM / "native/android.h"),
    ]
    objects = []
    for source in sources:
        objects.append(work / f"{source.stem}.o")
        _run([compiler, *flags, "-c", "-o", objects[-1], source], "compile the app for bionic")
    stubs = _make_stubs(compiler, android, _list_wanted(compiler, objects, work), work)
    out = work / "app_process"
    link = ["-pie", "-nostdlib", "-nostartfiles", "-rdynamic", "-Wl,--hash-style=both", "-Wl,-z,max-page-size=16384"]
    link += ["-Wl,--dynamic-linker=/system/bin/linker64", f"-Wl,-rpath,{':'.join(_SEARCH)}", "-Wl,--no-as-needed"]
    _run([compiler, "-s", *link, "-o", out, *objects, *stubs, "-lgcc"], "link the app for bionic")
    return out.read_bytes()


def compile_palette(arch: str, work: Path) -> bytes:
    """The library that ART asks for sections of the trace and for priorities; it needs no other.

    Raises:
        MachineError: the compiler refuses it.
    """
    out = work / _PALETTE
    link = ["-shared", "-nostdlib", f"-Wl,-soname,{_PALETTE}", "-Wl,--hash-style=both", "-Wl,-z,max-page-size=16384"]
    argv = [
        COMPILERS[arch],
        *_CFLAGS,
        "-ffreestanding",
        "-fno-builtin",
        "-s",
        *link,
        "-o",
        out,
        ROOM / "native/palette.c",
    ]
    _run(argv, "compile libartpalette-system")
    return out.read_bytes()


def _list_wanted(compiler: str, objects: Sequence[Path], work: Path) -> list[str]:
    """The functions that our objects want of libraries."""
    whole = work / "whole.o"
    _run([compiler, "-r", "-nostdlib", "-o", whole, *objects, "-lgcc"], "join the app's objects")
    said = _run(
        [f"{compiler.removesuffix('gcc')}nm", "--undefined-only", "--format=posix", whole], "list what it wants"
    )
    return sorted({line.split()[0] for line in said.splitlines()} - {"_GLOBAL_OFFSET_TABLE_"})


def _make_stubs(compiler: str, android: Android, wanted: Sequence[str], work: Path) -> list[Path]:
    """Empty libraries of the names of the device's, to link with: each gives what our app wants of it.

    So the linker here need not read the device's own, which may be of a form that it does not know.
    """
    by_library: dict[str, list[str]] = {name: [] for name in android.libraries}
    missing = []
    for symbol in wanted:
        home = next((name for name, library in android.libraries.items() if symbol in library.given), None)
        if home is None:
            missing.append(symbol)
        else:
            by_library[home].append(symbol)
    if missing:
        raise UsageError(
            f"the device's libraries have no {', '.join(missing)}, which the app needs; Android 11 or newer has them"
        )
    folder = work / "stubs"
    folder.mkdir()
    for name, symbols in by_library.items():
        text = "".join(f"void {symbol}(void) {{}}\n" for symbol in symbols)
        source = folder / f"{name}.c"
        source.write_text(text)
        soname = android.libraries[name].soname or name
        argv = [
            compiler,
            "-w",
            "-shared",
            "-nostdlib",
            "-fno-builtin",
            f"-Wl,-soname,{soname}",
            "-o",
            folder / name,
            source,
        ]
        _run(argv, "make a library to link with")
    return [folder / name for name in by_library]


def _run(argv: Sequence[object], what: str, env: Mapping[str, str] | None = None) -> str:
    words = [str(word) for word in argv]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        error = MachineError(f"could not {what} ({Path(words[0]).name} ended with status {done.returncode}); see below")
        error.add_note((done.stdout + done.stderr).strip()[-3000:])
        raise error
    return done.stdout
