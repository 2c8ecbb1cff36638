from pathlib import Path

import pytest

from android_suite.errors import EvidenceError
from android_suite.evidence.lock_stat import parse_lock_stat
from android_suite.tables.evidence import LOCK_MODES, POINT_KINDS


def test_documentation_sample(shared_data: Path) -> None:
    stat = parse_lock_stat((shared_data / "lock_stat/kernel_lockstat.rst").read_text())
    assert stat.version == "0.4"
    write, read = stat.classes.iloc[0], stat.classes.iloc[1]
    assert (write["lock"], LOCK_MODES[write["mode"]]) == ("&mm->mmap_sem", "write")
    assert (write["con_bounces"], write["contentions"], write["wait_total_ns"]) == (46, 84, 16371530)
    assert (LOCK_MODES[read["mode"]], read["contentions"], read["wait_max_ns"]) == ("read", 100, 299502610)
    sites = stat.points[stat.points["lock"] == "&mm->mmap_sem"]
    assert [POINT_KINDS[k] for k in sites["kind"]] == ["waiter"] * 4 + ["holder"] * 4
    assert sites["site"].iloc[4] == "dup_mmap+0x2a/0x3f0"


def test_version_0_3(shared_data: Path) -> None:
    stat = parse_lock_stat((shared_data / "lock_stat/lkml_20081206_clamd_v0.3_unwrapped.txt").read_text())
    row = stat.classes.iloc[0]
    assert stat.version == "0.3"
    assert (row["contentions"], row["wait_total_ns"], row["acquisitions"]) == (533541, 454843342630, 588486)


def test_own_capture_has_the_lock_twice(shared_data: Path) -> None:
    stat = parse_lock_stat((shared_data / "own_capture/lock_stat-mmap-lock.txt").read_text())
    mm = stat.classes[stat.classes["lock"] == "&mm->mmap_lock"].set_index("mode")
    assert mm.loc[LOCK_MODES.index("write"), "hold_total_ns"] == 341723780
    assert mm.loc[LOCK_MODES.index("read"), "acquisitions"] == 16653


def test_class_names_with_colons_and_spaces() -> None:
    numbers = "1 2 0.50 1.00 3.25 1.10 4 5 0.10 2.00 9.99 0.30"
    stat = parse_lock_stat(f"lock_stat version 0.4\n  (a)(&b: c)->d/1-R: {numbers}\n")
    assert stat.classes["lock"].tolist() == ["(a)(&b: c)->d/1"]
    assert stat.classes["wait_min_ns"].tolist() == [500]


@pytest.mark.parametrize("text", ["", "nothing", "lock_stat version 0.9\n"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError):
        parse_lock_stat(text)


def test_after_a_lockdep_splat_nothing_is_to_be_trusted(shared_root: Path) -> None:
    text = (shared_root / "cases/device/08-lock_stat-disabled.txt").read_text()
    stat = parse_lock_stat(text)
    assert "lock debugging is disabled" in stat.fault
    assert stat.points[["lock", "contentions", "site"]].values.tolist() == [
        ["&mm->mmap_lock", 9, "vm_mmap_pgoff+0x8c/0x1c0"]
    ]
    assert not parse_lock_stat(text.replace("*WARNING* lock debugging disabled!!", "")).fault


@pytest.mark.parametrize("address", ["00000000a1b2c3d4", "ffffffff81234567", "(____ptrval____)", "(ptrval)", "(null)"])
def test_points_at_every_kind_of_address(address: str) -> None:
    text = f"lock_stat version 0.4\n  &rq->lock   3   [<{address}>] task_rq_lock+0x4/0x20\n"
    assert parse_lock_stat(text).points["site"].tolist() == ["task_rq_lock+0x4/0x20"]
