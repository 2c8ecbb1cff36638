"""Which parameters of an app's stress mean something where: on the model, on a real runtime, on a phone. Heaps of phones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from android_suite.errors import UsageError
from android_suite.model.plan import Runtime
from android_suite.workload.workload import Parameters

RUNTIME_FILE: Final = "/system/bin/dalvikvm"  # a virtual device has it if a real runtime was added to it

# Parameter -> what it chooses. The Java class that allocates has them, on a phone and on a real runtime.
_OF_JAVA: Final = ("threads", "rate", "sizes")
# Amounts of the model's collector, and calls that it makes on purpose.
_OF_MODEL: Final = (
    "gc_trigger_bytes", "gc_calls", "gc_copy_bytes", "gc_continuous", "gc_hold_pct", "planted", "planted_per_cycle", "gc_uffd",
    "alloc_spin",
)  # fmt: skip
_UFFD: Final = "gc_uffd"
# What ART needs beside twice its heap, which it has while it copies: kernel, libraries, recorder.
_REST_MB: Final = 128


def _heap(start: str, limit: str, size: str, utilization: str, min_free: str, max_free: str) -> Mapping[str, str]:
    names = ("startsize", "growthlimit", "size", "targetutilization", "minfree", "maxfree")
    values = (start, limit, size, utilization, min_free, max_free)
    return {f"dalvik.vm.heap{name}": value for name, value in zip(names, values, strict=True)}


# Properties of phones of 4 to 16 GB: build/phone-xhdpi-N-dalvik-heap.mk of frameworks/native, of AOSP for 4096 and 6144,
# of LineageOS (which took them from halogenOS) for 8192, 12288 and 16384; AOSP has no such files.
HEAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "phone-4g": _heap("8m", "192m", "512m", "0.6", "8m", "16m"),
    "phone-6g": _heap("16m", "256m", "512m", "0.5", "8m", "32m"),
    "phone-8g": _heap("24m", "256m", "512m", "0.46", "8m", "48m"),
    "phone-12g": _heap("24m", "384m", "512m", "0.42", "8m", "56m"),
    "phone-16g": _heap("32m", "448m", "640m", "0.4", "16m", "64m"),
}


def check_heap(name: str) -> None:
    """Checks the name of a heap; empty is the bench's own.

    Raises:
        UsageError: there is no heap of that name.
    """
    if name and name not in HEAPS:
        raise UsageError(f"there is no heap {name!r}; choose one of {', '.join(HEAPS)}.")


def check_runtime(
    parameters: Parameters,
    *,
    runtime: Runtime | None,
    defaults: Parameters,
    attached: bool = False,
    memory_mb: int | None = None,
) -> None:
    """Refuses parameters that would do nothing.

    Args:
        parameters: all parameters of a scenario.
        runtime: the real runtime that is asked for; None for the model or an attached device.
        defaults: those of the scenario; what Java has by default means no harm on the model.
        attached: for a device that is attached: a phone, or a virtual one that runs already.
        memory_mb: of the virtual device, in MB; None if it is not known.

    Raises:
        UsageError: a parameter means nothing there, or the heap does not fit.
    """
    given = [name for name, value in parameters.items() if value not in ("", -1)]
    asked = [name for name in given if parameters[name] != defaults.get(name)]
    if runtime is None:
        if not attached and (mine := [name for name in _OF_JAVA if name in asked]):
            raise UsageError(
                f"{mine[0]} is of the Java class that allocates, which the model does not have; add --runtime art "
                '(in a plan runtime = "art").'
            )
        if not attached and parameters.get("heap"):
            raise UsageError('heap is a setting of a real runtime; add --runtime art (in a plan runtime = "art").')
        return
    if defaults.get(_UFFD) == 1 == parameters.get(_UFFD):
        raise UsageError(
            "this scenario arms the model's heap with userfaultfd; ART's own collector does that by itself: record gc_stress "
            "with --set collector=cmc, or record this scenario without --runtime art."
        )
    if theirs := [name for name in _OF_MODEL if name in given]:
        raise UsageError(
            f"{theirs[0]} is of the model's collector, and ART has its own; choose threads, rate, sizes and heap, or "
            "record without --runtime art."
        )
    if memory_mb is not None and (heap := str(parameters.get("heap", ""))):
        need_mb = 2 * int(HEAPS[heap]["dalvik.vm.heapgrowthlimit"].removesuffix("m")) + _REST_MB
        if need_mb > memory_mb:
            raise UsageError(
                f"heap {heap} may need {need_mb} MB while it is copied, and the virtual device has {memory_mb} MB; "
                "choose a smaller heap, or set memory_mb in [virtual] of suite.toml."
            )
