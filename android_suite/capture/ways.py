"""Which way the kernel's events of a recording come: from tracefs, from the device's Perfetto, or both."""

from __future__ import annotations

from typing import Final, Literal

from android_suite.capture.perfetto_client import has_perfetto
from android_suite.capture.source import Capture
from android_suite.capture.trace_files import TracefsFacts, read_tracefs_facts
from android_suite.device.device import Device
from android_suite.errors import Unsupported

Asked = Capture | Literal["auto"]
WAYS: Final[tuple[Asked, ...]] = ("auto", "tracefs", "perfetto", "both")


def choose_way(device: Device, asked: Asked) -> tuple[Capture, TracefsFacts | None]:
    """The way, and the facts about tracefs if the shell can read them.

    ``auto`` takes tracefs wherever the shell may set it up and drain it, because only those pages have every event with
    all its fields and every loss; elsewhere it takes Perfetto, which needs no root.

    Raises:
        Unsupported: the device cannot record the way that was asked for, or in no way.
    """
    if asked in ("tracefs", "both"):
        return asked, read_tracefs_facts(device)
    try:
        facts = read_tracefs_facts(device)
    except Unsupported as error:
        if asked == "perfetto" or has_perfetto(device):
            return "perfetto", None
        raise Unsupported(f"{error} It has no command perfetto either, which records without root.") from error
    if asked == "perfetto":
        return "perfetto", facts
    if may_drain(device, facts) or not has_perfetto(device):
        return "tracefs", facts
    return "perfetto", facts


def may_drain(device: Device, facts: TracefsFacts) -> bool:
    """Whether the shell may change the top-level buffer and read its pages; Android's shell may read some files only."""
    tests = " && ".join(
        f"[ -{letter} {facts.tracefs}/{name} ]"
        for letter, name in (("r", "per_cpu/cpu0/trace_pipe_raw"), ("w", "set_event"), ("w", "trace"))
    )
    return device.transport.run(tests).status == 0
