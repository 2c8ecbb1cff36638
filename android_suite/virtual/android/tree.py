"""Finds in a folder what ART and bionic need to run, and says what is missing and how to pull it from the device."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from android_suite.errors import UsageError
from android_suite.virtual.android.elf import Program, read_program_file
from android_suite.virtual.android.images import unpack

ART, RUNTIME, I18N, TZDATA = (f"com.android.{name}" for name in ("art", "runtime", "i18n", "tzdata"))
LINKER = f"apex/{RUNTIME}/bin/linker64"
# In the order of a device's boot class path; those of the framework are not needed.
BOOT_JARS = ("core-oj.jar", "core-libart.jar", "core-icu4j.jar", "okhttp.jar", "bouncycastle.jar", "apache-xml.jar")
_NEEDED_JARS = BOOT_JARS[:3]
# What ART and the class library open while they run; all else is found from what these need.
_ROOTS = (
    "libsigchain.so", "libart.so", "libjavacore.so", "libopenjdk.so", "libicu_jni.so", "liblog.so", "libc.so", "libm.so",
    "libdl.so",
)  # fmt: skip
_OPENED_IF_THERE = ("libart-compiler.so",)
_PARENTS = ("", "apex", "system/apex", "system/system/apex")
_LIBRARY_FOLDERS = ("system/lib64", "lib64", "system/system/lib64", "")
_MODULE_LIBRARIES = {ART: ("lib64",), RUNTIME: ("lib64/bionic", "lib64"), I18N: ("lib64",)}
# Where the roots are on a device; those that are not here are in the ART module.
_HOME = {
    "liblog.so": "/system/lib64/liblog.so",
    "libicu_jni.so": f"/apex/{I18N}",
    **dict.fromkeys(("libc.so", "libm.so", "libdl.so"), f"/apex/{RUNTIME}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Android:
    """What the runtime needs of an Android system.

    Attributes:
        files: path in the guest without its first ``/`` -> the file.
        libraries: name -> what the library says of itself; the first ones come first in a search for a symbol.
        boot_class_path: paths in the guest, in order.
        arch: ``arm64`` or ``amd64``.
    """

    files: Mapping[str, Path]
    libraries: Mapping[str, Program]
    boot_class_path: tuple[str, ...]
    arch: str


@dataclass(slots=True)
class _Found:
    """What was found so far, by path in the guest; and what is missing, with how to pull it."""

    files: dict[str, Path] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)


def find_android(folder: Path, work: Path, *, name: str = "") -> Android:
    """Finds what is needed below a folder: an unpacked system image, or what ``adb pull`` got.

    Args:
        folder: modules (``com.android.art`` and others) as folders or APEX files, in it or in ``apex`` or ``system/apex``,
            and libraries in ``system/lib64`` or ``lib64``.
        work: where APEX files are unpacked; must stay as long as the files are used.
        name: what messages call the folder.

    Raises:
        UsageError: something is missing; one line each with what to pull. Or the programs are of an unknown machine.
        MachineError: a module cannot be unpacked.
    """
    modules = {each: _find_module(folder, each, work) for each in (ART, RUNTIME, I18N, TZDATA)}
    found = _Found()
    _take(found, modules[RUNTIME], RUNTIME, ["bin/linker64"], needed=True)
    jars = _find_jars(found, modules)
    data = _list(modules[I18N], "etc/icu", ".dat") or _list(modules[ART], "etc/icu", ".dat")
    if not data:
        found.lacks["etc/icu/*.dat"] = f"adb pull /apex/{I18N}"
    for path in data:
        found.files[f"apex/{I18N}/etc/icu/{path.name}"] = path
    if zones := modules[TZDATA]:
        for path in _walk(zones / "etc") if _is_folder(zones / "etc", zones) else ():
            found.files[f"apex/{TZDATA}/{path.relative_to(zones)}"] = path
    libraries = _close(found, _index_libraries(folder, modules))
    if found.lacks:
        lines = "".join(f"\n  {what}: {how}" for what, how in found.lacks.items())
        raise UsageError(f"{name or folder} lacks what the Android runtime needs; get it from the device:{lines}")
    arch = libraries["libart.so"].arch
    other = next((each for each, library in libraries.items() if library.arch != arch), None)
    if other is not None:
        raise UsageError(
            f"{name or folder}: {other} is for {libraries[other].arch} and libart.so for {arch}; pull both from one device"
        )
    return Android(files=found.files, libraries=libraries, boot_class_path=tuple(jars), arch=arch)


def _find_module(root: Path, module: str, work: Path) -> Path | None:
    """The folder of a module; unpacked, if there is only its APEX file. Vendors call theirs ``com.google.android.*``."""
    short = module.removeprefix("com.android.")
    pattern = re.compile(rf"com\.(?:[a-z]+\.)?android\.{short}[0-9]*(?:[@_.-][\w@.-]*)?")
    folders: list[Path] = []
    files: list[Path] = []
    for parent in _PARENTS:
        for path in sorted((root / parent).iterdir()) if _is_folder(root / parent, root) else ():
            if pattern.fullmatch(path.name) and not path.is_symlink():
                (files if path.suffix in (".apex", ".capex") and path.is_file() else folders).append(path)
    if module == ART and (root / "lib64/libart.so").is_file():
        return root
    for path in folders:
        if path.is_dir() and any((path / each).is_dir() for each in ("lib64", "javalib", "bin", "etc")):
            return path
    if not files:
        return None
    out = work / module
    unpack(files[0], out, work)
    return out


def _find_jars(found: _Found, modules: Mapping[str, Path | None]) -> list[str]:
    jars = []
    for name in BOOT_JARS:
        home = next((each for each in (ART, I18N) if _file(modules[each], f"javalib/{name}")), None)
        if home is not None:
            jars.append(f"/apex/{home}/javalib/{name}")
            _take(found, modules[home], home, [f"javalib/{name}"], needed=True)
        elif name in _NEEDED_JARS:
            found.lacks[name] = f"adb pull /apex/{I18N if name == 'core-icu4j.jar' else ART}"
    return jars


def _take(found: _Found, module: Path | None, name: str, files: Sequence[str], *, needed: bool) -> None:
    for each in files:
        if path := _file(module, each):
            found.files[f"apex/{name}/{each}"] = path
        elif needed:
            found.lacks[Path(each).name] = f"adb pull /apex/{name}"


def _index_libraries(folder: Path, modules: Mapping[str, Path | None]) -> dict[str, tuple[str, Path]]:
    """Every library by name: its path in the guest, and the file. Those of modules come before the system's."""
    index: dict[str, tuple[str, Path]] = {}
    for module, places in _MODULE_LIBRARIES.items():
        for place in places:
            for path in _list(modules[module], place, ".so"):
                index.setdefault(path.name, (f"apex/{module}/{place}/{path.name}", path))
    for place in _LIBRARY_FOLDERS:
        for path in _list(folder, place, ".so"):
            index.setdefault(path.name, (f"system/lib64/{path.name}", path))
    return index


