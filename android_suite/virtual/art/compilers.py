"""Runs the compilers: javac, our desugarer, dx, and the C compiler of the guest's architecture."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import MachineError
from android_suite.virtual.image import COMPILERS

_TIMEOUT_S = 1800.0
_OLDEST_JDK, _NEWEST_JDK = 17, 21  # they know source level 9, and the class library's few classes beyond it
JDKS = Path("/usr/lib/jvm")
_NEEDS = (
    f"--runtime art needs a JDK of version {_OLDEST_JDK} to {_NEWEST_JDK}; run: apt-get install openjdk-17-jdk-headless"
)
# As for every phone: lines for stack traces, no invokedynamic for strings.
_JAVAC = ("-nowarn", "-proc:none", "-XDstringConcat=inline", "-g:source,lines", "-encoding", "UTF-8")
NEED_MB = 700  # on the disk of the cache, while the runtime is built
_FULL_DISK = "No space left on device"
_ZIP_EPOCH = struct.pack("<HH", 0, 1 << 5 | 1)  # 1980-01-01 00:00, the earliest that a zip archive can say
_DESUGARED_VERSION = 53  # of class files; dx knows no newer one
_CFLAGS = ("-O2", "-s", "-Wall", "-Wextra")
# Files of the app model that the app on ART shares; its heap, collector, scenario and result are its own.
SHARED = ("activity", "atrace", "binder", "counts", "frames", "native", "screen", "screen_view", "work")
# In the order in which their functions stand for one another: libsigchain's signal handlers before the C library's.
LINKED = (
    "libsigchain.so.0", "liblog.so.0", "libbase.so.0", "libbacktrace.so.0", "libziparchive.so.0", "libnativebridge.so",
    "libnativeloader.so.0", "libcpu_features.so.0", "libz.so.1", "liblz4.so.1", "libxxhash.so.0", "libtinyxml2.so.11",
    "7z.so", "libart.so.0", "libicu_jni.so", "libjavacore.so", "libopenjdk.so", "libstdc++.so.6", "libgcc_s.so.1",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Jdk:
    """A Java development kit: its folder and version."""

    home: Path
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Natives:
    """What the C compiler made: the app's program, and the library with the class library's natives."""

    app: bytes
    library: bytes


def read_jdk() -> Jdk:
    """The JDK of this machine.

    Raises:
        MachineError: there is none of a version that can build the class library.
    """
    found = [Path(path).resolve().parent.parent for path in [shutil.which("javac")] if path]
    found += sorted(path.parent.parent for path in JDKS.glob("*/bin/javac"))
    seen: list[str] = []
    for home in found:
        done = subprocess.run([home / "bin/javac", "-version"], capture_output=True, text=True, check=False)
        version = (done.stdout + done.stderr).strip().removeprefix("javac ")
        number = re.match(r"\d+", version)
        if number and _OLDEST_JDK <= int(number[0]) <= _NEWEST_JDK and (home / "include/jni.h").exists():
            return Jdk(home=home, version=version)
        seen.append(version or "unknown")
    raise MachineError(f"{_NEEDS} (here: {', '.join(dict.fromkeys(seen)) or 'none'})")


def compile_core(sources: Mapping[str, str], out: Path, *, class_path: Path, jdk: Jdk) -> Path:
    """Compiles the class library, which takes the place of the JDK's own; returns the folder of class files.

    Raises:
        MachineError: the compiler refuses a source.
    """
    root = out.with_name(f"{out.name}-sources")
    listing = _write_sources(sources, root)
    options = ["-J-Xmx2g", "-source", "9", "-target", "9", "--patch-module", f"java.base={root}"]
    options += ["--add-reads", "java.base=ALL-UNNAMED", "-cp", str(class_path)]
    return _javac(options, listing, out, jdk=jdk)


def compile_java(sources: Mapping[str, str], out: Path, *, jdk: Jdk) -> Path:
    """Compiles sources that use java.lang and java.util only; returns the folder of class files.

    Raises:
        MachineError: the compiler refuses a source.
    """
    listing = _write_sources(sources, out.with_name(f"{out.name}-sources"))
    return _javac(["-source", "8", "-target", "8", "-Xlint:-options"], listing, out, jdk=jdk)


def desugar(classes: Path, out: Path, tools: Path, *, class_path: Sequence[Path], jdk: Jdk) -> Path:
    """Replaces the lambdas of class files by classes, which dx understands; returns the new folder.

    Raises:
        MachineError: a class file has a construct that the desugarer does not know.
    """
    path = os.pathsep.join(str(jar) for jar in class_path)
    program = out.with_name("desugarer")
    files = [str(file) for file in sorted(tools.rglob("*.java"))]
    _run([jdk.home / "bin/javac", "-cp", path, "-d", program, *files], "compile the desugarer")
    out.mkdir()
    argv = [jdk.home / "bin/java", "-cp", f"{path}{os.pathsep}{program}", "Desugar", classes, out, _DESUGARED_VERSION]
    _run(argv, "replace the lambdas of the class library")
    return out


def make_dex(classes: Path, out: Path, *, dx: Path, jdk: Jdk, core: bool = False) -> bytes:
    """A jar with the dex of a folder of class files. The same class files give the same bytes.

    Raises:
        MachineError: dx refuses a class file.
    """
    options = ["--dex", "--min-sdk-version=26", *(["--core-library"] if core else []), f"--output={out}"]
    argv = [jdk.home / "bin/java", "-Xmx2g", "-cp", dx, "com.android.dx.command.Main", *options, classes]
    _run(argv, "make dex of class files")
    return erase_times(out.read_bytes())


def erase_times(jar: bytes) -> bytes:
    """A zip archive whose entries are all of the same time, so that it depends on their content alone."""
    fixed = bytearray(jar)
    with zipfile.ZipFile(io.BytesIO(jar)) as archive:
        at = archive.start_dir
        for entry in archive.infolist():
            fixed[entry.header_offset + 10 : entry.header_offset + 14] = _ZIP_EPOCH
            fixed[at + 12 : at + 16] = _ZIP_EPOCH
            name, extra, comment = struct.unpack_from("<HHH", jar, at + 28)
            at += 46 + name + extra + comment
    return bytes(fixed)


def compile_app(
    arch: str, libraries: Mapping[str, bytes], native: Path, guest: Path, work: Path, *, jdk: Jdk
) -> Natives:
    """Compiles the app and the natives of the class library.

    Args:
        arch: ``arm64`` or ``amd64``.
        libraries: the runtime's libraries, by name, to link with.
        native: our C sources, in ``app/`` and ``core/``.
        guest: the sources of the virtual device's programs, some of which the app shares.
        work: an empty folder.
        jdk: gives the headers of JNI.

    Raises:
        MachineError: the compiler is missing or refuses a source.
    """
    compiler = COMPILERS[arch]
    if not shutil.which(compiler):
        raise MachineError(f"no C compiler for {arch} ({compiler}); run make setup")
    lib = work / "lib"
    lib.mkdir(parents=True)
    for name, content in libraries.items():
        (lib / name).write_bytes(content)
    headers = [f"-I{jdk.home / 'include'}", f"-I{jdk.home / 'include/linux'}"]
    core = lib / "libjavacore.so"
    sources = [*sorted((native / "core").glob("*.c"))]
    _run([compiler, *_CFLAGS, "-shared", "-fPIC", *headers, "-o", core, *sources, "-lm"], "compile the natives")
    for name in ("libicu_jni.so", "libopenjdk.so"):
        (lib / name).symlink_to(core.name)
    model = guest / "app_process"
    sources = [*sorted((native / "app").glob("*.c")), *(model / f"{name}.c" for name in SHARED)]
    headers += [f"-I{folder}" for folder in (native / "app", model, guest / "include")]
    loader = next(name for name in libraries if name.startswith("ld-linux"))
    # Undefined symbols are the libraries' own affair: Debian links libart without the libraries that it needs.
    link = [f"-Wl,--dynamic-linker=/system/art/lib/{loader}", "-Wl,-rpath,/system/art/lib", "-rdynamic"]
    link += ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", f"-L{lib}", *(f"-l:{name}" for name in LINKED)]
    app = work / "app_process"
    _run([compiler, *_CFLAGS, "-pthread", *headers, "-o", app, *sources, *link, "-lm"], "compile the app")
    return Natives(app=app.read_bytes(), library=core.read_bytes())


def _write_sources(sources: Mapping[str, str], root: Path) -> Path:
    """Writes the sources below ``root``, and their list beside it."""
    for name, text in sources.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    listing = root.with_name(f"{root.name}.list")
    listing.write_text("".join(f'"{root / name}"\n' for name in sorted(sources)))
    return listing


def _javac(options: Sequence[str], listing: Path, out: Path, *, jdk: Jdk) -> Path:
    _run([jdk.home / "bin/javac", *_JAVAC, *options, "-d", out, f"@{listing}"], "compile Java sources")
    return out


def _run(argv: Sequence[object], what: str) -> None:
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env={**os.environ, "LC_ALL": "C"}
        )
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"could not {what} within {_TIMEOUT_S / 60:.0f} minutes; try again on an idle machine"
        ) from None
    if done.returncode:
        if _FULL_DISK in done.stdout + done.stderr:
            raise MachineError(f"could not {what}: the disk of the cache is full; free {NEED_MB} MB and try again")
        error = MachineError(f"could not {what} ({Path(words[0]).name} ended with status {done.returncode}); see below")
        error.add_note((done.stdout + done.stderr).strip()[-3000:])
        raise error
