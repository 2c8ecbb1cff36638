"""One kind of event made ready for decoding: its spec joined with the fields that this kernel's format really has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from android_suite.tables.schema import Table
from android_suite.trace.catalogue import EventSpec, find_spec
from android_suite.trace.core.event_format import EventFormat, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlan:
    """What to read of one kind of event. ``spec`` is None for a kind that no table wants."""

    form: EventFormat
    spec: EventSpec | None
    tid: Field
    integers: tuple[tuple[str, Field], ...]  # column, field
    texts: tuple[tuple[str, Field], ...]
    names: tuple[tuple[Field, Field], ...]  # thread id, comm
    needed_bytes: int  # no record of it may be shorter

    @property
    def table(self) -> Table | None:
        """The table its rows go to."""
        return self.spec.table if self.spec else None


def plan_event(form: EventFormat) -> EventPlan | None:
    """Plans one kind of event; None for a format without ``common_pid``."""
    tid = form.field("common_pid")
    if tid is None or not _is_integer(tid) or tid.size != 4 or tid.offset % 4:
        return None
    spec = find_spec(form)
    integers: list[tuple[str, Field]] = []
    texts: list[tuple[str, Field]] = []
    names: list[tuple[Field, Field]] = []
    if spec is not None:
        integers.extend(
            (column, f) for column, names_ in spec.fields.items() if (f := form.field(*names_)) and _is_integer(f)
        )
        for array, prefix in spec.array_columns.items():
            integers.extend(_array_elements(form.field(array), prefix))
        texts.extend((column, f) for column, names_ in spec.texts.items() if (f := form.field(*names_)) is not None)
        for who, called in spec.names:
            a, b = form.field(*who.split("|")), form.field(called)
            if a is not None and b is not None and _is_integer(a) and b.is_text:
                names.append((a, b))
    used = (tid, *(f for _, f in integers), *(f for _, f in texts), *(f for pair in names for f in pair))
    return EventPlan(
        form=form, spec=spec, tid=tid, integers=tuple(integers), texts=tuple(texts), names=tuple(names),
        needed_bytes=max(f.offset + f.size for f in used),
    )  # fmt: skip


def plan_events(formats: Sequence[EventFormat]) -> tuple[EventPlan, ...]:
    """Plans every event whose id fits into a record's 16 bits; of two with one id the last counts."""
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