def _close(found: _Found, index: Mapping[str, tuple[str, Path]]) -> dict[str, Program]:
    """The libraries that the runtime opens, and all that those need; adds their files, or that they are missing."""
    libraries: dict[str, Program] = {}
    by_whom = dict.fromkeys((*_ROOTS, *(name for name in _OPENED_IF_THERE if name in index)), "the suite's app")
    queue = list(by_whom)
    for name in queue:
        if name not in index:
            home = _HOME.get(name) or (f"/apex/{ART}" if name in _ROOTS else f"/system/lib64/{name}")
            found.lacks[name] = f"adb pull {home} (needed by {by_whom[name]})"
            continue
        guest, path = index[name]
        libraries[name] = read_program_file(path)
        found.files[guest] = path
        for needed in libraries[name].needed:
            if needed not in by_whom:
                by_whom[needed] = name
                queue.append(needed)
    return libraries


def _file(folder: Path | None, name: str) -> Path | None:
    """A regular file below a folder; not by a link, which is a path on the device."""
    path = folder / name if folder else None
    return path if path and path.is_file() and not path.is_symlink() and _is_folder(path.parent, folder) else None


def _list(folder: Path | None, place: str, suffix: str) -> list[Path]:
    inside = folder / place if folder else None
    if inside is None or not _is_folder(inside, folder):
        return []
    files = (each for each in sorted(inside.iterdir()) if each.is_file() and not each.is_symlink())
    return [each for each in files if each.name.endswith(suffix) or f"{suffix}." in each.name]


def _walk(folder: Path) -> Iterator[Path]:
    yield from (each for each in sorted(folder.rglob("*")) if each.is_file() and not each.is_symlink())


def _is_folder(path: Path, root: Path | None) -> bool:
    """Whether it is a folder that no link leads out of the root."""
    return path.is_dir() and root is not None and path.resolve().is_relative_to(root.resolve())


def list_parts(files: Iterable[str]) -> list[str]:
    """Where the files come from, for a line of progress: the modules and folders, each once."""
    return sorted({"/".join(path.split("/")[:2]) for path in files})
