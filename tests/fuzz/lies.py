"""Numbers and texts that lie, where a reader of ring-buffer traces believes them: pages, event heads, formats, headers."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from android_suite.trace.core.event_format import PageLayout
from tests.fuzz.engine import Case
from tests.fuzz.mutate import NUMBERS

_FIELD = re.compile(r"\tfield:[^\n]*\n")
_TYPES = (
    "char comm[16]", "char buf[]", "__data_loc char[] name", "__rel_loc char[] name", "unsigned long args[6]", "int pid",
    "u64 addr", "long long x", "struct foo * p", "char x[99999999]", "unsigned long v[0]", "cpumask_t mask[1]", "",
)  # fmt: skip
_PRINTS = (
    '"%s", ' + "(" * 3000, '"%s %s %s"', '"%999999d", REC->pid', '"%*d", 1 << 31, REC->pid', '"%d", 1 << 99999999', '"',
    '"%d", REC->nothing', '"%s", __print_flags(REC->pid, "|", { 1, "', '"%d", 1 / 0', '"%pS %pM %pI4", REC->pid, 1, 2',
    '"%lld", -(-(-(-(REC->pid))))', '"%n%hhn%c", REC->pid', '"%s", __get_str(pid)', '"%s", __print_hex(REC->pid, -1)',
    '"%d", REC->pid ? REC->pid ? 1 : 2 : 3', '"%s", __print_array(REC->pid, 99999999, 8)',
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Page:
    """One whole page of a seed: where it is, where its events' heads are (bytes from its start), how many events it has."""

    start: int
    heads: tuple[int, ...]
    events: int


def walk_pages(data: bytes, layout: PageLayout) -> list[Page]:
    """Finds the heads of all events: written apart from the reader, from the kernel's description."""
    order = "big" if layout.big_endian else "little"
    pages = []
    for start in range(0, len(data), layout.page_bytes):
        page = data[start : start + layout.page_bytes]
        commit = int.from_bytes(page[8 : 8 + layout.commit_bytes], order) & (1 << 27) - 1
        at, end, heads, events = layout.data_offset, layout.data_offset + commit, [], 0
        while at < end:
            heads.append(at)
            word = int.from_bytes(page[at : at + 4], order)
            kind = word >> 27 if layout.big_endian else word & 31
            length = int.from_bytes(page[at + 4 : at + 8], order)
            events += kind < 29
            at += 4 * kind + 4 if 0 < kind < 29 else 8 if kind > 29 else 4 + (length + 3) // 4 * 4
        pages.append(Page(start=start, heads=tuple(heads), events=events))
    return pages


def lie_in_page(case: Case, data: bytearray, base: int, pages: list[Page], layout: PageLayout) -> None:
    """One lie where the decoder of pages reads a number, or whole pages out of place. ``base`` is where the pages begin."""
    rng = case.rng
    order = "big" if layout.big_endian else "little"
    page = rng.choice(pages)
    start = base + page.start
    head = start + rng.choice(page.heads or (layout.data_offset,))

    def put(at: int, value: int, size: int = 4) -> None:
        data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, order)

    kind = rng.choice(
        (
            "commit",
            "commit",
            "page time",
            "type_len",
            "type_len",
            "long length",
            "event id",
            "dynamic field",
            "page order",
        )
    )
    case.drawn[f"page: {kind}"] += 1
    match kind:
        case "commit":
            room = layout.page_bytes - layout.data_offset
            value = rng.choice(
                (0, 1, 3, 4, 8, room - 4, room, room + 4, layout.page_bytes, (1 << 27) - 1, rng.randrange(room))
            )
            put(start + 8, value | rng.choice((0, 0, 1 << 31, 3 << 30, 1 << 30, 0xFFFFFFFF << 32)), layout.commit_bytes)
        case "page time":
            put(
                start,
                rng.choice((0, 1, 1 << 59, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, rng.getrandbits(64))),
                8,
            )
        case "type_len":
            word = int.from_bytes(data[head : head + 4], order)
            value, delta = (
                rng.choice((0, 1, 2, 27, 28, 29, 29, 30, 31, rng.randrange(32))),
                rng.choice((0, 1, (1 << 27) - 1, None)),
            )
            if layout.big_endian:
                delta = word & (1 << 27) - 1 if delta is None else delta
                put(head, value << 27 | delta)
            else:
                delta = word >> 5 if delta is None else delta
                put(head, delta << 5 | value)
        case "long length":
            if rng.random() < 0.5:  # an event that states its length in a word of its own
                word = int.from_bytes(data[head : head + 4], order)
                put(head, word & (1 << 27) - 1 if layout.big_endian else word & ~31)
            put(head + 4, rng.choice((*NUMBERS, 12, 16, 20, 24, 28, layout.page_bytes, rng.getrandbits(32))))
        case "event id":
            put(head + 4, rng.choice((0, 5, 250, 252, 400, 556, 557, 702, 0xFFFF, rng.getrandbits(16))), 2)
        case "dynamic field":
            at = head + 4 * rng.randrange(3, 8)
            put(at, rng.choice((0, 1, 0xFFFF)) << 16 | rng.choice((0, 8, 16, 0xFFFF, rng.getrandbits(16))))
        case _:
            size = layout.page_bytes
            other = base + rng.choice(pages).start
            whole = bytes(data[other : other + size])
            if rng.random() < 0.5:
                data[start : start + size] = whole
            else:
                data[start:start] = whole


