from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from android_suite.errors import MachineError
from android_suite.virtual.cache import Cache, cache_dir


def test_env_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "c"))
    assert cache_dir() == tmp_path / "c"
    monkeypatch.delenv("ANDROID_SUITE_CACHE")
    assert cache_dir().name == "android-suite"


def test_entry_comes_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write_entry("kinds", "one", {"a": b"alpha", "b": b"beta"}, {"order": ["a"]})
    entry = cache.read_entry("kinds", "one")
    assert entry is not None
    assert {name: path.read_bytes() for name, path in entry.files.items()} == {"a": b"alpha", "b": b"beta"}
    assert entry.meta == {"order": ["a"]}
    assert cache.list_entries("kinds") == ["one"]
    assert cache.read_entry("kinds", "two") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_object_is_not_used(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    path = cache.write_entry("k", "e", {"a": b"alpha"}, {}).files["a"]
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(b"alphA" if damage == "flip" else b"al")
    assert cache.read_entry("k", "e") is None
    cache.write_entry("k", "e", {"a": b"alpha"}, {})
    assert cache.read_entry("k", "e") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3, "meta": {}}', "null", "\0"])
def test_damaged_entry_is_not_used(tmp_path: Path, text: str) -> None:
    cache = Cache(tmp_path)
    cache.write_entry("k", "e", {"a": b"alpha"}, {})
    (tmp_path / "entries/k/e.json").write_text(text)
    assert cache.read_entry("k", "e") is None


def test_full_disk_is_one_sentence(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from pathlib import Path; from android_suite.virtual.cache import Cache\n"
        "from android_suite.errors import MachineError\n"
        "try: Cache(Path(sys.argv[1])).write_object(b'x' * 5_000_000)\n"
        "except MachineError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        f"cache disk full: {tmp_path}; free 5 MB or set ANDROID_SUITE_CACHE to a folder on a larger disk"
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "half a file was left behind"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_by_any_name(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(MachineError, match=r"cache disk full: .*; free 2 MB or set"),
        Cache(tmp_path).writing(1_500_000),
    ):
        raise OSError(number, os.strerror(number))


def test_unwritable_cache_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write the cache"):
        Cache(tmp_path / "file" / "cache").write_object(b"x")


def test_lock_excludes_another_process(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    script = (
        "import sys; from pathlib import Path; from android_suite.virtual.cache import Cache\n"
        "with Cache(Path(sys.argv[1])).lock('n'): print('in', flush=True)\n"
    )
    with cache.lock("n"):
        other = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    assert other.communicate(timeout=20)[0] == b"in\n"


def test_many_writers_of_one_object(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    writers = [threading.Thread(target=cache.write_entry, args=("k", "e", {"a": b"x" * 100_000}, {})) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert cache.read_entry("k", "e") is not None
    assert len([path for path in (tmp_path / "objects").rglob("*") if path.is_file()]) == 1


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left, alive = tmp_path / "tmp/make-999999999-abc", tmp_path / f"tmp/make-{os.getpid()}-abc"
    for folder in (left, alive):
        folder.mkdir(parents=True)
        (folder / "half.deb").write_bytes(b"x")
    (tmp_path / "tmp/make-999999999-file").write_bytes(b"half an object")
    with Cache(tmp_path).scratch() as scratch:
        assert sorted((tmp_path / "tmp").iterdir()) == sorted([alive, Path(scratch)])
