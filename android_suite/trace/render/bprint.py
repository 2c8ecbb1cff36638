"""Prints binary trace_printk events (ftrace:bprint): packed arguments and the address of a format string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from android_suite.trace.core.event_format import PageLayout
from android_suite.trace.render.c_printf import format_pieces, parse_pieces


def render_bprint(record: Mapping[str, Any], formats: Mapping[int, str], layout: PageLayout) -> str:
    """The text of a bprint or bputs record.

    Args:
        record: has ``fmt`` (or ``str``), the address, and ``buf``, the packed arguments.
        formats: format string by address, from printk_formats.
        layout: gives the kernel's byte order and size of a long.
    """
    address = int(record.get("fmt", record.get("str", 0)))
    template = formats.get(address)
    if template is None:
        return f"unknown format 0x{address:x}"
    if "buf" not in record:
        return template
    pieces = parse_pieces(template)
    return format_pieces(pieces, _unpack(record["buf"], pieces, layout))


def _unpack(data: bytes, pieces: Any, layout: PageLayout) -> list[Any]:
    """Values of the packed arguments, in order. Numbers are aligned to their size (at most 4 in a 32-bit kernel)."""
    order = "big" if layout.big_endian else "little"
    values: list[Any] = []
    at = 0

    def number(nbytes: int) -> int:
        nonlocal at
        align = min(nbytes, max(4, layout.commit_bytes))
        at = (at + align - 1) // align * align
        value = int.from_bytes(data[at : at + nbytes], "big" if order == "big" else "little")
        at += nbytes
        return value

    for piece in pieces:
        if not piece.type:
            continue
        values.extend(number(4) for size in (piece.width, piece.precision) if size == "*")
        if piece.type == "s":
            end = data.find(b"\0", at)
            end = len(data) if end < 0 else end
            values.append(data[at:end].decode("utf-8", "replace"))
            at = (end + 1 + 3) // 4 * 4
        elif piece.type[0] == "p" or piece.length in ("l", "z", "t"):
            values.append(number(layout.commit_bytes))
        else:
            values.append(number(8 if piece.length in ("ll", "L", "j") else 4))
    return values
