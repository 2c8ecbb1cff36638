"""A survey of three kernels with known numbers: an old one, one that did not boot, a new one."""

from __future__ import annotations

from android_suite.model.survey import COLUMNS, Survey, SurveyRow, SurveyValue
from android_suite.survey.rows import find_steps

OLD: dict[str, float | None] = {
    "madviseMmapLock": 5000, "madvisePerVma": 0, "madviseUnknown": 0, "mmapLockWait": 55.5, "inverted": 44.25,
    "invertedByMadvise": 43.0, "vmaLockWait": None, "vmaStressMmapLockWait": 254.0, "lateFrames": 2.0,
    "frameOverrun": -2.6, "coldLaunch": 85.0, "warmLaunch": 40.0, "faults": 30_000, "faultsOnMmapLock": 20_000,
    "behindReaderMmapLock": 30.0, "behindReaderVmaLock": 0.0, "readMaps": 1.2, "readSmaps": 4.2,
}  # fmt: skip
NEW: dict[str, float | None] = {
    **OLD, "madviseMmapLock": 0, "madvisePerVma": 5300, "mmapLockWait": 1.2, "inverted": 0.0, "invertedByMadvise": 0.0,
    "vmaLockWait": 20.5, "vmaStressMmapLockWait": 1.2, "faultsOnMmapLock": 300, "behindReaderMmapLock": 12.0,
    "behindReaderVmaLock": 3.0,
}  # fmt: skip


def made_row(name: str, values: dict[str, float | None]) -> SurveyRow:
    return SurveyRow(
        name=name,
        release=f"{name}-cloud-arm64",
        boots=4,
        planned=4,
        mmap_lock_events=True,
        contention_events=True,
        page_fault_events=False,
        vma_probe=name != "6.1.0-50",
        values={
            key: SurveyValue(value=None, reason="no function of that name can be probed")
            if value is None
            else SurveyValue(value=value, low=value, high=value, quality="exact")
            for key, value in values.items()
        },
    )


def made_survey(*rows: SurveyRow) -> Survey:
    rows = rows or (
        made_row("6.1.0-50", OLD),
        SurveyRow(name="7.0.13", planned=4, notes=("gc_stress, seed 1: kernel 7.0.13 did not boot within 120 s",)),
        made_row("7.3.4", NEW),
    )
    return Survey(
        arch="arm64",
        seeds=(1,),
        scenarios={"gc_stress": {"duration_ms": 1000}, "vma_stress": {}, "proc_reader": {}, "app_launch": {}},
        app="the app is the model's",
        rows=rows,
        steps=find_steps(rows),
    )


assert set(OLD) == {column.key for column in COLUMNS}
