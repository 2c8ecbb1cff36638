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
from android_suite.virtual.cache import Cache


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
    assert other.communicate(timeout=300)[0] == b"in\n"


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


def make_images(cache: Cache, ages_s: dict[str, float]) -> None:
    for key, age in ages_s.items():
        cache.write_entry("images", key, {"base": key.encode(), "shared": b"of all"}, {})
        path = cache.root / "entries/images" / f"{key}.json"
        os.utime(path, (path.stat().st_mtime - age,) * 2)


def test_what_was_used_last_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    make_images(cache, {"arm64-a": 5000, "arm64-b": 4000, "arm64-c": 3000, "arm64-d": 50, "amd64-e": 9000})
    cache.write_entry("kernels", "k", {"vmlinuz": b"arm64-b"}, {})  # the same content under another name
    cache.mark_used("images", "arm64-a")
    assert cache.prune("images", "arm64-", keep=1, unused_s=100) == ["arm64-c", "arm64-b"]
    assert cache.list_entries("images") == ["amd64-e", "arm64-a", "arm64-d"]
    for key in ("amd64-e", "arm64-a", "arm64-d"):
        assert cache.read_entry("images", key) is not None
    assert cache.read_entry("kernels", "k") is not None
    left = {path.read_bytes() for path in tmp_path.glob("objects/*/*")}
    assert left == {b"arm64-a", b"arm64-b", b"arm64-d", b"amd64-e", b"of all"}
    assert cache.prune("images", "arm64-", keep=1, unused_s=100) == []


def test_a_damaged_entry_is_no_obstacle(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    make_images(cache, {"arm64-a": 5000, "arm64-b": 4000})
    (tmp_path / "entries/images/arm64-a.json").write_text("[]")
    os.utime(tmp_path / "entries/images/arm64-a.json", (0, 0))
    assert cache.prune("images", "arm64-", keep=0, unused_s=100) == ["arm64-b", "arm64-a"]


def test_many_makers_prune_and_none_misses_what_it_uses(tmp_path: Path) -> None:
    """Processes that build images and use them at once, while old ones lie about, of which some are used again."""
    make_images(Cache(tmp_path), {f"arm64-{n}": 5000 + n for n in range(30)})
    script = (
        "import sys; from pathlib import Path; from android_suite.virtual.cache import Cache\n"
        "cache, me = Cache(Path(sys.argv[1])), int(sys.argv[2])\n"
        "for key in [f'arm64-{n}' for n in range(24 + me, 60)]:\n"
        "    with cache.lock('image-arm64'):\n"
        "        entry = cache.read_entry('images', key)\n"
        "        if entry:\n"
        "            cache.mark_used('images', key)\n"
        "        else:\n"
        "            entry = cache.write_entry('images', key, {'base': key.encode()}, {})\n"
        "            cache.prune('images', 'arm64-', keep=2, unused_s=600)\n"
        "    assert entry.files['base'].read_bytes() == key.encode()\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(n)]) for n in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    left = Cache(tmp_path).list_entries("images")
    assert {f"arm64-{n}" for n in range(30, 60)} <= set(left) <= {f"arm64-{n}" for n in range(24, 60)}
