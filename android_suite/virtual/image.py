"""The virtual device's root file system, as an initramfs.

The base (Debian's adbd with its libraries, busybox, the guest's programs and files) does not depend on the kernel. It
is built when its sources change and kept in the cache. Each boot appends archives: modules of its kernel, the user's
overlays, files of the run.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache, Entry
from android_suite.virtual.cpio import Node, file_node, folder_node, join_archives, link_node, render_cpio
from android_suite.virtual.kernels import KernelImage
from android_suite.virtual.packages import Packages, read_members

GUEST = Path(__file__).parent / "guest"
TRIPLETS = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}
COMPILERS = {"arm64": "aarch64-linux-gnu-gcc", "amd64": "x86_64-linux-gnu-gcc"}
CFLAGS = ("-O2", "-static", "-pthread", "-Wall", "-Wextra")
PACKAGES = ("adbd", "busybox-static")
FOLDERS = ("proc", "sys", "dev", "tmp", "data", "mnt", "root", "run", "lib/modules")
# A base has 26 MB, and every change of the guest's sources makes another one.
KEPT_BASES = 3
KEPT_S = 24 * 3600.0
# A change here rebuilds every base.
LAYOUT = "2"
_ADBD = "usr/lib/android-sdk/platform-tools/adbd"
_TOOLBOX_COMMAND = re.compile(r'\{"(\w+)", \w+_main\}')
_APPLETS = re.compile(rb"(?:[\w.\[+-]{1,24}\0){100,}")
_OVERLAY_MAGIC = (b"070701", b"070702", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


def build_base(arch: str, *, config: Config, guest: Path = GUEST) -> Entry:
    """The base archive (file ``base``) for an architecture; built on first use and when the guest's sources change.

    Keeps the few most recently used older bases, and all used within a day, because the caller still has to read one.

    Raises:
        MachineError: packages cannot be fetched, or the compiler is missing or fails on the guest's sources.
    """
    cache = Cache(config.cache)
    key = f"{arch}-{measure_guest(guest)[:32]}"
    with cache.lock(f"image-{arch}"):
        if entry := cache.read_entry("images", key):
            cache.mark_used("images", key)
            return entry
        system = cache.read_entry("systems", f"{arch}-{LAYOUT}") or _build_system(arch, config)
        nodes = {name.partition(":")[2]: _stored_node(name, path) for name, path in system.files.items()}
        nodes |= {path: link_node(target) for path, target in system.meta["links"].items()}
        nodes |= {name: folder_node() for name in FOLDERS}
        with cache.scratch() as scratch:
            programs = compile_guest(arch, guest / "src", Path(scratch))
        nodes |= {f"system/bin/{name}": file_node(content, executable=True) for name, content in programs.items()}
        own = _TOOLBOX_COMMAND.findall((guest / "src/toolbox/main.c").read_text())
        busybox = hide_applets(nodes["usr/bin/busybox"].content, own)
        nodes["usr/bin/busybox"] = file_node(busybox, executable=True)
        nodes |= read_tree(guest / "rootfs")
        # The build number is the digest of the inputs, so that runs on different images differ in it.
        properties = nodes["system/build.prop"].content.replace(b"@BUILD@", measure_guest(guest)[:12].encode())
        nodes["system/build.prop"] = file_node(properties)
        applets = guest / "busybox-applets.txt"
        for applet in applets.read_text().split() if applets.is_file() else ():
            nodes.setdefault(f"system/bin/{applet}", link_node("/usr/bin/busybox"))
        # Not compressed, because the kernel would unpack it on one slow emulated CPU. Instructions of a whole boot,
        # measured on arm64: plain 1.12 G, zstd 1.28 G, gzip 1.37 G.
        entry = cache.write_entry(
            "images", key, {"base": render_cpio(nodes)}, {"arch": arch, "packages": system.meta["packages"]}
        )
        cache.prune("images", f"{arch}-", keep=KEPT_BASES, unused_s=KEPT_S)
        return entry


def read_initrd(
    base: Entry, kernel: KernelImage, *, overlays: Sequence[Path] = (), run_files: Mapping[str, bytes] | None = None
) -> bytes:
    """The complete initramfs of one boot: base, the kernel's modules, overlays, then the files of the run.

    Args:
        base: the result of :func:`build_base`.
        kernel: the kernel to boot.
        overlays: the user's initramfs files: cpio (newc), plain or compressed with gzip or zstd.
        run_files: absolute guest path to content; a file is executable if it starts with ``#!``.

    Raises:
        UsageError: an overlay is missing or is not such an archive.
    """
    modules = {
        f"lib/modules/{name}.ko": file_node(path.read_bytes())
        for name, path in zip(kernel.module_names, kernel.modules, strict=True)
    }
    order = "".join(f"{name}.ko\n" for name in kernel.module_names)
    modules["lib/modules/order"] = file_node(order.encode())
    if kernel.config is not None:
        modules[f"boot/config-{kernel.release}"] = file_node(kernel.config.read_bytes())
    run = {path.lstrip("/"): _executable_or_not(content) for path, content in (run_files or {}).items()}
    return join_archives(
        [base.files["base"].read_bytes(), render_cpio(modules), *map(read_overlay, overlays), render_cpio(run)]
    )


def hide_applets(busybox: bytes, commands: Iterable[str]) -> bytes:
    """Renames the applets that have the name of one of the guest's own commands, in the program's table of names.

    Debian's busybox is a shell that runs an applet wherever it knows one, without a look at PATH, and so do its
    ``env``, ``xargs`` or ``timeout``. The table is sorted and searched so: a new name keeps its length and its place.

    Raises:
        MachineError: the program has no such table, or a name has no room in it.
    """
    table = max(_APPLETS.finditer(busybox), key=lambda match: len(match.group()), default=None)
    names = table.group().split(b"\0")[:-1] if table else []
    if table is None or b"sh" not in names:
        raise MachineError("Debian's busybox has no table of applets as expected; report this to the suite's authors")
    for command in commands:
        if (name := command.encode()) not in names:
            continue
        at = names.index(name)
        others = (name[:-1] + bytes([last]) for last in range(ord("z"), ord("-"), -1) if last != name[-1])
        after = names[at + 1] if at + 1 < len(names) else b"\xff"
        new = next((other for other in others if names[at - 1] < other < after), None)
        if new is None:
            raise MachineError(f"busybox's applet {command} cannot be hidden; report this to the suite's authors")
        names[at] = new
    return busybox[: table.start()] + b"".join(name + b"\0" for name in names) + busybox[table.end() :]


def read_overlay(path: Path) -> bytes:
    """Reads a user's initramfs and checks that every kernel can unpack it.

    Raises:
        UsageError: no such file, or neither cpio (newc) nor gzip nor zstd.
    """
    if not path.is_file():
        raise UsageError(f"no overlay at {path}; give a cpio archive (newc), plain or compressed with gzip or zstd")
    content = path.read_bytes()
    if not content.startswith(_OVERLAY_MAGIC):
        raise UsageError(f"{path} is not an initramfs; make one with: find . | cpio -o -H newc | zstd > FILE")
    return content


def measure_guest(guest: Path) -> str:
    """SHA-256 over the guest's sources, their names and the layout of the image."""
    total = hashlib.sha256("\0".join([LAYOUT, *CFLAGS, *PACKAGES]).encode())
    for path in _guest_files(guest):
        total.update(f"\0{path.relative_to(guest)}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def compile_guest(arch: str, sources: Path, scratch: Path) -> dict[str, bytes]:
    """Static programs from ``NAME.c`` and ``NAME/*.c``, by name.

    Raises:
        MachineError: the compiler is missing or fails on a source; the notes have its message.
    """
    compiler = next(
        (c for c in (COMPILERS[arch], "gcc" if arch == _host_arch() else "") if c and shutil.which(c)), None
    )
    if compiler is None:
        raise MachineError(f"no C compiler for {arch} ({COMPILERS[arch]}); run make setup")
    programs: dict[str, bytes] = {}
    for source in sorted(sources.iterdir()) if sources.is_dir() else ():
        files = sorted(source.glob("*.c")) if source.is_dir() else [source] if source.suffix == ".c" else []
        if not files:
            continue
        binary = scratch / source.stem
        done = subprocess.run(
            [compiler, *CFLAGS, "-s", "-I", sources / "include", "-o", binary, *files, "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            error = MachineError(f"{compiler} cannot build {source.name} for the virtual device; see its message below")
            error.add_note(done.stderr.strip()[-4000:])
            raise error
        programs[source.stem] = binary.read_bytes()
    return programs


def read_tree(folder: Path) -> dict[str, Node]:
    """Every file, link and folder below ``folder`` as archive nodes."""
    nodes: dict[str, Node] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            nodes[name] = link_node(str(path.readlink()))
        elif path.is_file():
            nodes[name] = _executable_or_not(path.read_bytes())
        else:
            nodes[name] = folder_node()
    return nodes


def _executable_or_not(content: bytes) -> Node:
    return file_node(content, executable=content.startswith((b"#!", b"\x7fELF")))


def _guest_files(guest: Path) -> list[Path]:
    return [p for p in sorted(guest.rglob("*")) if p.is_file() and p.suffix not in (".py", ".pyc", ".md")]


def _host_arch() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")


def _stored_node(name: str, path: Path) -> Node:
    return file_node(path.read_bytes(), executable=name.startswith("x:"))


def _build_system(arch: str, config: Config) -> Entry:
    """adbd, the libraries it needs and busybox from Debian's packages; links are kept as (path, target)."""
    packages = Packages(config, arch)
    specs = packages.list_closure(PACKAGES)
    files: dict[str, tuple[bool, bytes]] = {}
    links: dict[str, str] = {}
    triplet = TRIPLETS[arch]
    wanted = re.compile(
        rf"(?:usr/)?(?:{_ADBD.removeprefix('usr/')}|bin/busybox|lib/{triplet}/(?:android/)?[^/]+\.so[.\d]*|lib64/[^/]+|lib/ld-linux[^/]+)$"
    )

    def take(debs: Sequence[Path]) -> None:
        for deb in debs:
            for member, content in read_members(deb, lambda name: bool(wanted.match(name))):
                path = member.name if member.name.startswith("usr/") else f"usr/{member.name}"
                if member.isfile():
                    files[path] = (bool(member.mode & 0o111), content)
                elif member.issym():
                    links[path] = member.linkname

    packages.fetch(specs, take)
    if _ADBD not in files or "usr/bin/busybox" not in files:
        raise MachineError(
            f"Debian's adbd or busybox for {arch} does not have the expected layout; report this to the suite's authors"
        )
    roots = (_ADBD, "usr/bin/busybox", *(path for path in (*files, *links) if "/ld-linux" in path))
    needed = find_needed_files(files, links, roots)
    links = {path: target for path, target in links.items() if path in needed}
    # /bin, /lib and /lib64 are folders, not links into /usr. Otherwise a user's overlay with a folder of that name
    # would replace the link and hide the dynamic linker.
    links |= {path.removeprefix("usr/"): f"/{path}" for path in needed if "/ld-linux" in path and path.count("/") == 2}
    links["bin/sh"] = "/usr/bin/busybox"
    stored = {f"{'x' if files[path][0] else '-'}:{path}": files[path][1] for path in sorted(needed & files.keys())}
    return packages.cache.write_entry("systems", f"{arch}-{LAYOUT}", stored, {"packages": specs, "links": links})


def find_needed_files(
    files: Mapping[str, tuple[bool, bytes]], links: Mapping[str, str], roots: Iterable[str]
) -> set[str]:
    """The files of ``roots`` and all libraries that the dynamic linker opens for them, links included.

    Args:
        files: path to whether it is executable, and its content.
        links: path to target of each symbolic link.
        roots: paths to begin with.
    """
    by_name = {path.rpartition("/")[2]: path for path in (*files, *links)}
    todo = [*roots]
    done: set[str] = set()
    while todo:
        path = todo.pop()
        if path in done:
            continue
        done.add(path)
        if path in links:
            todo.append(by_name.get(links[path].rpartition("/")[2], path))
        else:
            todo.extend(by_name[name] for name in _read_needed(files[path][1]) if name in by_name)
    return done


def _read_needed(elf: bytes) -> list[str]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(elf)
        file.flush()
        listing = subprocess.run(["readelf", "-dW", file.name], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", listing)
