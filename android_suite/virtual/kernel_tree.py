"""A kernel source tree: unpacked from Debian's package, configured, patched, built. All builds of a tree share one build.

So a further build compiles only what a patch touches, and nothing but the patch can differ.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import BuildError, MachineError, PatchError, UsageError
from android_suite.virtual.packages import Packages, read_members

_CONFIGS = Path(__file__).parent / "configs"
_TOOLS = {  # program of a build -> its Debian package
    "make": "make", "gcc": "gcc", "flex": "flex", "bison": "bison", "bc": "bc", "xz": "xz-utils", "patch": "patch",
    "tar": "tar", "perl": "perl",
}  # fmt: skip
# Per architecture: the prefix for CROSS_COMPILE, the kernel's name for it, and the image file.
_TARGETS = {
    "arm64": ("aarch64-linux-gnu-", "arm64", "arch/arm64/boot/Image.gz"),
    "amd64": ("", "x86", "arch/x86/boot/bzImage"),
}
_BUILD_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class KernelTree:
    """Unpacked kernel sources in ``path``, for one architecture."""

    path: Path
    arch: str
    jobs: int

    @property
    def _make(self) -> list[str]:
        cross, kernel_arch, _ = _TARGETS[self.arch]
        # The same time, user and host in every image, so that only the sources differ.
        return [
            "make", f"-j{self.jobs}", f"ARCH={kernel_arch}", f"CROSS_COMPILE={cross}", "KBUILD_BUILD_TIMESTAMP=@0",
            "KBUILD_BUILD_USER=lab", "KBUILD_BUILD_HOST=lab", "KBUILD_BUILD_VERSION=1",
        ]  # fmt: skip

    def configure(self, options: bytes) -> bytes:
        """Configures the smallest kernel with ``options``; returns the whole configuration.

        Raises:
            MachineError: this source lacks an option that the suite needs.
        """
        cross, kernel_arch, _ = _TARGETS[self.arch]
        (self.path / "lab.config").write_bytes(options)
        run_step([*self._make, "-s", "tinyconfig"], self.path, "configure the kernel")
        env = {"ARCH": kernel_arch, "CROSS_COMPILE": cross}
        merge = ["scripts/kconfig/merge_config.sh", "-m", ".config", "lab.config"]
        run_step(merge, self.path, "configure the kernel", env)
        run_step([*self._make, "-s", "olddefconfig"], self.path, "configure the kernel")
        final = (self.path / ".config").read_bytes()
        _check_config(options.decode(), final.decode())
        return final

    def build(self, what: str) -> bytes:
        """Builds the image of the tree as it is; ``what`` it is, for the message.

        Raises:
            BuildError: it does not compile.
            MachineError: it takes too long.
        """
        image = Path(_TARGETS[self.arch][2])
        run_step([*self._make, "-s", image.name], self.path, f"build {what}")
        return (self.path / image).read_bytes()

    def patch(self, patch: Path, *, reverse: bool = False, name: str | None = None, check_only: bool = False) -> None:
        """Applies (or reverts) a unified diff with ``patch -p1``: whole, or not at all.

        Args:
            patch: the diff.
            reverse: revert it.
            name: what messages call it; None: its file's name.
            check_only: only find out whether it fits.

        Raises:
            PatchError: it does not fit; the tree is as it was.
        """
        argv = ["patch", "-p1", "--batch", "--input", str(patch), "--reverse" if reverse else "--forward"]
        done = subprocess.run([*argv, "--dry-run"], cwd=self.path, capture_output=True, text=True, check=False)
        if done.returncode:
            error = PatchError(
                f"{name or patch.name} cannot be {'reverted in' if reverse else 'applied to'} this source"
            )
            error.add_note(done.stdout.strip()[-2000:])
            raise error
        if not check_only:
            run_step([*argv, "--no-backup-if-mismatch"], self.path, "patch the kernel source")


def check_arch(arch: str) -> None:
    """Raises UsageError for an architecture that kernels are not built for."""
    if arch not in _TARGETS:
        raise UsageError(f"unknown architecture {arch!r}; use {' or '.join(_TARGETS)}")


def check_tools(arch: str) -> None:
    """Raises MachineError where a program or header of a build is missing, with the packages that have them."""
    cross, _, _ = _TARGETS[arch]
    tools = {**_TOOLS, **({f"{cross}gcc": "gcc-aarch64-linux-gnu"} if cross else {})}
    missing = sorted(package for tool, package in tools.items() if not shutil.which(tool))
    headers = {"libssl-dev": "openssl/opensslv.h", "libelf-dev": "libelf.h"}
    missing += [p for p, h in headers.items() if not (Path("/usr/include") / h).exists()]
    if missing:
        raise MachineError(f"building a kernel needs {', '.join(missing)}; run: apt-get install {' '.join(missing)}")


def read_options(arch: str, *, lock_stat: bool = False) -> bytes:
    """The configuration fragments of a lab kernel."""
    fragments = [_CONFIGS / "lab.config", _CONFIGS / f"lab.{arch}.config"]
    fragments += [_CONFIGS / "lock_stat.config"] if lock_stat else []
    return b"".join(fragment.read_bytes() for fragment in fragments)


def read_compiler(arch: str) -> bytes:
    """The first line that the compiler for ``arch`` says about itself."""
    cross, _, _ = _TARGETS[arch]
    return subprocess.run([f"{cross}gcc", "--version"], capture_output=True, check=True).stdout.splitlines()[0]


def unpack_source(packages: Packages, spec: str, scratch: Path, progress: Callable[[str], None]) -> Path:
    """Fetches a ``linux-source-*`` package and unpacks it to ``scratch/tree``.

    Raises:
        MachineError: it cannot be fetched, or holds no kernel source.
    """
    progress(f"fetching {spec}")

    def take(debs: Sequence[Path]) -> None:
        for member, content in read_members(
            debs[0], lambda n: bool(re.search(r"usr/src/linux-source-[^/]+\.tar\.", n))
        ):
            (scratch / "source.tar.xz").write_bytes(content)
            progress(f"unpacking {Path(member.name).name}")

    packages.fetch([spec], take)
    tree = scratch / "tree"
    tree.mkdir()
    archive = scratch / "source.tar.xz"
    if not archive.exists():
        raise MachineError(f"{spec} has no kernel source; give a linux-source-* package")
    run_step(["tar", "-xf", str(archive), "--strip-components=1"], tree, "unpack the kernel source")
    archive.unlink()
    return tree


def run_step(argv: Sequence[str], cwd: Path, what: str, env: dict[str, str] | None = None) -> str:
    """Runs a program of the build and returns what it printed.

    Raises:
        BuildError: it ended with an error.
        MachineError: it takes too long.
    """
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=_BUILD_TIMEOUT_S, errors="replace",
            env={**os.environ, "LC_ALL": "C", **(env or {})},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"could not {what} within {_BUILD_TIMEOUT_S / 60:.0f} minutes; try again on an idle machine"
        ) from None
    if done.returncode:
        error = BuildError(
            f"could not {what} ({argv[0]} ended with status {done.returncode}); see the compiler's message below"
        )
        error.add_note((done.stderr or done.stdout).strip()[-3000:])
        raise error
    return done.stdout


def _check_config(wanted: str, final: str) -> None:
    have = set(final.splitlines())
    missing = [line for line in wanted.splitlines() if line.endswith("=y") and line not in have]
    # A release may have removed or renamed options; those that the suite needs must be present.
    vital = {"CONFIG_FTRACE_SYSCALLS=y", "CONFIG_VIRTIO_NET=y", "CONFIG_RD_ZSTD=y"}
    if lost := sorted(vital & set(missing)):
        raise MachineError(
            f"this source cannot be configured with {', '.join(lost)}; choose another linux-source package"
        )
