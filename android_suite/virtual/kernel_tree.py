"""A kernel source tree: unpacked from Debian's package, configured, patched, built. All builds of a tree share one build.

So a further build compiles only what a patch touches, and nothing but the patch can differ.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import BuildError, MachineError, PatchError, UsageError
from android_suite.virtual.build_messages import describe_refusal, find_error, find_fuzz
from android_suite.virtual.kernel_config import check_config
from android_suite.virtual.packages import Packages, read_members

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
_GOODBYE_S = 20.0  # for an interrupted make to remove what it was writing
_STEP = re.compile(r"^  [A-Z][A-Z0-9_]* +(?:\[M\] +)?\S")  # "  CC      mm/madvise.o"
# Debian's ccache has links named as the compilers here. Found first, they are used without another command line, so
# that make does not take files for changed when ccache is installed or removed.
_CCACHE_LINKS = Path("/usr/lib/ccache")
_CCACHE_SIZE = "3G"  # about twenty builds of the larger configuration


@dataclass(frozen=True, slots=True)
class KernelTree:
    """Unpacked kernel sources in ``path``, for one architecture. ``ccache`` is the folder of compiled files, if any."""

    path: Path
    arch: str
    jobs: int
    ccache: Path | None = None

    @property
    def _make(self) -> list[str]:
        cross, kernel_arch, _ = _TARGETS[self.arch]
        # The same time, user and host in every image, so that only the sources differ.
        return [
            "make", f"-j{self.jobs}", f"ARCH={kernel_arch}", f"CROSS_COMPILE={cross}", "KBUILD_BUILD_TIMESTAMP=@0",
            "KBUILD_BUILD_USER=lab", "KBUILD_BUILD_HOST=lab", "KBUILD_BUILD_VERSION=1",
        ]  # fmt: skip

    @property
    def _env(self) -> dict[str, str]:
        if self.ccache is None or not _CCACHE_LINKS.is_dir():
            return {}
        inherited = {"PATH": os.defpath, **os.environ}
        return {
            "PATH": f"{_CCACHE_LINKS}:{inherited['PATH']}",
            "CCACHE_DIR": str(self.ccache),
            "CCACHE_MAXSIZE": _CCACHE_SIZE,
            "CCACHE_BASEDIR": str(self.path),  # a tree that was unpacked again has the same files
            "CCACHE_NOHASHDIR": "1",
            "CCACHE_DEPEND": "1",  # what is not known is compiled at once, without the preprocessor before it
        }

    def configure(self, options: bytes) -> tuple[str, ...]:
        """Configures the smallest kernel with ``options``; returns those that this source does not take.

        Raises:
            MachineError: this source lacks an option that the suite needs.
        """
        cross, kernel_arch, _ = _TARGETS[self.arch]
        (self.path / "lab.config").write_bytes(options)
        run_step([*self._make, "-s", "tinyconfig"], self.path, "configure the kernel", self._env)
        env = {**self._env, "ARCH": kernel_arch, "CROSS_COMPILE": cross}
        merge = ["scripts/kconfig/merge_config.sh", "-m", ".config", "lab.config"]
        run_step(merge, self.path, "configure the kernel", env)
        run_step([*self._make, "-s", "olddefconfig"], self.path, "configure the kernel", self._env)
        return check_config(options.decode(), self.read_config().decode())

    def read_config(self) -> bytes:
        """The whole configuration."""
        return (self.path / ".config").read_bytes()

    def build(self, what: str, tell: Callable[[int], None] = lambda _: None) -> bytes:
        """Builds the image of the tree as it is; ``what`` it is, for the message.

        Args:
            what: for the message.
            tell: called with the number of files made so far.

        Raises:
            BuildError: it does not compile; the message has the first error.
            MachineError: it takes too long.
        """
        image = Path(_TARGETS[self.arch][2])
        _run_make([*self._make, image.name], self.path, f"build {what}", self._env, tell)
        return (self.path / image).read_bytes()

    def patch(
        self, patch: Path, *, reverse: bool = False, name: str | None = None, check_only: bool = False
    ) -> tuple[str, ...]:
        """Applies (or reverts) a unified diff with ``patch -p1``: whole, or not at all.

        Args:
            patch: the diff.
            reverse: revert it.
            name: what messages call it; None: its file's name.
            check_only: only find out whether it fits.

        Returns:
            The hunks that fit only because their context was not taken exactly.

        Raises:
            PatchError: it does not fit, with the hunk and the file; the tree is as it was.
        """
        argv = ["patch", "-p1", "--batch", "--input", str(patch), "--reverse" if reverse else "--forward"]
        done = subprocess.run(
            [*argv, "--dry-run"], cwd=self.path, capture_output=True, text=True, errors="replace", check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        if done.returncode:
            error = PatchError(
                f"{name or patch.name} cannot be {'reverted in' if reverse else 'applied to'} this source: "
                f"{describe_refusal(done.stdout + done.stderr)}"
            )
            error.add_note((done.stdout + done.stderr).strip()[-2000:])
            raise error
        if not check_only:
            run_step([*argv, "--no-backup-if-mismatch"], self.path, "patch the kernel source")
        return find_fuzz(done.stdout)


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
        raise MachineError(
            f"building a kernel needs {', '.join(missing)}; run: apt-get install {' '.join(missing)} (in a checkout of "
            "android-suite: make kernel-tools)"
        )


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


def run_step(argv: Sequence[str], cwd: Path, what: str, env: Mapping[str, str] | None = None) -> str:
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
        error = BuildError(f"could not {what} ({argv[0]} ended with status {done.returncode}); see its message below")
        error.add_note((done.stderr or done.stdout).strip()[-3000:])
        raise error
    return done.stdout


def _run_make(argv: Sequence[str], cwd: Path, what: str, env: Mapping[str, str], tell: Callable[[int], None]) -> None:
    """Runs a long `make`. Interrupted, it is let remove what it is writing, so that the tree can be built on.

    Raises:
        BuildError: it ended with an error.
        MachineError: it takes too long.
    """
    # A make whose suite was killed must not go on in a tree that the next call takes apart.
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    late = threading.Event()
    last: deque[str] = deque(maxlen=400)
    suspects: list[str] = []
    with subprocess.Popen(
        [*tied, *argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={**os.environ, "LC_ALL": "C", **env}, start_new_session=True,
    ) as make:  # fmt: skip

        def stop() -> None:
            late.set()
            _end(make)

        timer = threading.Timer(_BUILD_TIMEOUT_S, stop)
        timer.daemon = True
        timer.start()
        made = 0
        try:
            assert make.stdout is not None
            for line in make.stdout:
                if _STEP.match(line):
                    made += 1
                    tell(made)
                    continue
                last.append(line.rstrip())
                if "rror" in line or "undefined" in line or "***" in line or "multiple" in line or "Kconfig" in line:
                    suspects.append(line.rstrip())
            status = make.wait()
        except BaseException:
            _end(make)
            raise
        finally:
            timer.cancel()
    if late.is_set():
        raise MachineError(
            f"could not {what} within {_BUILD_TIMEOUT_S / 60:.0f} minutes; the same command continues where it stopped"
        )
    if status:
        first = find_error(suspects) or next((line for line in reversed(last) if line), f"make ended with {status}")
        error = BuildError(f"could not {what}: {first}")
        error.add_note("\n".join(last)[-3000:])
        raise error


def _end(make: subprocess.Popen[str]) -> None:
    """Ends make and all that it started; first politely, as it then removes files that are not complete."""
    for number, patience in ((signal.SIGTERM, _GOODBYE_S), (signal.SIGKILL, _GOODBYE_S)):
        try:
            os.killpg(make.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while make.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if make.returncode is not None:
            return