def lie_in_format(case: Case, text: str) -> str:
    """An event format file that is wrong in one or more places."""
    rng = case.rng
    for _ in range(rng.choice((1, 1, 2, 4))):
        kind = rng.choice(
            ("offset", "size", "sign", "type", "missing", "twice", "many", "id", "print format", "name", "chars")
        )
        case.drawn[f"format: {kind}"] += 1
        lines = list(_FIELD.finditer(text))
        line = rng.choice(lines) if lines else None
        if kind in ("offset", "size", "sign", "type", "missing", "twice", "many") and line is None:
            return text
        old = line[0] if line else ""
        number = rng.choice((*NUMBERS[:13], 6, 12, 16, 63, 64, 65, 1 << 16, 999999999, 10**30, rng.randrange(80)))
        match kind:
            case "offset":
                new = re.sub(r"offset:\d+", f"offset:{number}", old)
            case "size":
                new = re.sub(r"size:\d+", f"size:{number}", old)
            case "sign":
                new = re.sub(r"signed:(\d)", lambda m: f"signed:{rng.choice((1 - int(m[1]), 7))}", old)
            case "type":
                new = re.sub(r"field:[^;]*", f"field:{rng.choice(_TYPES)}", old)
            case "missing":
                new = ""
            case "twice":
                new = old + old
            case "many":
                new = "".join(old.replace("offset:", f"offset:{i % 9}") for i in range(rng.choice((30, 3000))))
            case "id":
                old, new = "ID: ", f"ID: {rng.choice(('', '1', '9', '-', 'x', '65', '999999'))}"
            case "print format":
                old = text[text.find("print fmt:") :]
                new = f"print fmt: {rng.choice(_PRINTS)}\n"
            case "name":
                old, new = (
                    text[: text.find("\n") + 1],
                    rng.choice(("", "name: \n", "name: a b\n", "name: sched_switch\n", "name: print\n")),
                )
            case _:
                at = rng.randrange(len(text))
                old, new = "", ""
                text = (
                    text[:at]
                    + rng.choice(("\0", ";", ":", "\n", "9", "\ufffd", "[", "*"))
                    + text[at + rng.randrange(2) :]
                )
        if old:
            text = text.replace(old, new, 1)
    return text


def lie_in_number(case: Case, data: bytes, numbers: list[tuple[int, int, str]], order: str) -> bytes:
    """One or two of the numbers that the reader of a trace.dat's headers reads (position, bytes, what it is)."""
    rng = case.rng
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        at, size, what = rng.choice(numbers)
        case.drawn[f"header: {short_name(what)}"] += 1
        now = int.from_bytes(out[at : at + size], order)  # type: ignore[arg-type]
        value = rng.choice(
            (
                *NUMBERS,
                now + 1,
                now - 1,
                now * 2,
                now + 8,
                len(data),
                len(data) - at,
                now << 16,
                rng.randrange(now + 2),
                rng.getrandbits(64),
            )
        )
        out[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(out)


def short_name(what: str) -> str:
    """What a number is, without the names that differ from file to file."""
    return re.sub(r" of [a-z_]+$", "", what).removeprefix("the ").removeprefix("a ").removeprefix("an ")


def count_drawn(drawn: Counter[str]) -> str:
    """The classes of faults and how often each was drawn, most often first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(drawn.items(), key=lambda item: (-item[1], item[0])))
