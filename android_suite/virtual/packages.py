"""Fetches Debian packages of any architecture and suite, through the host's apt.

A private sources list, lists folder and empty status file leave the host's apt state unchanged. ``APT::Architecture``
makes a foreign architecture the native one; nothing is installed on the host. The mirror is the one that apt uses (or
``ANDROID_SUITE_DEBIAN_MIRROR``), and apt checks signatures and digests as usual.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache, disk_full

MIRROR_ENV = "ANDROID_SUITE_DEBIAN_MIRROR"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("trixie", "trixie-backports")
# Additional suites for kernels only.
KERNEL_SUITES = ("bookworm", "bookworm-backports", *SUITES, "forky", "sid", "experimental")
# An older index is fetched again before a package counts as unknown.
INDEX_MAX_AGE_S = 24 * 3600


def read_mirror(chosen: str | None) -> str:
    """URI of the Debian mirror: the configured one, else the one that apt uses for this machine's release.

    Raises:
        MachineError: apt is missing or has no Debian mirror.
    """
    if chosen:
        return chosen
    listing = run_apt(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"])
    for line in listing.splitlines():
        origin, _, uri = line.partition(" ")
        if origin == "Debian" and "security" not in uri:
            return uri
    if listing.strip():
        raise MachineError(
            f"apt on this machine uses no Debian mirror, which the kernels come from: set {MIRROR_ENV}, or debian_mirror in "
            "suite.toml, to the URI of one; or give a kernel by its path"
        )
    raise MachineError(f"apt knows no mirror; run apt-get update, or set {MIRROR_ENV} to the URI of a Debian mirror")


def run_apt(argv: Sequence[str], *, cwd: Path | None = None, timeout_s: float = 600) -> str:
    """Runs one apt command and returns its output.

    Raises:
        MachineError: apt is missing, failed or did not end in time.
    """
    if not shutil.which(argv[0]):
        raise MachineError(
            f"{argv[0]} not found: kernels come from Debian packages; use Debian or Ubuntu, or give --kernel PATH"
        )
    try:
        # The code below matches apt's messages, so they must not be translated.
        done = subprocess.run(
            argv,
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MachineError(f"{argv[0]} did not end within {timeout_s:.0f} s; check the network and try again") from None
    if done.returncode:
        raise _apt_failed(argv, done.stderr)
    return done.stdout


def _apt_failed(argv: Sequence[str], stderr: str) -> MachineError:
    faults = [line[2:].strip() for line in stderr.splitlines() if line.startswith("E:")]
    reason = (faults or stderr.strip().splitlines() or ["no message"])[0]
    verb = next((word for word in argv[1:] if not word.startswith("-") and "=" not in word), "")
    error = MachineError(f"apt could not {verb} Debian packages ({reason}); check the network or set {MIRROR_ENV}")
    error.add_note(stderr.strip()[-2000:])
    return error


class Packages:
    """Debian packages of one architecture; with ``source`` the source packages, which are of all."""

    def __init__(self, config: Config, arch: str, *, suites: Sequence[str] = SUITES, source: bool = False) -> None:
        self.cache, self.arch, self.suites = Cache(config.cache), arch, tuple(suites)
        self._mirror, self._source = config.debian_mirror, source
        # a separate index for each set of suites, or each would replace the other's
        name = arch if self.suites == SUITES else f"{arch}-{'-'.join(self.suites)}"
        self._folder = self.cache.root / "apt" / (f"source-{name}" if source else name)

    def list_names(self, prefix: str) -> list[str]:
        """Names in the package index that start with ``prefix``; fetches the index when it is missing or old."""
        self._refresh()
        return sorted(self._run("apt-cache", "pkgnames", prefix).split())

    def list_depends(self, names: Sequence[str]) -> dict[str, frozenset[str]]:
        """Names of the dependencies of each package's newest version, alternatives included."""
        self._refresh()
        found: dict[str, frozenset[str]] = {}
        for at in range(0, len(names), 200):
            shown = self._run("apt-cache", "show", "--no-all-versions", *names[at : at + 200])
            for paragraph in shown.split("\n\n"):
                fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
                words = [
                    alternative.split(None, 1)[0]
                    for alternative in re.split(r"[,|]", fields.get("Depends", ""))
                    if alternative.strip()
                ]
                if name := fields.get("Package"):
                    found[name] = frozenset(words)
        return found

    def list_closure(self, names: Sequence[str]) -> list[str]:
        """``name=version`` of the packages and all their dependencies, as apt would install them on an empty system."""
        self._refresh()
        lines = self._run(
            "apt-get", "install", "--print-uris", "-qq", "-y", "--no-install-recommends", *names
        ).splitlines()
        files = [unquote(line.split()[1]) for line in lines if line.startswith("'")]
        return sorted(f"{name}={version}" for name, version, _ in (file.split("_", 2) for file in files))

    def fetch(self, specs: Sequence[str], use: Callable[[Sequence[Path]], None]) -> None:
        """Downloads packages (``name`` or ``name=version``), passes their .deb paths to ``use``, then removes them."""
        self._refresh()
        with self.cache.scratch() as scratch:
            try:
                self._run("apt-get", "download", "-qq", *specs, cwd=Path(scratch))
            except MachineError as error:
                self._explain(error)
                raise
            use(sorted(Path(scratch).glob("*.deb")))

    def fetch_source(self, name: str, version: str, use: Callable[[Path], None]) -> None:
        """Downloads a source package, passes the path of its upstream archive to ``use``, then removes it.

        Raises:
            UsageError: the suites do not have that version.
        """
        self._refresh()
        offered = re.findall(r"^Version: (\S+)", self._run("apt-cache", "showsrc", name), re.MULTILINE)
        if version not in offered:
            raise UsageError(
                f"source package {name} {version} is not in {', '.join(self.suites)} "
                f"(there: {', '.join(offered) or 'none'}); report this to the suite's authors"
            )
        with self.cache.scratch() as scratch:
            try:
                self._run("apt-get", "source", "--download-only", "-qq", f"{name}={version}", cwd=Path(scratch))
            except MachineError as error:
                self._explain(error)
                raise
            use(next(Path(scratch).glob("*.orig.tar.*")))

    def read_version(self, name: str) -> str:
        """The version that a download would fetch.

        Raises:
            UsageError: the suites do not have the package.
        """
        return self.read_versions([name])[name]

    def read_versions(self, names: Sequence[str]) -> dict[str, str]:
        """The version of each package that a download would fetch.

        Raises:
            UsageError: the suites lack one of the packages.
        """
        self._refresh()
        found: dict[str, str] = {}
        name = ""
        for line in self._run("apt-cache", "policy", *names).splitlines():
            key, _, value = line.strip().partition(":")
            if not line.startswith(" "):
                name = key
            elif key == "Candidate" and value.strip() != "(none)":
                found[name] = value.strip()
        if missing := [name for name in names if name not in found]:
            raise UsageError(
                f"package {', '.join(missing)} is not in {', '.join(self.suites)} for {self.arch}; see kernels list"
            )
        return found

    def _refresh(self) -> None:
        stamp = self._folder / "fetched"
        wanted = self._sources()
        with self.cache.lock(f"apt-{self.arch}"):
            if stamp.exists() and stamp.read_text() == wanted and time.time() - stamp.stat().st_mtime < INDEX_MAX_AGE_S:
                return
            with self.cache.writing(100_000_000):
                (self._folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
                (self._folder / "status").write_text("")
                (self._folder / "sources.list").write_text(wanted)
            try:
                # Error-Mode=any: without it a failed fetch is only a warning, and apt uses old lists silently.
                self._run("apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any")
            except MachineError as error:
                self._explain(error)
                if stamp.exists() and stamp.read_text() == wanted:
                    return  # an old index still lists the packages; a download will report a missing network
                raise MachineError(
                    f"cannot fetch the Debian package index for {self.arch}; "
                    f"check the network or set {MIRROR_ENV}, then try again"
                ) from error
            with self.cache.writing(1):
                stamp.write_text(wanted)

    def _explain(self, error: MachineError) -> None:
        text = " ".join([str(error), *getattr(error, "__notes__", ())])
        if "No space left" in text or "enough free space" in text:
            raise disk_full(self.cache.root, 100_000_000) from error
        if "NO_PUBKEY" in text or "is not signed" in text:
            raise MachineError(
                f"apt cannot check Debian's signatures for {self.arch}; install debian-archive-keyring, then try again"
            ) from error

    def _sources(self) -> str:
        signed = f" signed-by={KEYRING}" if KEYRING.exists() else ""
        mirror = read_mirror(self._mirror)
        if self._source:
            return "".join(f"deb-src [{signed.strip()}] {mirror} {suite} main\n" for suite in self.suites)
        return "".join(f"deb [arch={self.arch}{signed}] {mirror} {suite} main\n" for suite in self.suites)

    def _run(self, *argv: str, cwd: Path | None = None) -> str:
        settings = {
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "20",
            "Acquire::https::Timeout": "20",
            "Debug::NoLocking": "true",
            "Dir::State": self._folder,
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder,
            "Dir::Cache::archives": self._folder,
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Etc::sourcelist": self._folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "APT::Update::Post-Invoke-Success::": "true",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        return run_apt([argv[0], *options, *argv[1:]], cwd=cwd)


def read_members(deb: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Files and links of a .deb whose path (without leading ``./``) is ``wanted``, in the package's order.

    Yields:
        The tar member, its normalized name, and its content (empty for links).
    """
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpack:
        assert unpack.stdout is not None
        try:
            with tarfile.open(fileobj=unpack.stdout, mode="r|") as tar:
                for member in tar:
                    member.name = member.name.removeprefix("./")
                    if wanted(member.name) and (member.isfile() or member.issym() or member.islnk()):
                        stream = tar.extractfile(member) if member.isfile() else None
                        yield member, stream.read() if stream else b""
        except tarfile.TarError as error:
            raise MachineError(f"{deb.name} is not a complete Debian package; fetch it again") from error
        finally:
            unpack.stdout.close()
