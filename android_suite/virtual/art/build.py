"""Builds the overlay with the runtime, once for each content of its recipe, and keeps it in the cache."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import UsageError
from android_suite.virtual.art.compilers import (
    NEED_MB,
    Jdk,
    compile_app,
    compile_core,
    compile_java,
    desugar,
    make_dex,
    read_jdk,
)
from android_suite.virtual.art.fetch import (
    Recipe,
    fetch_class_library,
    fetch_dex_program,
    fetch_jars,
    fetch_libraries,
    read_recipe,
)
from android_suite.virtual.art.patch import PATCHES, apply_patch, parse_patches
from android_suite.virtual.art.port import CLASSES, EDITS, parse_edits, port_sources, read_classes
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.cpio import Node, file_node, link_node, render_cpio
from android_suite.virtual.image import GUEST, KEPT_BASES, KEPT_S

HOME = "system/art"
ROOM = Path(__file__).parent
ARCHES = ("arm64", "amd64")
# A change here builds everything anew.
LAYOUT = "2"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A built runtime.

    Attributes:
        overlay: the initramfs archive to append to the image of a virtual device.
        sha256: its digest.
        packages: Debian packages in it, as ``name=version``.
    """

    overlay: Path
    sha256: str
    packages: tuple[str, ...]


def build_runtime(arch: str, *, config: Config, progress: Progress = lambda _: None) -> Runtime:
    """The runtime for an architecture: from the cache, or built (about two minutes).

    Args:
        arch: ``arm64`` or ``amd64``.
        config: gives the cache and the Debian mirror.
        progress: called with a line at each step.

    Raises:
        UsageError: there is no runtime for that architecture.
        MachineError: a package or a tool is missing, or is not what the suite's edits and patches are made for.
    """
    if arch not in ARCHES:
        raise UsageError(f"no Android runtime for {arch!r}; use {' or '.join(ARCHES)}")
    cache = Cache(config.cache)
    key = f"{arch}-{measure_sources(ROOM, GUEST / 'src')}"
    with cache.lock(f"art-{arch}"):
        entry = cache.read_entry("art", key)
        if entry is None:
            progress(f"building the Android runtime for {arch}, once: about two minutes")
            entry = _build(arch, key, cache=cache, config=config, progress=progress)
            cache.prune("art", f"{arch}-", keep=KEPT_BASES, unused_s=KEPT_S)
        cache.mark_used("art", key)
    return Runtime(
        overlay=entry.files["overlay"], sha256=entry.digests["overlay"], packages=tuple(entry.meta["packages"])
    )


