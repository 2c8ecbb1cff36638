"""The runtime is built once for each content, and what is missing for it is told with the next step."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from android_suite.config import Config
from android_suite.errors import MachineError, UsageError
from android_suite.virtual.art import build, compilers, fetch
from android_suite.virtual.art.patch import Patch
from android_suite.virtual.image import GUEST
from android_suite.virtual.packages import Packages

LIBRARIES = ("libart.so.0", "libnativebridge.so.0", "ld-linux-aarch64.so.1")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for packages and compilers; says which steps were taken."""
    taken: list[str] = []

    def step(name: str, result: Any) -> Any:
        def take(*arguments: object, **named: object) -> Any:
            taken.append(name)
            return result() if callable(result) else result

        return take

    icu = io.BytesIO()
    with zipfile.ZipFile(icu, "w") as jar:
        jar.writestr("com/ibm/icu/A.class", b"com/ibm/icu/A")
    monkeypatch.setattr(build, "read_jdk", lambda: compilers.Jdk(home=Path("/jdk"), version="17"))
    monkeypatch.setattr(build, "fetch_dex_program", step("dx", b"dx"))
    jars = {"icu4j.jar": icu.getvalue(), "asm.jar": b"", "asm-tree.jar": b""}
    monkeypatch.setattr(build, "fetch_jars", step("jars", (jars, ["libasm-java=9"])))
    monkeypatch.setattr(build, "fetch_class_library", step("library", {}))
    monkeypatch.setattr(build, "port_sources", lambda *arguments: {})
    monkeypatch.setattr(build, "compile_core", step("core", Path("/classes")))
    monkeypatch.setattr(build, "desugar", step("desugar", Path("/plain")))
    monkeypatch.setattr(build, "make_dex", step("dex", b"dex"))
    files = lambda: ({name: name.encode() for name in LIBRARIES}, ["android-libart=14"])  # noqa: E731
    monkeypatch.setattr(build, "fetch_libraries", step("libraries", files))
    digest = hashlib.sha256(b"libart.so.0").hexdigest()
    same = Patch(before=digest, after=digest, places=())
    monkeypatch.setattr(build, "parse_patches", lambda text: {"arm64": same, "amd64": same})
    monkeypatch.setattr(build, "compile_java", step("java", Path("/workload")))
    monkeypatch.setattr(build, "compile_app", step("app", compilers.Natives(app=b"app", library=b"natives")))
    return taken


def test_it_is_built_once(steps: list[str], tmp_path: Path) -> None:
    config = Config(cache=tmp_path)
    told: list[str] = []
    first = build.build_runtime("arm64", config=config, progress=told.append)
    assert steps == ["dx", "jars", "library", "core", "desugar", "dex", "libraries", "java", "dex", "app"]
    assert first.packages == ("android-libart=14", "android-platform-libcore=10.0.0+r36-1", "libasm-java=9")
    assert hashlib.sha256(first.overlay.read_bytes()).hexdigest() == first.sha256
    assert told
    steps.clear()
    assert build.build_runtime("arm64", config=config) == first
    assert steps == []


def test_another_architecture_shares_the_class_library(steps: list[str], tmp_path: Path) -> None:
    config = Config(cache=tmp_path)
    build.build_runtime("arm64", config=config)
    steps.clear()
    build.build_runtime("amd64", config=config)
    assert steps == ["libraries", "java", "dex", "app"]


def test_a_damaged_overlay_is_built_again(steps: list[str], tmp_path: Path) -> None:
    config = Config(cache=tmp_path)
    runtime = build.build_runtime("arm64", config=config)
    runtime.overlay.write_bytes(b"damaged")
    steps.clear()
    assert build.build_runtime("arm64", config=config).overlay.read_bytes() != b"damaged"
    assert "libraries" in steps


