"""The inside of the phone: a root folder with the shell and the tools that Android has, in namespaces of its own.

Commands run in the real mksh with the real toybox, which are what Android's /system/bin has, so quoting, redirections
and exit codes are real. /proc shows the phone's own processes; /sys is made of Python objects (:mod:`fuse`). A reboot
ends the first process, and the kernel ends all others with it.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from tests.scripted_phone.fuse import Folder, FuseServer

SHELL_UID: Final = 2000
_PACKAGES = "apt-get install mksh toybox gcc util-linux"
_ENVIRONMENT: Final = {
    "PATH": "/product/bin:/system/bin:/vendor/bin",
    "HOME": "/",
    "ANDROID_ROOT": "/system",
    "ANDROID_DATA": "/data",
    "TMPDIR": "/data/local/tmp",
    "TERM": "dumb",
}
_FOLDERS = ("system/bin", "dev/socket", "proc", "sys", "data/local/tmp", "data/data", "data/app", "sdcard", ".kernel")
_NOT_IN_DEBIANS_TOYBOX = ("tr", "dd", "expr", "diff", "awk")  # Android's has them: this machine's serve
_START = r"""
set -e
R=$1
mount -t proc proc $R/proc
mount -i -t fuse phone $R/sys -o fd=$2,rootmode=40000,user_id=0,group_id=0,allow_other
mount --bind $R/proc/sys $R/proc/sys
mount -o remount,bind,ro $R/proc/sys
for n in null zero random urandom; do : > $R/dev/$n; mount --bind /dev/$n $R/dev/$n; done
cd $R/.kernel
find . -type f | while read -r f; do if [ -e $R/proc/$f ]; then mount --bind $f $R/proc/$f; fi; done
cd /
exec chroot $R /system/bin/sh -c 'trap "" HUP; echo ready; while read -r _; do :; done'
"""


class Jail:
    """One phone's root folder and, between :meth:`boot` and :meth:`halt`, its namespaces."""

    def __init__(self, commands: Sequence[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="phone-"))
        self.folder.chmod(0o755)
        self.root = self.folder / "r"
        self._fuse: FuseServer | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._furnish(commands)

    def _furnish(self, commands: Sequence[str]) -> None:
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        os.chown(self.root / "data/local/tmp", SHELL_UID, SHELL_UID)
        (self.root / "data/local/tmp").chmod(0o771)
        os.chown(self.root / "sdcard", SHELL_UID, SHELL_UID)
        tools = self.root / "system/bin"
        programs = {"sh": "mksh", "toybox": "toybox", **{name: name for name in _NOT_IN_DEBIANS_TOYBOX}}
        for name, program in ((name, _find(program)) for name, program in programs.items()):
            shutil.copy(program, tools / name)
            for library in _libraries(program):
                target = self.root / library.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    shutil.copy(library, target)
        for name in _toybox_names():
            (tools / name).symlink_to("toybox")
        shutil.copy(_phonectl(), tools / "app_process64")
        for name in commands:
            (tools / name).unlink(missing_ok=True)
            (tools / name).symlink_to("app_process64")
        (self.root / "bin").symlink_to("system/bin")

    @property
    def socket_path(self) -> Path:
        """Where the phone's commands ask the script."""
        return self.root / "dev/socket/phone"

    def boot(self, sys: Folder, kernel_files: Mapping[str, str]) -> None:
        """Makes the namespaces and mounts.

        Args:
            sys: the tree of /sys.
            kernel_files: path below /proc -> content, instead of this machine's.
        """
        self._fuse = FuseServer(sys)
        for name, content in kernel_files.items():
            path = self.root / ".kernel" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        descriptor = self._fuse.descriptor
        self._keeper = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _START,
                "sh",
                self.root,
                str(descriptor),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[descriptor],
            start_new_session=True,
        )
        self._fuse.start()
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"ready\n":
            assert self._keeper.stderr is not None
            said = self._keeper.stderr.read().decode(errors="replace")
            self.halt()
            raise RuntimeError(f"the scripted phone cannot boot: {said}(it needs root, /dev/fuse and mount namespaces)")
        children = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children").read_text().split()
        self._init = int(children[0])

    def halt(self) -> None:
        """Ends every process of the phone; its files stay."""
        if self._fuse:
            self._fuse.close()
            self._fuse = None
        if self._keeper:
            with suppress(ProcessLookupError):
                if self._init:
                    os.kill(self._init, signal.SIGKILL)
            self._keeper.kill()
            self._keeper.communicate()
            self._keeper, self._init = None, 0

    def remove(self) -> None:
        """Ends everything and removes the files."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def caller(self) -> int:
        """The process behind the request to /sys that is being served."""
        fuse = self._fuse  # the phone may go down at this moment
        return fuse.caller if fuse else 0

    def start(
        self,
        words: Sequence[str],
        *,
        uid: int,
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> subprocess.Popen[bytes]:
        """Starts a program inside as a user."""
        enter = [
            _find("nsenter"),
            f"--target={self._init}",
            "--mount",
            "--pid",
            "--root",
            f"--setuid={uid}",
            f"--setgid={uid}",
        ]
        return subprocess.Popen(
            [*enter, "--wd=/", "--", *words],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_ENVIRONMENT,
            start_new_session=True,
        )

    def inside(self, path: str) -> Path:
        """A path of the phone as this process can open it, /proc and /sys included."""
        return Path(f"/proc/{self._init}/root") / path.lstrip("/")


def hang_up(process: subprocess.Popen[bytes]) -> None:
    """What adbd does to a command whose connection is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGHUP)


def _find(program: str) -> str:
    if found := shutil.which(program):
        return found
    raise RuntimeError(f"the scripted phone needs {program}: run `make setup` or `{_PACKAGES}`")


@functools.cache
def _libraries(program: str) -> tuple[str, ...]:
    listed = subprocess.run(["ldd", program], check=False, capture_output=True, text=True).stdout
    return tuple(re.findall(r"(/\S+) \(0x", listed))


@functools.cache
def _toybox_names() -> tuple[str, ...]:
    # dropped: what Android's toybox has not, or what must not touch this machine
    names = subprocess.run([_find("toybox")], check=True, capture_output=True, text=True).stdout.split()
    return tuple(sorted({*names} - {"sh", "reboot", "halt", "poweroff", "su", "login", "passwd", "wget", "ftpget"}))


@functools.cache
def _phonectl() -> str:
    source = Path(__file__).with_name("phonectl.c")
    built = Path(tempfile.gettempdir()) / f"android-suite-phonectl-{os.getuid()}-{source.stat().st_mtime_ns}"
    if not built.exists():
        part = built.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-O1", "-static", "-pthread", "-Wall", "-o", part, source], check=True)
        part.rename(built)
    return str(built)