def measure_sources(*folders: Path) -> str:
    """A digest over every file of the folders but Python's: names and contents."""
    total = hashlib.sha256(LAYOUT.encode())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in (".py", ".pyc", ".md"):
                total.update(f"\0{path.relative_to(folder)}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:32]


def _build(arch: str, key: str, *, cache: Cache, config: Config, progress: Progress) -> Entry:
    recipe = read_recipe()
    jdk = read_jdk()
    core = _read_core(recipe, arch, cache=cache, config=config, progress=progress)
    progress("fetching ART and the libraries that it opens")
    libraries, packages = fetch_libraries(recipe, arch, config=config)
    patch = parse_patches(PATCHES.read_text())[arch]
    libraries["libart.so.0"] = apply_patch(libraries["libart.so.0"], patch, name="libart.so of android-libart")
    # libnativeloader asks for it by this name.
    libraries["libnativebridge.so"] = libraries.pop("libnativebridge.so.0")
    progress("compiling the app and the natives of the class library")
    with cache.writing(NEED_MB * 1_000_000), cache.scratch() as scratch:
        work = Path(scratch)
        dx = work / "dx.jar"
        dx.write_bytes(core.files["dx"].read_bytes())
        workload = make_workload(work, dx=dx, jdk=jdk)
        natives = compile_app(arch, libraries, ROOM / "native", GUEST / "src", work / "native", jdk=jdk)
    jars = {"core.jar": core.files["core"].read_bytes(), "workload.jar": workload}
    nodes = list_nodes({**libraries, "libjavacore.so": natives.library}, natives.app, jars)
    archive = render_cpio(nodes)
    meta = {"arch": arch, "packages": [*packages, *core.meta["packages"]], "jdk": jdk.version}
    return cache.write_entry("art", key, {"overlay": archive}, meta)


def make_workload(work: Path, *, dx: Path, jdk: Jdk) -> bytes:
    """A jar with our Java: the stress class, and what the main thread of the app asks of it.

    Raises:
        MachineError: a compiler refuses it.
    """
    sources = {path.name: path.read_text() for folder in ("workload", "app") for path in _java_files(ROOM / folder)}
    classes = compile_java(sources, work / "workload", jdk=jdk)
    return make_dex(classes, work / "workload.jar", dx=dx, jdk=jdk)


def list_nodes(libraries: Mapping[str, bytes], app: bytes, jars: Mapping[str, bytes]) -> dict[str, Node]:
    """The files of the overlay. Everything is below ``/system/art``, but for the two programs' names in ``/system/bin``."""
    nodes = {f"{HOME}/lib/{name}": file_node(content, executable=True) for name, content in libraries.items()}
    # ART opens three libraries of its class library; here they are one.
    nodes |= {f"{HOME}/lib/{name}": link_node("libjavacore.so") for name in ("libicu_jni.so", "libopenjdk.so")}
    nodes |= {f"{HOME}/{name}": file_node(content) for name, content in jars.items()}
    nodes["system/bin/app_process"] = file_node(app, executable=True)
    nodes["system/bin/dalvikvm"] = link_node("app_process")
    return nodes


def _read_core(recipe: Recipe, arch: str, *, cache: Cache, config: Config, progress: Progress) -> Entry:
    """The class library as dex (file ``core``) and the program that made it (``dx``); the same for every architecture."""
    key = measure_sources(CLASSES, ROOM / "tools") + hashlib.sha256(
        EDITS.read_bytes() + repr((recipe.exact, recipe.jars, recipe.dex_sha256)).encode()
    ).hexdigest()[:16]  # fmt: skip
    with cache.lock("art-core"):
        return cache.read_entry("art-core", key) or _build_core(
            recipe, arch, key, cache=cache, config=config, progress=progress
        )


def _build_core(recipe: Recipe, arch: str, key: str, *, cache: Cache, config: Config, progress: Progress) -> Entry:
    jdk = read_jdk()
    progress("fetching the class library's sources and the tools that build it")
    dx_jar = fetch_dex_program(recipe, config=config)
    jars, packages = fetch_jars(recipe, arch, config=config)
    sources = fetch_class_library(recipe, arch, config=config)
    ported = port_sources(sources, parse_edits(EDITS.read_text()), read_classes())
    with cache.writing(NEED_MB * 1_000_000), cache.scratch() as scratch:
        work = Path(scratch)
        for name, content in {**jars, "icu4j.jar": rename_icu(jars["icu4j.jar"]), "dx.jar": dx_jar}.items():
            (work / name).write_bytes(content)
        progress(f"compiling {len(ported)} Java sources of the class library")
        classes = compile_core(ported, work / "classes", class_path=work / "icu4j.jar", jdk=jdk)
        progress("replacing its lambdas")
        plain = desugar(
            classes, work / "plain", ROOM / "tools", class_path=[work / "asm.jar", work / "asm-tree.jar"], jdk=jdk
        )
        progress("making dex of it")
        core = make_dex(plain, work / "core.jar", dx=work / "dx.jar", jdk=jdk, core=True)
    source = f"android-platform-libcore={recipe.exact['android-platform-libcore']}"
    return cache.write_entry("art-core", key, {"core": core, "dx": dx_jar}, {"packages": [source, *packages]})


def rename_icu(jar: bytes) -> bytes:
    """ICU4J with Android's name of its package, for the compiler. Both names have eleven letters, so bytes suffice."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(jar)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if name.endswith(".class"):
                content = old.read(name).replace(b"com/ibm/icu", b"android/icu").replace(b"com.ibm.icu", b"android.icu")
                new.writestr(name.replace("com/ibm/icu", "android/icu"), content)
    return out.getvalue()


def _java_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.java"))
