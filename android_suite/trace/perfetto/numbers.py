"""Finds field numbers of Perfetto's messages by name, from the descriptors of the perfetto package."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import DESCRIPTOR as _DESCRIPTORS
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

# An extension of TracePacket for which the package has no class. Field numbers are ABI and never change.
_FRAME_TIMELINE = {
    "TracePacket": {"frame_timeline_event": 76},
    "FrameTimelineEvent": {
        "expected_display_frame_start": 1, "actual_display_frame_start": 2, "expected_surface_frame_start": 3,
        "actual_surface_frame_start": 4, "frame_end": 5,
    },
    "FrameTimelineEvent.SurfaceFrame": {
        "cookie": 1, "token": 2, "display_frame_token": 3, "pid": 4, "layer_name": 5, "present_type": 6,
        "on_time_finish": 7, "gpu_composition": 8, "jank_type": 9, "prediction_type": 10, "jank_severity_type": 12,
    },
    "FrameTimelineEvent.DisplayFrame": {
        "cookie": 1, "token": 2, "pid": 3, "present_type": 4, "on_time_finish": 5, "gpu_composition": 6, "jank_type": 7,
        "prediction_type": 8, "jank_severity_type": 9,
    },
    "FrameTimelineEvent.FrameEnd": {"cookie": 1},
}  # fmt: skip


def number_of(message: str, field: str) -> int:
    """The number of a field; nested messages are named ``Outer.Inner``.

    Raises:
        KeyError: the perfetto package has no such message or field.
    """
    own = _FRAME_TIMELINE.get(message, {}).get(field)
    return own if own is not None else int(_descriptor(message).fields_by_name[field].number)


def numbers_of(message: str, *fields: str) -> tuple[int, ...]:
    """The numbers of several fields of one message."""
    return tuple(number_of(message, field) for field in fields)


def message_of_event(name: str) -> str | None:
    """The message that holds the fields of a kernel event; None for one that Perfetto writes as a generic event."""
    field = protos.FtraceEvent.DESCRIPTOR.fields_by_name.get(name)
    return None if field is None or field.message_type is None else str(field.message_type.name)


def has_field(message: str, field: str) -> bool:
    """Whether the message has such a field."""
    return field in _descriptor(message).fields_by_name


@cache
def _descriptor(message: str) -> Any:
    outer, *inner = message.split(".")
    files = (protos.DESCRIPTOR, _DESCRIPTORS)
    found = next(file.message_types_by_name[outer] for file in files if outer in file.message_types_by_name)
    for name in inner:
        found = found.nested_types_by_name[name]
    return found
