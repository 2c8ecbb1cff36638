"""What the runtime is made of, as ``recipe.toml`` says: Debian's packages, and the program that makes dex."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.art.port import ROOTS
from android_suite.virtual.cache import Cache
from android_suite.virtual.packages import Packages, read_members

RECIPE = Path(__file__).parent / "recipe.toml"
TRIPLETS = {"arm64": "aarch64-linux-gnu", "amd64": "x86_64-linux-gnu"}
_LIBCORE = "android-platform-libcore"
_MAVEN_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``recipe.toml``.

    Attributes:
        suite: Debian's suite.
        exact: package -> the version that the edits and patches are made for.
        libraries: package -> files below ``usr/lib``.
        loader: architecture -> name of glibc's dynamic linker.
        jars: package -> jars below ``usr/share/java``.
        dex_artifact: Maven coordinates of the program that makes dex.
        dex_sha256: its digest.
    """

    suite: str
    exact: Mapping[str, str]
    libraries: Mapping[str, Sequence[str]]
    loader: Mapping[str, str]
    jars: Mapping[str, Sequence[str]]
    dex_artifact: str
    dex_sha256: str


def read_recipe(path: Path = RECIPE) -> Recipe:
    """Reads the recipe."""
    document = tomllib.loads(path.read_text())
    return Recipe(
        suite=document["suite"],
        exact=document["exact"],
        libraries=document["libraries"],
        loader=document["loader"],
        jars=document["jars"],
        dex_artifact=document["dex"]["artifact"],
        dex_sha256=document["dex"]["sha256"],
    )


def fetch_libraries(recipe: Recipe, arch: str, *, config: Config) -> tuple[dict[str, bytes], list[str]]:
    """The libraries of the runtime.

    Returns:
        File name -> content, and the packages as ``name=version``.

    Raises:
        MachineError: a package has another version than the recipe demands, lacks a file, or cannot be fetched.
    """
    packages = Packages(config, arch, suites=(recipe.suite,))
    specs = _list_specs(packages, list(recipe.libraries), recipe)
    wanted = {
        f"usr/lib/{file.format(triplet=TRIPLETS[arch], loader=recipe.loader[arch])}": name
        for name, files in recipe.libraries.items()
        for file in files
    }
    found = _fetch_files(packages, specs, wanted)
    return {Path(path).name: content for path, content in found.items()}, specs


def fetch_jars(recipe: Recipe, arch: str, *, config: Config) -> tuple[dict[str, bytes], list[str]]:
    """The jars that the build uses: name -> content, and the packages as ``name=version``.

    Raises:
        MachineError: a package lacks a jar or cannot be fetched.
    """
    packages = Packages(config, arch, suites=(recipe.suite,))
    specs = _list_specs(packages, list(recipe.jars), recipe)
    wanted = {f"usr/share/java/{jar}": name for name, jars in recipe.jars.items() for jar in jars}
    found = _fetch_files(packages, specs, wanted)
    return {Path(path).name: content for path, content in found.items()}, specs


def fetch_class_library(recipe: Recipe, arch: str, *, config: Config) -> dict[str, str]:
    """Debian's sources of the class library: file named below its source root -> text.

    Raises:
        UsageError: Debian has another version of it.
        MachineError: it cannot be fetched.
    """
    sources: dict[str, str] = {}
    packages = Packages(config, arch, suites=(recipe.suite,), source=True)
    packages.fetch_source(_LIBCORE, recipe.exact[_LIBCORE], lambda archive: sources.update(read_sources(archive)))
    return sources


def read_sources(archive: Path) -> dict[str, str]:
    """The Java sources of an upstream archive that lie below a source root, named below it.

    Raises:
        MachineError: the archive is damaged.
    """
    sources: dict[str, str] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                root = next((root for root in ROOTS if name.startswith(root)), None)
                if (
                    root is None
                    or not name.endswith(".java")
                    or name.endswith(("package-info.java", "module-info.java"))
                ):
                    continue
                stream = tar.extractfile(member)
                if stream is not None:
                    sources[name.removeprefix(root)] = stream.read().decode()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise MachineError(f"{archive.name} is not a complete archive; try again") from error
    return sources


def fetch_dex_program(recipe: Recipe, *, config: Config) -> bytes:
    """The jar of the program that makes dex from class files, through Maven.

    Raises:
        MachineError: Maven is missing, cannot fetch it, or has another file of that version.
    """
    if not shutil.which("mvn"):
        raise MachineError("Maven fetches a program that --runtime art needs; run: apt-get install maven")
    with Cache(config.cache).scratch() as scratch:
        argv = ["mvn", "-q", "--batch-mode", "dependency:copy", f"-Dartifact={recipe.dex_artifact}"]
        try:
            done = subprocess.run(
                [*argv, f"-DoutputDirectory={scratch}"],
                capture_output=True,
                text=True,
                check=False,
                timeout=_MAVEN_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise MachineError(f"Maven did not fetch {recipe.dex_artifact} in time; check the network") from None
        jars = sorted(Path(scratch).glob("*.jar"))
        if done.returncode or not jars:
            error = MachineError(f"Maven could not fetch {recipe.dex_artifact}; check the network and try again")
            error.add_note((done.stdout + done.stderr).strip()[-2000:])
            raise error
        content = jars[0].read_bytes()
    if hashlib.sha256(content).hexdigest() != recipe.dex_sha256:
        raise MachineError(f"{recipe.dex_artifact} is not the file that recipe.toml names; report this")
    return content


def _list_specs(packages: Packages, names: Sequence[str], recipe: Recipe) -> list[str]:
    try:
        versions = packages.read_versions(names)
    except UsageError as error:
        raise MachineError(
            f"{str(error).partition(';')[0]}, and the runtime is made of it; check the Debian mirror "
            "(ANDROID_SUITE_DEBIAN_MIRROR), or record without --runtime art"
        ) from error
    for name, version in versions.items():
        if version != (wanted := recipe.exact.get(name, version)):
            raise MachineError(
                f"Debian has {name} {version}, and the suite can mend {wanted} only; report this to the suite's "
                "authors, or record without --runtime art"
            )
    return [f"{name}={versions[name]}" for name in names]


def _fetch_files(packages: Packages, specs: Sequence[str], wanted: Mapping[str, str]) -> dict[str, bytes]:
    """Files of packages by path, links among them followed; ``wanted`` maps each path to the package that has it."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}

    def take(debs: Sequence[Path]) -> None:
        for deb in debs:
            for member, content in read_members(deb, lambda name: bool(re.match(r"(usr/)?(lib|share/java)/", name))):
                path = member.name if member.name.startswith("usr/") else f"usr/{member.name}"
                if member.isfile():
                    files[path] = content
                elif member.issym():
                    links[path] = member.linkname

    packages.fetch(specs, take)
    found: dict[str, bytes] = {}
    for path, package in wanted.items():
        target = path
        for _ in range(4):  # links of links
            if target not in links:
                break
            target = str(Path(target).parent / links[target])
        if target not in files:
            raise MachineError(
                f"package {package} has no {path}, which --runtime art needs; report this to the suite's authors"
            )
        found[path] = files[target]
    return found
