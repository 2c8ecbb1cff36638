"""Parses event format files (``events/SYSTEM/EVENT/format``), in which a kernel describes the layout of its events."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import TraceError

_FIELD = re.compile(
    r"^\s*field:(?P<decl>[^;]+);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);(?:\s*signed:(?P<signed>\d+);)?"
)
_DECL = re.compile(r"^(?P<type>.*?)(?P<name>\w+)\s*(?P<array>\[[^\]]*\])?$", re.DOTALL)
_MAX_FORMAT_BYTES = 1 << 20
_MAX_FIELD_BYTES = 1 << 16
_CHAR_TYPES = frozenset({"char", "unsigned char", "signed char"})
# Sizes of array elements. The size of any other type follows from the declared number of elements.
_ELEMENT_BYTES = {
    "char": 1, "unsigned char": 1, "signed char": 1, "bool": 1, "u8": 1, "s8": 1, "__u8": 1, "__s8": 1, "uint8_t": 1,
    "u16": 2, "s16": 2, "__u16": 2, "__s16": 2, "unsigned short": 2, "short": 2, "uint16_t": 2, "__le16": 2, "__be16": 2,
    "u32": 4, "s32": 4, "__u32": 4, "__s32": 4, "unsigned int": 4, "int": 4, "uint32_t": 4, "pid_t": 4, "__le32": 4,
    "__be32": 4, "u64": 8, "s64": 8, "__u64": 8, "__s64": 8, "unsigned long long": 8, "long long": 8, "uint64_t": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an event: its place in the record and how to read it.

    ``location`` is "here" if the data is at ``offset``. "data_loc" and "rel_loc" mean that the 32 bits there hold length
    (upper half) and offset (lower half) of the data; the offset counts from the start of the record or from the end of
    the field, respectively. ``element_bytes`` is 0 for a scalar. An array that runs to the end of the record has size 0.
    """

    name: str
    type: str
    offset: int  # bytes
    size: int  # bytes
    signed: bool
    location: str = "here"
    is_array: bool = False
    element_bytes: int = 0

    @property
    def is_text(self) -> bool:
        """True for char arrays and dynamic strings."""
        return self.is_array and self.type in _CHAR_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFormat:
    """The layout of one kind of event."""

    system: str
    name: str
    id: int
    fields: tuple[Field, ...]
    print_fmt: str
    text: str

    @property
    def full_name(self) -> str:
        """``system:name``."""
        return f"{self.system}:{self.name}"

    def field(self, *names: str) -> Field | None:
        """The first of ``names`` that this event has."""
        for name in names:
            for field in self.fields:
                if field.name == name:
                    return field
        return None

    @property
    def own_fields(self) -> tuple[Field, ...]:
        """The fields that are not common to all events."""
        return tuple(f for f in self.fields if not f.name.startswith("common_"))

    @property
    def record_bytes(self) -> int:
        """The smallest number of bytes of a record of this event."""
        return max((f.offset + f.size for f in self.fields), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLayout:
    """The layout of a ring-buffer page, in bytes: 64-bit time stamp, commit word, then data up to ``page_bytes``."""

    commit_offset: int
    commit_bytes: int
    data_offset: int
    page_bytes: int
    big_endian: bool


def parse_event_format(text: str, *, system: str, file: Path | str, offset: int | None = None) -> EventFormat:
    """Parses one format file.

    Args:
        text: its content.
        system: the event's system, which the file does not contain.
        file: the file to name in errors.
        offset: where the text starts in ``file``, if it is part of a larger file.

    Raises:
        TraceError: it has no name, no ID, or a field with an impossible place.
    """
    if len(text) > _MAX_FORMAT_BYTES:
        raise TraceError(file, offset, f"an event format of at most {_MAX_FORMAT_BYTES} bytes")
    name = re.search(r"^name:\s*(\S+)", text, re.MULTILINE)
    number = re.search(r"^ID:\s*(\d{1,9})\s*$", text, re.MULTILINE)
    if name is None or number is None:
        raise TraceError(file, offset, "an event format file with 'name:' and 'ID:' lines")
    head, _, print_fmt = text.partition("print fmt:")
    fields = tuple(
        _parse_field(m, file=file, offset=offset) for line in head.splitlines() if (m := _FIELD.match(line)) is not None
    )
    return EventFormat(
        system=system, name=name[1], id=int(number[1]), fields=fields, print_fmt=print_fmt.strip(), text=text
    )


def _parse_field(match: re.Match[str], *, file: Path | str, offset: int | None) -> Field:
    decl = " ".join(match["decl"].split())
    parsed = _DECL.match(decl)
    # int() refuses numbers of many thousand digits; no field has such an offset.
    if parsed is None or max(len(match["offset"]), len(match["size"])) > 9:
        raise TraceError(file, offset, f"a field declaration, found {decl[:60]!r}")
    at, size = int(match["offset"]), int(match["size"])
    if at + size > _MAX_FIELD_BYTES:
        raise TraceError(file, offset, f"field {parsed['name']} within {_MAX_FIELD_BYTES} bytes of the record's start")
    kind, location = parsed["type"].strip(), "here"
    for prefix, where in (("__data_loc", "data_loc"), ("__rel_loc", "rel_loc")):
        if kind.startswith(prefix):
            kind, location = kind.removeprefix(prefix).strip(), where
    is_array = parsed["array"] is not None or location != "here"
    kind = kind.removesuffix("[]").strip()
    if kind.startswith("const ") and not kind.endswith("*"):
        kind = kind.removeprefix("const ")
    if location != "here" and size != 4:
        raise TraceError(file, offset, f"a dynamic field {parsed['name']} of 4 bytes, found {size}")
    signed = match["signed"] == "1"
    return Field(
        name=parsed["name"], type=kind, offset=at, size=size, signed=signed, location=location, is_array=is_array,
        element_bytes=_element_bytes(kind, parsed["array"], size) if is_array else 0,
    )  # fmt: skip


def _element_bytes(kind: str, brackets: str | None, size: int) -> int:
    known = _ELEMENT_BYTES.get(kind)
    if known:
        return known
    count = (brackets or "").strip("[] ")
    if count.isdecimal() and len(count) < 6 and int(count) and size % int(count) == 0:
        return size // int(count)
    return 8 if "long" in kind and size % 8 == 0 else 1


def parse_header_page(text: str, *, file: Path | str, big_endian: bool, offset: int | None = None) -> PageLayout:
    """Parses ``events/header_page``. The commit word has the size of the kernel's long; ``data`` ends with the page.

    Raises:
        TraceError: the fields are missing or describe an impossible page.
    """
    found = {}
    for line in text[:_MAX_FORMAT_BYTES].splitlines():
        match = _FIELD.match(line)
        if match is not None and max(len(match["offset"]), len(match["size"])) <= 9:
            found[match["decl"].split()[-1]] = (int(match["offset"]), int(match["size"]))
    if not {"timestamp", "commit", "data"} <= found.keys():
        raise TraceError(file, offset, "a header_page with the fields timestamp, commit and data")
    (ts_at, ts_size), (commit_at, commit_size), (data_at, data_size) = (
        found["timestamp"], found["commit"], found["data"],
    )  # fmt: skip
    page = data_at + data_size
    sane = (
        (ts_at, ts_size) == (0, 8) and commit_at == 8 and commit_size in (4, 8)
        and commit_at + commit_size <= data_at <= 64 and data_at % 4 == 0 and 64 <= page <= 1 << 24 and page % 4 == 0
    )  # fmt: skip
    if not sane:
        raise TraceError(file, offset, f"a header_page that describes a page of 64 bytes to 16 MiB, found {found}")
    return PageLayout(
        commit_offset=commit_at, commit_bytes=commit_size, data_offset=data_at, page_bytes=page, big_endian=big_endian
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLetters:
    """How a kernel writes ``prev_state``: flag values with their letters, and the bit that means preempted."""

    flags: tuple[tuple[int, str], ...]
    preempted: int

    def letter(self, state: int) -> str:
        """The first letter of the state as text traces print it: S, D, ... or R, R+."""
        for value, letter in self.flags:
            if value and state & value == value:
                return letter[:1] or "?"
        return "R+" if self.preempted and state & self.preempted else "R"


def parse_state_letters(print_fmt: str) -> StateLetters | None:
    """Reads the state letters from the print format of sched_switch; None if they cannot be read."""
    start = print_fmt.find("__print_flags(REC->prev_state")
    if start < 0:
        return None
    pairs = re.findall(r"\{\s*([^,{}]{1,60}),\s*\"([^\"]{1,8})\"\s*\}", print_fmt[start:])
    flags = tuple((value, letter) for text, letter in pairs if (value := evaluate_int(text)) is not None)
    preempted = 0
    plus = re.search(r"REC->prev_state\s*&\s*([^?\"]{1,400}?)\s*\?\s*\"\+\"", print_fmt)
    if plus is not None:
        preempted = evaluate_int(plus[1]) or 0
    return StateLetters(flags=flags, preempted=preempted) if flags else None


def evaluate_int(expression: str) -> int | None:
    """The value of a C integer expression of literals; None if it is anything else."""
    text = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", expression.strip())
    if len(text) > 400 or not re.fullmatch(r"[0-9a-fA-FxX|&+\-<>*()~ ]+", text):
        return None
    try:
        return _evaluate(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evaluate(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return ~_evaluate(operand)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _evaluate(left), _evaluate(right)
            if isinstance(op, ast.LShift | ast.RShift) and not 0 <= b < 64:
                raise ValueError("shift")
            match op:
                case ast.BitOr():
                    return a | b
                case ast.BitAnd():
                    return a & b
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return (a * b) & (1 << 64) - 1
                case ast.LShift():
                    return (a << b) & (1 << 64) - 1
                case ast.RShift():
                    return a >> b
    raise ValueError("not an integer expression")
