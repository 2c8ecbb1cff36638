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
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import BuildError, MachineError, PatchError, UsageError
from android_suite.virtual.build_messages import (
    describe_refusal,
    find_error,
    find_fuzz,
    find_host_fault,
    lacks_files,
    leads_out,
)
from android_suite.virtual.cache import Cache
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
HAS, HAS_NOT = "it already has this change", "it does not have this change"  # a source and a patch
OTHER_PATHS = "it is made for"
_BUILD_TIMEOUT_S = 3600.0
_MEND_HOST = "free some, or use fewer --jobs, and run the same command again"
_GOODBYE_S = 20.0  # for an interrupted make to remove what it was writing
_STEP = re.compile(r"^  [A-Z][A-Z0-9_]* +(?:\[M\] +)?\S")  # "  CC      mm/madvise.o"
# Debian's ccache has links named as the compilers here. Found first, they are used without another command line, so
# that make does not take files for changed when ccache is installed or removed.
_CCACHE_LINKS = Path("/usr/lib/ccache")
_CCACHE_SIZE = "3G"  # about twenty builds of the larger configuration
# What makes git take another repository, work tree, index or object store than that of the folder it is run in
_OF_ANOTHER_TREE = frozenset(
    {
        "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE",
        "GIT_CONFIG",
    }
)  # fmt: skip


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
        run_step([*self._make, "-s", "tinyconfig"], self.path, "configure the kernel", self._env, fault=BuildError)
        env = {**self._env, "ARCH": kernel_arch, "CROSS_COMPILE": cross}
        merge = ["scripts/kconfig/merge_config.sh", "-m", ".config", "lab.config"]
        run_step(merge, self.path, "configure the kernel", env, fault=BuildError)
        run_step([*self._make, "-s", "olddefconfig"], self.path, "configure the kernel", self._env, fault=BuildError)
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
            MachineError: it takes too long, or the host has no memory or space left for it.
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
        text = self._try_patch(patch, reverse)
        if text is not None:
            raise self._refuse(patch, reverse, name, self._explain(patch, reverse, text), text)
        done = self._run_patch(patch, reverse, ["--dry-run"] if check_only else ["--no-backup-if-mismatch"])
        if done.returncode:  # only then `patch` looks at links in its way, and at the space of the disk
            text = done.stdout + done.stderr
            if fault := find_host_fault(text.splitlines()):
                raise MachineError(f"could not patch the kernel source: {fault}; {_MEND_HOST}")
            raise self._refuse(patch, reverse, name, describe_refusal(text), text)
        return find_fuzz(done.stdout)

    def _refuse(self, patch: Path, reverse: bool, name: str | None, reason: str, text: str) -> PatchError:
        what = "reverted in" if reverse else "applied to"
        error = PatchError(f"{name or patch.name} cannot be {what} this source: {reason}")
        error.add_note(text.strip()[-2000:])
        return error

    def _run_patch(
        self, patch: Path, reverse: bool, options: Sequence[str], strip: int = 1
    ) -> subprocess.CompletedProcess[str]:
        # --force: with --batch it would apply what it was told to revert, where that looks to it as not applied yet.
        argv = ["patch", f"-p{strip}", "--unified", "--force", "--input", str(patch), *options]
        return subprocess.run(
            [*argv, "--reverse"] if reverse else argv, cwd=self.path, capture_output=True, text=True,
            errors="replace", check=False, stdin=subprocess.DEVNULL, env=build_environment(),
        )  # fmt: skip

    def _try_patch(self, patch: Path, reverse: bool, strip: int = 1) -> str | None:
        """What `patch` says if it would refuse; None if it would not."""
        done = self._run_patch(patch, reverse, ["--dry-run"], strip)
        return done.stdout + done.stderr if done.returncode else None

    def _explain(self, patch: Path, reverse: bool, text: str) -> str:
        """Why it does not fit. Whether the source has it already is tried, not guessed from a hunk."""
        if leads_out(text):
            return describe_refusal(text)
        if self._try_patch(patch, not reverse) is None:
            return HAS_NOT if reverse else HAS
        for strip in (0, 2, 3) if lacks_files(text) else ():
            if self._try_patch(patch, reverse, strip) is None:
                return f"{OTHER_PATHS} `patch -p{strip}`; its paths must begin with one folder, as a/mm/madvise.c"
        return describe_refusal(text)


def build_environment() -> dict[str, str]:
    """The environment of a build's programs: messages in English, and git works on the tree that it is run in.

    ``git bisect run`` in a linked worktree, and hooks, set GIT_DIR. Git would take that for the trees in the cache, too,
    and move the HEAD of the user's tree. Nor may looking at a user's tree write its index.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_TREE}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}


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


def lock_tree(cache: Cache, name: str, say: Callable[[str], None]) -> AbstractContextManager[None]:
    """The lock of the source tree ``name`` in the cache; says so before it waits for another process."""
    waiting = "another process builds in this source tree: waiting until it has ended"
    return cache.lock(f"tree-{name}", lambda: say(waiting))


def remove_tree(cache: Cache, folder: Path) -> None:
    """Removes a source tree from the cache, unless a process builds in it."""
    with cache.try_lock(f"tree-{folder.name}") as unused:
        if unused:
            shutil.rmtree(folder, ignore_errors=True)


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


def run_step(
    argv: Sequence[str],
    cwd: Path,
    what: str,
    env: Mapping[str, str] | None = None,
    *,
    fault: type[MachineError] = MachineError,
) -> str:
    """Runs a program of the build and returns what it printed. ``fault`` says whose fault an error is.

    Raises:
        MachineError: it ended with an error (of type ``fault``), or takes too long.
    """
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, check=False, timeout=_BUILD_TIMEOUT_S, errors="replace",
            stdin=subprocess.DEVNULL, env={**build_environment(), **(env or {})},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"could not {what} within {_BUILD_TIMEOUT_S / 60:.0f} minutes; try again on an idle machine"
        ) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        if full := find_host_fault(said.splitlines()):
            raise MachineError(f"could not {what}: {full}; {_MEND_HOST}")
        error = fault(f"could not {what} ({argv[0]} ended with status {done.returncode}); see its message below")
        error.add_note(said[-3000:])
        raise error
    return done.stdout


def _run_make(argv: Sequence[str], cwd: Path, what: str, env: Mapping[str, str], tell: Callable[[int], None]) -> None:
    """Runs a long `make`. Interrupted, it is let remove what it is writing, so that the tree can be built on.

    Raises:
        BuildError: it ended with an error.
        MachineError: it takes too long, or the host has no memory or space left for it.
    """
    # A make whose suite was killed must not go on in a tree that the next call takes apart.
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    late = threading.Event()
    last: deque[str] = deque(maxlen=400)
    suspects: list[str] = []
    host_fault: str | None = None
    with subprocess.Popen(
        [*tied, *argv], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={**build_environment(), **env}, start_new_session=True,
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
                host_fault = host_fault or find_host_fault([line])
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
    if status and host_fault:
        raise MachineError(f"could not {what}: {host_fault}; {_MEND_HOST}")
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
