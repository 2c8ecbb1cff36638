"""Plans the decoding of one kind of event: joins its catalogue entry with the fields of this kernel's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from android_suite.tables.schema import Table
from android_suite.trace.catalogue import Event, find_event, is_text
from android_suite.trace.core.event_format import EventFormat, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlan:
    """The fields to read of one kind of event. ``event`` is None for a kind that goes to no table."""

    form: EventFormat
    event: Event | None
    tid: Field
    integers: tuple[tuple[str, Field], ...]  # column, field
    texts: tuple[tuple[str, Field], ...]
    names: tuple[tuple[Field, Field], ...]  # thread id, comm
    needed_bytes: int  # smallest size of its records

    @property
    def table(self) -> Table | None:
        """The table its rows go to."""
        return self.event.table if self.event else None


def plan_event(form: EventFormat) -> EventPlan | None:
    """Plans one kind of event; None for a format without ``common_pid``."""
    tid = form.field("common_pid")
    if tid is None or not _is_integer(tid) or tid.size != 4 or tid.offset % 4:
        return None
    event = find_event(form)
    integers: list[tuple[str, Field]] = []
    texts: list[tuple[str, Field]] = []
    names: list[tuple[Field, Field]] = []
    if event is not None:
        for column, place in event.columns.items():
            found = form.field(*place.kernel)
            if found is not None and is_text(event.table, column):
                texts.append((column, found))
            elif found is not None and _is_integer(found):
                integers.append((column, found))
        for array, prefix in event.arrays.items():
            integers.extend(_array_elements(form.field(array), prefix))
        for tid_column, comm in event.names:
            who, called = form.field(*event.columns[tid_column].kernel), form.field(*comm.kernel)
            if who is not None and called is not None and _is_integer(who) and called.is_text:
                names.append((who, called))
    used = (tid, *(f for _, f in integers), *(f for _, f in texts), *(f for pair in names for f in pair))
    return EventPlan(
        form=form, event=event, tid=tid, integers=tuple(integers), texts=tuple(texts), names=tuple(names),
        needed_bytes=max(f.offset + f.size for f in used),
    )  # fmt: skip


def plan_events(formats: Sequence[EventFormat]) -> tuple[EventPlan, ...]:
    """Plans every event whose id fits into a record's 16 bits; of two events with the same id the last counts."""
    by_id = {form.id: form for form in formats if form.id < 1 << 16}
    return tuple(p for form in by_id.values() if (p := plan_event(form)) is not None)


def _is_integer(field: Field) -> bool:
    return field.location == "here" and not field.is_array and 1 <= field.size <= 8


def _array_elements(field: Field | None, prefix: str) -> list[tuple[str, Field]]:
    if field is None or not field.is_array or field.location != "here" or field.element_bytes not in (1, 2, 4, 8):
        return []
    step = field.element_bytes
    return [
        (
            f"{prefix}{i}",
            Field(name=field.name, type=field.type, offset=field.offset + i * step, size=step, signed=False),
        )
        for i in range(min(6, field.size // step))
    ]
