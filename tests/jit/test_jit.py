"""Machine code: never that of other sources, never that of other types, and without importing numba."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, cast

import numpy as np
import pytest

from android_suite.jit import store
from android_suite.jit.decorate import compiled
from android_suite.jit.fingerprint import describe_loop, describe_type
from android_suite.jit.loop import Loop
from android_suite.jit.store import find_code

FACTOR = 3
TABLE = np.arange(4)
ROW = np.dtype([("a", np.int64), ("b", np.int8)], align=True)


class Pair(NamedTuple):
    left: Any
    right: Any


@compiled("numpy")
def times(value: int) -> int:
    return value * FACTOR


@compiled("numpy")
def sum_times(values: Any) -> int:
    total = 0
    for i in range(values.size):
        total += times(values[i]) + TABLE[i & 3]
    return total


@compiled("numpy")
def reversed_(values: Any) -> Any:
    out = np.empty_like(values)
    for i in range(values.size):
        out[i] = values[values.size - 1 - i]
    return out, values.size


@compiled("numpy")
def sum_pair(pair: Pair) -> int:
    return int(pair.left[0] + pair.right[0]["a"])


@compiled("numpy", part=True)
def add_pair(pair: Pair, i: int, total: Any) -> int:
    if pair.left[i] > 0:
        total[0] += pair.left[i]
        return int(pair.right[i]["b"])
    return 0


@compiled("numpy")
def sum_pairs(pair: Pair) -> Any:
    total = np.zeros(2, np.int64)
    for i in range(pair.left.size):
        total[1] += add_pair(pair, i, total)
    return total


@compiled("numpy", part=True)
def make_array(size: int) -> int:
    return int(np.empty(size).size)


@compiled("numpy", part=True)
def cut(values: Any) -> Any:
    return values[1:]


@compiled("numpy")
def call_make_array(size: int) -> int:
    return make_array(size)


@compiled("numpy")
def call_cut(values: Any) -> int:
    return int(cut(values).size)


@compiled("python")
def divide(a: int, b: int) -> int:
    return a // b


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "loops"
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(folder))
    store.folder.cache_clear()
    yield folder
    store.folder.cache_clear()


def copy_of(loop: Any, **changed: Any) -> Loop:
    """The loop with other values for some of its globals."""
    old = cast(FunctionType, loop.function)
    return Loop(FunctionType(old.__code__, {**old.__globals__, **changed}, old.__name__), loop.error_model, find_code)


def test_results_are_those_of_python() -> None:
    values = np.array([5, 6, 7, 8, 9])
    assert sum_times(values) == sum(v * 3 + TABLE[i & 3] for i, v in enumerate(values))
    out, size = reversed_(values)
    assert (out.tolist(), size) == ([9, 8, 7, 6, 5], 5)
    rows = np.zeros(2, ROW)
    rows["a"] = 40
    assert sum_pair(Pair(np.array([2]), rows)) == 42


def test_arrays_that_are_returned_own_their_memory() -> None:
    kept = [reversed_(np.full(1000, n))[0] for n in range(200)]
    assert all((each == n).all() for n, each in enumerate(kept))


def test_parts_count_no_references() -> None:
    rows = np.zeros(3, ROW)
    rows["b"] = 7
    pair = Pair(np.array([2, -1, 3]), rows)
    before = [sys.getrefcount(array) for array in pair]
    assert [sum_pairs(pair).tolist() for _ in range(3)] == [[5, 14]] * 3
    assert [sys.getrefcount(array) for array in pair] == before


def test_a_part_that_needs_references_is_refused() -> None:
    with pytest.raises(TypeError, match="add_pair is a part of compiled loops"):
        add_pair(Pair(np.zeros(1), np.zeros(1, ROW)), 0, np.zeros(1))
    with pytest.raises(Exception, match="empty"):
        call_make_array(3)
    with pytest.raises(Exception, match="Only accept returning of array passed into the function as argument"):
        call_cut(np.zeros(3))


def test_code_is_chosen_by_types() -> None:
    def returned(values: Any) -> np.dtype[Any]:
        return reversed_(values)[0].dtype

    assert returned(np.arange(3, dtype=np.int8)) == np.int8
    assert returned(np.arange(3, dtype=np.uint32)) == np.uint32
    assert returned(np.arange(9, dtype=np.float64)[::2]) == np.float64  # not contiguous
    assert reversed_(np.arange(9)[::4])[0].tolist() == [8, 4, 0]


def test_errors_come_through() -> None:
    assert divide(7, 2) == 3
    with pytest.raises(ZeroDivisionError):
        divide(7, 0)
    with pytest.raises(OverflowError):
        divide(1 << 70, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"TABLE": np.arange(4) + 1},
        {"TABLE": np.arange(4, dtype=np.int32)},
        {"times": copy_of(times, FACTOR=4)},  # what a loop calls is part of it
        {"times": Loop(times.function, "python", find_code)},
        {"times": Loop(times.function, "numpy", find_code, part=True)},
    ],
)
def test_whatever_the_code_depends_on_changes_its_name(changed: dict[str, Any]) -> None:
    assert describe_loop(copy_of(sum_times)) == describe_loop(sum_times)
    assert describe_loop(copy_of(sum_times, **changed)) != describe_loop(sum_times)


def test_changed_sources_are_compiled_anew(own_store: Path) -> None:
    values = np.array([1, 1, 1, 1])
    assert copy_of(sum_times)(values) == 12 + 6
    assert copy_of(sum_times, times=copy_of(times, FACTOR=5))(values) == 20 + 6
    assert len(list(own_store.iterdir())) == 2
    assert copy_of(sum_times)(values) == 12 + 6
    assert len(list(own_store.iterdir())) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros((2, 2)), np.zeros((2, 2), order="F")),
        (np.zeros(2), np.zeros(4)[::2]),
        (np.zeros(2), np.broadcast_to(np.zeros(2), 2)),  # read-only
        (np.zeros(2, ROW), np.zeros(2, np.dtype([("a", np.int64), ("b", np.int8)]))),
        (np.zeros(2, ROW), np.zeros(2, np.dtype([("a", np.int64), ("c", np.int8)], align=True))),
        (np.zeros(2, np.int64), np.zeros(2, np.dtype(">i8"))),
        (Pair(1, 2), (1, 2)),
        (Pair(1, 2), Pair(1, 2.0)),
        (1, True),
        (1, 1.0),
        (1, None),
    ],
)
def test_types_that_differ_have_different_names(one: Any, other: Any) -> None:
    assert describe_type(one) != describe_type(other)


def test_a_loop_that_uses_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(TypeError, match=r"uses times, a function: a compiled loop may use other loops"):
        describe_loop(copy_of(sum_times, times=lambda value: value))
    with pytest.raises(TypeError, match=r"uses TABLE, a dict"):
        describe_loop(copy_of(sum_times, TABLE={}))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:40], lambda b: b"", lambda b: b[:-9] + bytes(9)])
def test_a_damaged_file_is_made_again(own_store: Path, damage: Callable[[bytes], bytes]) -> None:
    assert copy_of(times)(2) == 6
    (file,) = own_store.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert copy_of(times)(2) == 6
    content = file.read_bytes()  # its length may differ: names inside it are counted up in a process
    assert hashlib.sha256(content[32:]).digest() == content[:32]


def test_without_a_place_for_it_code_is_compiled_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path / "file" / "loops"))
    store.folder.cache_clear()
    assert store.folder() is None
    assert copy_of(times)(2) == 6


def test_code_of_former_sources_does_not_pile_up(own_store: Path) -> None:
    copy_of(times)(2)
    (file,) = own_store.iterdir()
    for n in range(40):
        old = file.with_name(f"{file.name.rpartition('-')[0]}-{n}")
        old.write_bytes(b"old")
        os.utime(old, (n, n))
    copy_of(times, FACTOR=7)(2)
    names = {f.name for f in own_store.iterdir()}
    assert len(names) == store._MOST_FILES
    assert file.name in names


_CHILD = """
import sys
import numpy as np
import tests.jit.test_jit as t
values = np.array([5, 6, 7, 8, 9])
assert t.sum_times(values) == 3 * 35 + 6, t.sum_times(values)
assert t.reversed_(values)[0].tolist() == [9, 8, 7, 6, 5]
print("numba" in sys.modules)
try:
    t.divide(1, 0)
except ZeroDivisionError:
    print("refused")
import numba  # still whole after its extensions were loaded without it
assert numba.njit(lambda a: a + 1)(1) == 2
"""


def test_a_second_process_needs_no_numba(own_store: Path, project_root: Path) -> None:
    environment = {**os.environ, store.FOLDER_VARIABLE: str(own_store)}
    said = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", _CHILD], cwd=project_root, env=environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.split())
    assert said == [["True", "refused"], ["False", "refused"]]


def test_settings_of_numba_are_part_of_the_name(own_store: Path, project_root: Path) -> None:
    code = "import numpy as np, tests.jit.test_jit as t; print(t.sum_times(np.arange(3)))"
    for extra in ({}, {"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_OPT": "1"}):
        environment = {**os.environ, store.FOLDER_VARIABLE: str(own_store), **extra}
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=project_root, env=environment, capture_output=True, text=True, check=True
        )  # fmt: skip
        assert run.stdout.split() == ["12"]
    assert len(list(own_store.iterdir())) == 3


def test_numba_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    function = cast(Any, times).function
    assert compiled("numpy")(function) is function