def test_the_key_follows_the_sources(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;")
    first = build.measure_sources(tmp_path)
    (tmp_path / "a.c").write_text("int b;")
    second = build.measure_sources(tmp_path)
    (tmp_path / "a.c").rename(tmp_path / "b.c")
    third = build.measure_sources(tmp_path)
    (tmp_path / "room.py").write_text("# not a part of the runtime")
    assert len({first, second, third}) == 3
    assert build.measure_sources(tmp_path) == third


def test_only_the_runtimes_own_files_and_the_two_programs() -> None:
    nodes = build.list_nodes({"libart.so.0": b""}, b"app", {"core.jar": b"dex"})
    outside = {path for path in nodes if not path.startswith("system/art/")}
    assert outside == {"system/bin/app_process", "system/bin/dalvikvm"}


def test_no_runtime_for_another_architecture(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Android runtime for 'riscv64'; use arm64 or amd64"):
        build.build_runtime("riscv64", config=Config(cache=tmp_path))


def test_icu_gets_androids_name() -> None:
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as made:
        made.writestr("com/ibm/icu/text/A.class", b"Lcom/ibm/icu/text/A; com.ibm.icu.text.A")
        made.writestr("com/ibm/icu/data.res", b"data")
    with zipfile.ZipFile(io.BytesIO(build.rename_icu(jar.getvalue()))) as renamed:
        assert renamed.namelist() == ["android/icu/text/A.class"]
        assert renamed.read("android/icu/text/A.class") == b"Landroid/icu/text/A; android.icu.text.A"


def test_a_jar_depends_on_its_content_alone() -> None:
    def make(year: int) -> bytes:
        jar = io.BytesIO()
        with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as made:
            for name in ("classes.dex", "META-INF/MANIFEST.MF"):
                made.writestr(zipfile.ZipInfo(name, (year, 5, 6, 7, 8, 10)), name * 100)
        return jar.getvalue()

    assert make(2001) != make(2024)
    assert compilers.erase_times(make(2001)) == compilers.erase_times(make(2024))
    with zipfile.ZipFile(io.BytesIO(compilers.erase_times(make(2024)))) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.read("classes.dex") == b"classes.dex" * 100


def test_the_recipe_names_what_the_programs_are_linked_with() -> None:
    recipe = fetch.read_recipe()
    for arch, loader in recipe.loader.items():
        names = {
            Path(file.format(triplet="t", loader=loader)).name for files in recipe.libraries.values() for file in files
        }
        assert loader in names, arch
        ours = {"libnativebridge.so", "libicu_jni.so", "libjavacore.so", "libopenjdk.so"}
        assert set(compilers.LINKED) - ours <= names


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = fetch.read_recipe()
    newer = dict.fromkeys(recipe.libraries, "99")
    monkeypatch.setattr(Packages, "read_versions", lambda self, names: newer)
    with pytest.raises(MachineError, match=r"Debian has android-libart 99, and the suite can mend 14\S+ only"):
        fetch.fetch_libraries(recipe, "arm64", config=Config(cache=tmp_path))


def test_a_package_that_debian_no_longer_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = fetch.read_recipe()
    policy = "".join(f"{name}:\n  Candidate: {'(none)' if name == '7zip' else '1'}\n" for name in recipe.libraries)
    monkeypatch.setattr(Packages, "_refresh", lambda self: None)
    monkeypatch.setattr(Packages, "_run", lambda self, *words: policy)
    with pytest.raises(
        MachineError, match=r"package 7zip is not in trixie for arm64, and the runtime is made of it; check the Debian"
    ):
        fetch.fetch_libraries(recipe, "arm64", config=Config(cache=tmp_path))


def test_a_package_without_a_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = fetch.read_recipe()
    versions = {name: recipe.exact.get(name, "1") for name in recipe.libraries}
    monkeypatch.setattr(Packages, "read_versions", lambda self, names: versions)
    monkeypatch.setattr(Packages, "fetch", lambda self, specs, use: use([]))
    with pytest.raises(
        MachineError, match=r"package android-libart has no usr/lib/aarch64-linux-gnu/android/libsigchain"
    ):
        fetch.fetch_libraries(recipe, "arm64", config=Config(cache=tmp_path))


def test_sources_come_from_the_roots_only(tmp_path: Path) -> None:
    archive = tmp_path / "library.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("ojluni/src/main/java/a/A.java", "./luni/src/main/java/b/B.java", "luni/src/test/java/b/T.java",
                     "luni/src/main/java/b/package-info.java", "luni/src/main/native/b.cpp"):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    assert set(fetch.read_sources(archive)) == {"a/A.java", "b/B.java"}
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(MachineError, match="is not a complete archive"):
        fetch.read_sources(archive)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no programs but those in the folder that is returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(compilers, "JDKS", tmp_path / "jvm")
    return folder


def put_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_no_jdk(bare: Path) -> None:
    with pytest.raises(MachineError, match=r"needs a JDK of version 17 to 21; run: apt-get install .*\(here: none\)"):
        compilers.read_jdk()


def test_a_jdk_of_another_version_is_passed_over(bare: Path, tmp_path: Path) -> None:
    put_program(tmp_path / "jvm/old/bin/javac", "echo javac 11.0.2")
    with pytest.raises(MachineError, match=r"\(here: 11\.0\.2\)"):
        compilers.read_jdk()
    put_program(tmp_path / "jvm/new/bin/javac", "echo javac 17.0.1")
    (tmp_path / "jvm/new/include").mkdir()
    (tmp_path / "jvm/new/include/jni.h").touch()
    assert compilers.read_jdk() == compilers.Jdk(home=tmp_path / "jvm/new", version="17.0.1")


def test_no_maven(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="run: apt-get install maven"):
        fetch.fetch_dex_program(fetch.read_recipe(), config=Config(cache=tmp_path))


def test_maven_without_a_network_and_with_another_file(bare: Path, tmp_path: Path) -> None:
    put_program(bare / "mvn", "echo 'Unknown host' >&2; exit 1")
    with pytest.raises(MachineError, match="check the network"):
        fetch.fetch_dex_program(fetch.read_recipe(), config=Config(cache=tmp_path))
    put_program(bare / "mvn", 'for word; do case $word in -DoutputDirectory=*) folder=${word#*=};; esac; done\n'
                              'echo other > "$folder/dx.jar"')  # fmt: skip
    with pytest.raises(MachineError, match="is not the file that recipe"):
        fetch.fetch_dex_program(fetch.read_recipe(), config=Config(cache=tmp_path))


def test_what_a_compiler_says_is_passed_on(bare: Path, tmp_path: Path) -> None:
    put_program(tmp_path / "jvm/jdk/bin/javac", "echo 'A.java:1: error: here' >&2; exit 1")
    jdk = compilers.Jdk(home=tmp_path / "jvm/jdk", version="17")
    with pytest.raises(MachineError, match=r"could not compile Java sources \(javac ended with status 1\)") as failed:
        compilers.compile_java({"A.java": "class A"}, tmp_path / "out", jdk=jdk)
    assert "A.java:1: error: here" in failed.value.__notes__[0]


def test_a_disk_that_a_compiler_fills(bare: Path, tmp_path: Path) -> None:
    put_program(tmp_path / "jvm/jdk/bin/javac", "echo 'error: IOException: No space left on device' >&2; exit 3")
    jdk = compilers.Jdk(home=tmp_path / "jvm/jdk", version="17")
    with pytest.raises(
        MachineError, match=r"could not compile Java sources: the disk of the cache is full; free 700 MB"
    ):
        compilers.compile_java({"A.java": "class A"}, tmp_path / "out", jdk=jdk)


def test_a_disk_that_is_full_while_it_is_built(
    steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "make_dex", refuse)
    with pytest.raises(MachineError, match=r"cache disk full: .*; free \d+ MB"):
        build.build_runtime("arm64", config=Config(cache=tmp_path))


def test_no_compiler_of_c(bare: Path, tmp_path: Path) -> None:
    jdk = compilers.Jdk(home=tmp_path, version="17")
    with pytest.raises(MachineError, match="no C compiler for arm64"):
        compilers.compile_app("arm64", {}, tmp_path, tmp_path, tmp_path / "work", jdk=jdk)


def test_a_full_disk(steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(MachineError, match=r"cache disk full: .*; free \d+ MB"):
        build.build_runtime("arm64", config=Config(cache=tmp_path))


def test_the_guests_properties_leave_the_bench_its_own_heap() -> None:
    """ART reads them before its own values, so that one that is always set would be every run's heap."""
    source = (build.ROOM / "native/app/heap_options.c").read_text()
    read = set(re.findall(r'"(dalvik\.vm\.heap\w+)"', source))
    assert len(read) == 6
    assert not [
        line for line in (GUEST / "rootfs/system/build.prop").read_text().splitlines() if line.split("=")[0] in read
    ]
