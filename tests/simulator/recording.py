"""What is recorded of the worlds of a batch, and the form of the file it is in; all drawn from the batch's number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from android_suite.tables import events
from tests.simulator.layout import Row

FORMATS = ("raw", "trace_dat_6", "text", "perfetto", "trace_dat_7")
_TEXTS = ("kernel", "tgids", "nanoseconds", "plain", "trace_cmd", "trace_cmd_raw")
_READ = events.SYSCALLS.index("read")  # recorded by raw_syscalls only


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One way to record.

    Attributes:
        format: of FORMATS.
        all_calls: raw_syscalls; else entry and exit of each call that takes mmap_lock of its own mm.
        faults: page_fault_user is on.
        maps: snapshots of the processes' mappings are there.
        loss: how lost events are told, see ``tells_ends`` and docs/simulator.md.
        big_endian, page_bytes, memcg_path, old_states, success: of the ring buffer's pages and event formats.
        layout: of text.
        compact, described: of Perfetto: sched events in columns; unknown events described instead of named.
        packed: what the file is packed with.
    """

    format: str
    all_calls: bool
    faults: bool = False
    maps: bool = False
    loss: str = "marks"
    big_endian: bool = False
    page_bytes: int = 4096
    memcg_path: bool = False
    old_states: bool = False
    success: bool = False
    layout: str = "nanoseconds"
    compact: bool = True
    described: bool = False
    packed: str = ""

    @property
    def tells_tgids(self) -> bool:
        """Whether the file has the processes of threads."""
        return self.format in ("tables", "raw", "perfetto") or (self.format == "text" and self.layout == "tgids")

    @property
    def tells_enabled(self) -> bool:
        """Whether the file says what was switched on."""
        return self.format in ("tables", "raw", "perfetto")

    @property
    def tells_ends(self) -> bool:
        """Whether the file can say that the last events of a CPU are lost, after which nothing follows that could."""
        return self.format in ("tables", "raw", "trace_dat_6", "trace_dat_7") or self.loss == "counters"

    def sees_every_call(self, rows: Sequence[Row]) -> bool:
        """Whether a lock outside all recorded calls is known to be taken outside any call."""
        # Only raw_syscalls without a filter record this call here; that they were on does not tell of a filter.
        return self.all_calls and any(table == "syscall" and values[2] == _READ for _, _, table, values in rows)


def draw_recording(number: int) -> Recording:
    """The form of a batch: formats in turn, everything else at random."""
    rng = random.Random(f"form {number}")
    form = FORMATS[number % len(FORMATS)]
    losses = {"text": ("marks", "heads"), "perfetto": ("marks", "heads", "late", "counters", "packets")}
    packs = {
        "text": ("", "", "gzip", "atrace", "html"), "perfetto": ("", "deflate", "zstd"), "trace_dat_7": ("none", "zlib", "zstd"),
    }  # fmt: skip
    layout = _TEXTS[number // len(FORMATS) % len(_TEXTS)]
    if layout.startswith("trace_cmd"):
        losses["text"] = ("marks",)  # its reports have no entries line
    return Recording(
        format=form,
        all_calls=rng.random() < 0.5,
        faults=rng.random() < 0.5,
        maps=rng.random() < 0.25,
        loss=rng.choice(losses.get(form, ("marks", "uncounted", "counters", "heads"))),
        big_endian=rng.random() < 0.5,
        page_bytes=rng.choice((4096, 65536)),
        memcg_path=rng.random() < 0.5,
        old_states=form != "perfetto" and rng.random() < 0.5,
        success=rng.random() < 0.5,
        layout=layout,
        compact=rng.random() < 0.7,
        described=rng.random() < 0.5,
        packed=rng.choice(packs.get(form, ("",))),
    )


def keep_recorded(rows: Sequence[Row], recording: Recording) -> list[Row]:
    """Leaves out the events that are not switched on."""
    return [
        row
        for row in rows
        if (recording.faults or row[2] != "page_fault")
        and (recording.all_calls or row[2] != "syscall" or row[3][2] != _READ)
    ]


def operation_as_recorded(operation: str, recording: Recording, *, every_call: bool) -> str:
    """What can be known of an operation by this recording."""
    if operation == "read" and not recording.all_calls:
        return "untraced"
    if operation == "fault" and not (recording.faults or every_call):
        return "untraced"
    return operation
