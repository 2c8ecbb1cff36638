"""Implements printf with the conversions of the kernel's print formats, as trace-cmd prints them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_CONVERSION = re.compile(
    r"%(?P<flags>[-+ #0]*)(?P<width>\*|\d{1,4})?(?:\.(?P<precision>\*|\d{1,4})?)?(?P<length>hh|h|ll|l|L|z|t|j)?"
    r"(?P<type>p[A-Za-z]*|[diouxXcs%])"
)
_BITS = {"hh": 8, "h": 16, None: 32, "l": 64, "ll": 64, "L": 64, "z": 64, "t": 64, "j": 64}
_MAX_WIDTH = 1000

Namer = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Piece:
    """Plain text, or one conversion."""

    text: str
    flags: str = ""
    width: str | None = None
    precision: str | None = None
    length: str | None = None
    type: str = ""


def parse_pieces(template: str) -> tuple[Piece, ...]:
    """Splits a format string into text and conversions. Anything that is not a conversion stays text."""
    pieces, at = [], 0
    for match in _CONVERSION.finditer(template):
        if match.start() > at:
            pieces.append(Piece(template[at : match.start()]))
        at = match.end()
        if match["type"] == "%":
            pieces.append(Piece("%"))
            continue
        precision = match["precision"] if match["precision"] is not None else "0" if "." in match[0] else None
        pieces.append(
            Piece(match[0], match["flags"], match["width"], precision, match["length"], match["type"])
        )  # fmt: skip
    if at < len(template):
        pieces.append(Piece(template[at:]))
    return tuple(pieces)


def format_pieces(pieces: Sequence[Piece], values: Sequence[Any]) -> str:
    """Formats the pieces with the values; a missing value counts as 0."""
    left = iter(values)
    out = []
    for piece in pieces:
        if not piece.type:
            out.append(piece.text)
            continue
        width = _size(piece.width, left)
        precision = _size(piece.precision, left)
        out.append(_convert(piece, width, precision, next(left, 0)))
    return "".join(out)


def _size(text: str | None, left: Any) -> int | None:
    if text is None:
        return None
    value = next(left, 0) if text == "*" else int(text)
    return min(abs(value), _MAX_WIDTH) if isinstance(value, int) else 0


def _convert(piece: Piece, width: int | None, precision: int | None, value: Any) -> str:
    kind = piece.type
    if kind == "s":
        text = _text(value)
        text = text if precision is None else text[:precision]
    elif kind[0] == "p":
        text = value if isinstance(value, str) else f"0x{_number(value) & (1 << 64) - 1:x}"
    elif kind == "c":
        text = chr(_number(value) & 0xFF)
    else:
        return _integer(piece, width, precision, _number(value))
    return text.ljust(width) if width and "-" in piece.flags else text.rjust(width or 0)


def _integer(piece: Piece, width: int | None, precision: int | None, value: int) -> str:
    bits = _BITS[piece.length]
    value &= (1 << bits) - 1
    sign, prefix = "", ""
    match piece.type:
        case "d" | "i":
            if value >> (bits - 1):
                sign, value = "-", (1 << bits) - value
            else:
                sign = "+" if "+" in piece.flags else " " if " " in piece.flags else ""
            digits = str(value)
        case "u":
            digits = str(value)
        case "o":
            digits = f"{value:o}"
        case _:
            digits = f"{value:x}"
            prefix = "0x" if "#" in piece.flags and value else ""
    if precision is not None:
        digits = digits.rjust(precision, "0")
    body = sign + prefix + digits
    if not width or len(body) >= width:
        text = body
    elif "-" in piece.flags:
        text = body.ljust(width)
    elif "0" in piece.flags and precision is None:
        text = sign + prefix + digits.rjust(width - len(sign) - len(prefix), "0")
    else:
        text = body.rjust(width)
    return text.upper() if piece.type == "X" else text


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.split(b"\0")[0].decode("utf-8", "replace")
    if isinstance(value, tuple):
        return bytes(v & 0xFF for v in value).split(b"\0")[0].decode("utf-8", "replace")
    return f"0x{_number(value) & (1 << 64) - 1:x}"
