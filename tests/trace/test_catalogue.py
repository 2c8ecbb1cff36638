"""The catalogue against what it is about: the declared tables, Perfetto's messages and the kernel's own names."""

from __future__ import annotations

import numpy as np
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.tables import events
from android_suite.trace.catalogue import ARGUMENTS, EVENTS, RUNNING, Event, named_syscall
from android_suite.trace.perfetto.numbers import has_field, message_of_event, number_of, numbers_of

HEAD = {"seq", "ts_ns", "cpu", "tid"}
# Perfetto writes these as generic events; every other event of the catalogue has a message of its own.
GENERIC = {"mmap_lock", "lock", "exceptions", "kprobes"}
every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.name)


@every_event
def test_columns_are_those_of_the_table(event: Event) -> None:
    dtypes = event.table.dtypes
    assert event.columns.keys() | event.constants.keys() <= dtypes.keys() - HEAD
    assert not event.columns.keys() & event.constants.keys()
    for prefix in event.arrays.values():
        assert f"{prefix}0" in dtypes
    assert {column for column, _ in event.names} <= event.columns.keys()
    for name, number in event.constants.items():
        assert np.array(number).astype(dtypes[name]) == number


@every_event
def test_perfetto_has_every_field_under_the_kernel_name(event: Event) -> None:
    message = message_of_event(event.bare_name)
    assert (message is None) == (event.name.partition(":")[0] in GENERIC)
    if message is not None:
        fields = [place.kernel[0] for place in (*event.columns.values(), *(comm for _, comm in event.names))]
        assert [f for f in (*fields, *event.arrays) if not has_field(message, f)] == []


def test_no_event_is_described_twice() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    kinds = [(event.table.name, event.kind) for event in EVENTS if "kind" in event.table.dtypes]
    assert len(set(kinds)) == len(kinds)
    written = {event.table.name for event in EVENTS}
    assert written <= {table.name for table in events.EVENT_TABLES} - {
        "frame_timeline",
        "threads",
        "thread_moves",
        "thread_lists",
        "lost",
    }


def test_only_renames_fall_back_to_the_thread_that_runs() -> None:
    assert [event.name for event in EVENTS for p in event.columns.values() if RUNNING in p.kernel] == [
        "task:task_rename"
    ]


def test_arguments_are_of_calls_that_are_named() -> None:
    assert ARGUMENTS.keys() <= set(events.SYSCALLS)
    entered, left = named_syscall("sys_enter_madvise"), named_syscall("sys_exit_madvise")
    assert entered is not None
    assert left is not None
    assert [entered.columns[f"arg{i}"].kernel for i in range(3)] == [("start",), ("len_in",), ("behavior",)]
    assert left.columns["ret"].kernel == ("ret",)
    assert named_syscall("syscall_enter") is None


def test_numbers_are_those_of_the_perfetto_package() -> None:
    packet = protos.TracePacket.DESCRIPTOR.fields_by_name
    assert number_of("TracePacket", "ftrace_events") == packet["ftrace_events"].number == 1
    assert number_of("FtraceEventBundle.CompactSched", "intern_table") == 5
    assert numbers_of("FieldDescriptorProto", "name", "number") == (1, 3)
    assert number_of("TracePacket", "frame_timeline_event") == 76
    assert "frame_timeline_event" not in packet  # an extension: then its number must be told in numbers.py
    with pytest.raises(KeyError):
        number_of("TracePacket", "no_such_field")
