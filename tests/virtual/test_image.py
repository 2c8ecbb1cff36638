from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard

from android_suite.errors import MachineError, UsageError
from android_suite.virtual.cache import Cache
from android_suite.virtual.cpio import file_node, render_cpio
from android_suite.virtual.image import compile_guest, hide_applets, measure_guest, read_initrd, read_overlay, read_tree
from android_suite.virtual.kernels import KernelImage


def test_initrd_is_base_modules_overlay_run(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    base = cache.write_entry("images", "k", {"base": render_cpio({"a": file_node(b"base"), "b": file_node(b"b")})}, {})
    (tmp_path / "net.ko").write_bytes(b"module")
    (tmp_path / "overlay.cpio").write_bytes(render_cpio({"a": file_node(b"overlay"), "c": file_node(b"c")}))
    kernel = KernelImage(
        name="k",
        release=None,
        arch="arm64",
        path=tmp_path,
        sha256="",
        modules=(tmp_path / "net.ko",),
        module_names=("net",),
    )
    initrd = read_initrd(
        base, kernel, overlays=[tmp_path / "overlay.cpio"], run_files={"/etc/run.sh": b"#!/bin/sh\n", "/c": b"run"}
    )
    (tmp_path / "root").mkdir()
    # Like the kernel, each archive in turn; cpio itself stops after the first.
    for start in [
        0,
        *(at for at in range(512, len(initrd), 512) if initrd[at - 512 : at].rstrip(b"\0").endswith(b"TRAILER!!!")),
    ]:
        subprocess.run(["cpio", "-idmu", "--quiet"], input=initrd[start:], cwd=tmp_path / "root", check=True)
    read = {
        path.relative_to(tmp_path / "root").as_posix(): path.read_bytes()
        for path in (tmp_path / "root").rglob("*")
        if path.is_file()
    }
    assert read == {
        "a": b"overlay",
        "b": b"b",
        "c": b"run",
        "etc/run.sh": b"#!/bin/sh\n",
        "lib/modules/net.ko": b"module",
        "lib/modules/order": b"net.ko\n",
    }
    assert (tmp_path / "root/etc/run.sh").stat().st_mode & 0o111


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_overlays_of_three_kinds(tmp_path: Path, pack: object) -> None:
    content = pack(render_cpio({"x": file_node(b"1")}))  # type: ignore[operator]
    (tmp_path / "o").write_bytes(content)
    assert read_overlay(tmp_path / "o") == content


def test_bad_overlays(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no overlay at"):
        read_overlay(tmp_path / "none")
    (tmp_path / "o").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match="is not an initramfs; make one with: find"):
        read_overlay(tmp_path / "o")


def test_digest_follows_sources(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.c").write_text("int main(void){return 0;}")
    first = measure_guest(tmp_path)
    (tmp_path / "src/a.c").write_text("int main(void){return 1;}")
    second = measure_guest(tmp_path)
    (tmp_path / "src/a.c").rename(tmp_path / "src/b.c")
    assert len({first, second, measure_guest(tmp_path)}) == 3


def test_programs_of_one_file_and_of_a_folder(tmp_path: Path) -> None:
    if not shutil.which("aarch64-linux-gnu-gcc"):
        pytest.skip("no cross compiler")
    sources = tmp_path / "src"
    (sources / "two").mkdir(parents=True)
    (sources / "include").mkdir()
    (sources / "include/value.h").write_text("#define VALUE 0\n")
    (sources / "one.c").write_text("int main(void) { return 0; }\n")
    (sources / "two/main.c").write_text(
        '#include "value.h"\nint other(void);\nint main(void) { return other() + VALUE; }\n'
    )
    (sources / "two/other.c").write_text("int other(void) { return 0; }\n")
    programs = compile_guest("arm64", sources, tmp_path)
    assert sorted(programs) == ["one", "two"]
    assert all(binary[:4] == b"\x7fELF" and binary[18] == 0xB7 for binary in programs.values())
    (sources / "one.c").write_text("int main(void) { return missing; }\n")
    with pytest.raises(MachineError, match=r"cannot build one\.c") as caught:
        compile_guest("arm64", sources, tmp_path)
    assert "missing" in caught.value.__notes__[0]


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=r"no C compiler for arm64 \(aarch64-linux-gnu-gcc\); run make setup"):
        compile_guest("arm64", tmp_path, tmp_path)


def test_scripts_and_programs_are_executable(tmp_path: Path) -> None:
    (tmp_path / "init").write_text("#!/bin/sh\n")
    (tmp_path / "data").write_text("text")
    (tmp_path / "link").symlink_to("init")
    nodes = read_tree(tmp_path)
    assert [oct(nodes[name].mode) for name in ("init", "data", "link")] == ["0o100755", "0o100644", "0o120777"]


def test_applets_are_hidden_in_the_table_of_names_alone() -> None:
    names = sorted(["sh", "printf", "ps", "pwd", "svc", "svok", *(f"a{number}" for number in range(100))])

    def program(table: list[str]) -> bytes:
        return b"\x7fELF usage: ps\0svc\0\xff" + "".join(f"{name}\0" for name in table).encode() + b"\xffps\0"

    hidden = hide_applets(program(names), ["svc", "ps", "am"])
    kept = [name for name in names if name not in ("svc", "ps")]
    table = hidden.split(b"\xff")[1].decode().split("\0")[:-1]
    assert table == sorted(table)  # it is searched so
    assert set(kept) < set(table)
    assert not {"svc", "ps"} & set(table)
    assert [len(name) for name in table] == [len(name) for name in names]
    assert hidden == program(table)
    with pytest.raises(MachineError, match="no table of applets"):
        hide_applets(b"\x7fELF" + b"sh\0" * 3, ["ps"])
    with pytest.raises(MachineError, match="ps cannot be hidden"):
        hide_applets(program(sorted([*names, "pt"])), ["ps"])
