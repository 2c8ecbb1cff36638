"""Compiles print formats, the C expressions at the end of event formats, to functions from a record to its text.

The grammar is the part of C that TRACE_EVENT uses: a format string, then expressions of fields (``REC->x``), integers, casts,
operators, ``?:`` and the kernel's macros (``__print_flags``, ``__print_symbolic``, ``__get_str``, ...). For any other format
``parse_print_fmt`` returns None, and the caller prints the fields one by one, as trace-cmd does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from android_suite.trace.render.c_printf import Piece, format_pieces, parse_pieces

Record = Mapping[str, Any]
Value = Any  # int, str, bytes or a tuple of ints
Expression = Callable[[Record], Value]

_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<char>'(?:[^'\\]|\\.)')|(?P<number>0[xX][0-9a-fA-F]+|\d+)[uUlL]*"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<op>->|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^~!<>?:(),{}\[\].]))"
)
_PRECEDENCE = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"), ("*", "/", "%"),
)  # fmt: skip
_TYPE_WORDS = frozenset(
    {
        "unsigned", "signed", "long", "int", "short", "char", "void", "const", "struct", "union", "enum", "bool",
        "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "__u8", "__u16", "__u32", "__u64", "__s8", "__s16",
        "__s32", "__s64", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int8_t", "int16_t", "int32_t", "int64_t",
        "size_t", "ssize_t", "pid_t", "gfp_t", "dev_t", "loff_t", "uintptr_t", "umode_t", "sector_t", "uid_t", "gid_t",
        "ino_t", "pgoff_t",
    }
)  # fmt: skip
_CAST_BITS = {
    "char": 8, "u8": 8, "s8": 8, "short": 16, "u16": 16, "s16": 16, "int": 32, "u32": 32, "s32": 32, "pid_t": 32,
    "unsigned": 32, "long": 64, "u64": 64, "s64": 64, "size_t": 64, "bool": 1,
}  # fmt: skip
_SIGNED_TYPES = frozenset({"int", "long", "short", "char", "s8", "s16", "s32", "s64", "pid_t"})
_MAX_TOKENS = 20_000
_MAX_DEPTH = 60


class _Unparsable(Exception):  # noqa: N818 - never leaves this module
    """The format is outside the grammar."""


def parse_print_fmt(text: str) -> Callable[[Record], str] | None:
    """Compiles a print format.

    Args:
        text: the text after ``print fmt:``.

    Returns:
        A function from a record (field name to value) to text; None if the format is outside the grammar.
    """
    try:
        parser = _Parser(_tokens(text))
        template = parser.strings()
        arguments = parser.arguments()
        parser.end()
    except (_Unparsable, RecursionError, OverflowError):
        return None
    pieces: tuple[Piece, ...] = parse_pieces(template)

    def render(record: Record) -> str:
        try:
            return format_pieces(pieces, [argument(record) for argument in arguments])
        except RecursionError:  # a sum of a thousand terms is parsed in a loop but evaluated recursively
            return "[print format too deep]"

    return render


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at or len(found) > _MAX_TOKENS:
            raise _Unparsable
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return found


def unescape(text: str) -> str:
    """The text of a C string or character literal without its quotes."""
    plain = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}
    return re.sub(r"\\(.)", lambda m: plain.get(m[1], m[0]), text)


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def peek(self, *texts: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][0] == "op" and self._tokens[self._at][1] in texts

    def take(self, *texts: str) -> str | None:
        if self.peek(*texts):
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def need(self, text: str) -> None:
        if self.take(text) is None:
            raise _Unparsable

    def kind(self, kind: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def name(self) -> str:
        found = self.kind("name")
        if found is None:
            raise _Unparsable
        return found

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise _Unparsable

    def strings(self) -> str:
        """One or more string literals side by side."""
        parts = []
        while (part := self.kind("string")) is not None:
            parts.append(unescape(part[1:-1]))
        if not parts:
            raise _Unparsable
        return "".join(parts)

    def arguments(self) -> list[Expression]:
        found: list[Expression] = []
        while self.take(","):
            found.append(self.ternary())
        return found

    def ternary(self) -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Unparsable
        test = self.binary(0)
        if self.take("?"):
            yes = self.ternary()
            self.need(":")
            no = self.ternary()
            self._depth -= 1
            return lambda r: yes(r) if test(r) else no(r)
        self._depth -= 1
        return test

    def binary(self, level: int) -> Expression:
        if level == len(_PRECEDENCE):
            return self.unary()
        left = self.binary(level + 1)
        while (op := self.take(*_PRECEDENCE[level])) is not None:
            left = _apply(op, left, self.binary(level + 1))
        return left

    def unary(self) -> Expression:
        if (op := self.take("-", "~", "!", "+", "&", "*")) is not None:
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise _Unparsable
            inner = self.unary()
            self._depth -= 1
            match op:
                case "-":
                    return lambda r: -_int(inner(r))
                case "~":
                    return lambda r: ~_int(inner(r))
                case "!":
                    return lambda r: int(not inner(r))
            return inner
        if self.peek("(") and (bits := self.cast()) is not None:
            inner = self.unary()
            return _cast(inner, *bits)
        return self.postfix()

    def cast(self) -> tuple[int, bool] | None:
        """Bits and signedness of a cast at this position; None if the parenthesis is not a cast."""
        start = self._at
        self.need("(")
        words = []
        while (word := self.kind("name")) is not None:
            words.append(word)
        stars = 0
        while self.take("*"):
            stars += 1
        is_type = bool(words) and (words[0] in _TYPE_WORDS) and (stars or all(w in _TYPE_WORDS for w in words))
        if not is_type or not self.take(")"):
            self._at = start
            return None
        if stars:
            return 64, False
        bits = max((_CAST_BITS[w] for w in words if w in _CAST_BITS), default=64)
        if "long" in words:
            bits = 64
        elif "short" in words or "char" in words:
            bits = 16 if "short" in words else 8
        return bits, "unsigned" not in words and words[-1] in _SIGNED_TYPES

    def postfix(self) -> Expression:
        if self.take("("):
            inner = self.ternary()
            self.need(")")
            return self.index(inner)
        if (number := self.kind("number")) is not None:
            base = 0 if number[:2].lower() == "0x" else 8 if number[0] == "0" and number.isdecimal() else 10
            try:
                value = int(number, base)
            except ValueError as error:  # 09 is not a number in C
                raise _Unparsable from error
            return lambda _: value
        if (char := self.kind("char")) is not None:
            code = ord(unescape(char[1:-1])[:1] or "\0")
            return lambda _: code
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "string":
            text = self.strings()
            return lambda _: text
        name = self.name()
        if name == "REC":
            self.need("->")
            return self.index(_field(self.name()))
        self.need("(")
        return self.index(self.macro(name))

    def index(self, inner: Expression) -> Expression:
        while self.take("["):
            at, of = self.ternary(), inner
            self.need("]")
            inner = lambda r, at=at, of=of: _item(of(r), _int(at(r)))  # type: ignore[misc]  # noqa: E731
        return inner

    def macro(self, name: str) -> Expression:
        """A call of one of the kernel's macros, after its opening parenthesis."""
        if name in ("__get_str", "__get_dynamic_array", "__get_rel_str", "__get_rel_dynamic_array", "__get_bitmask"):
            value = _field(self.name())
            self.need(")")
            return value
        if name in ("__get_dynamic_array_len", "__get_rel_dynamic_array_len"):
            value = _field(self.name())
            self.need(")")
            return lambda r: len(value(r))
        if name in ("__print_flags", "__print_flags_u64"):
            inner = self.ternary()
            self.need(",")
            delimiter = self.strings()
            return _flags(inner, delimiter, self.pairs())
        if name in ("__print_symbolic", "__print_symbolic_u64"):
            return _symbolic(self.ternary(), self.pairs())
        if name in ("__print_hex", "__print_hex_str"):
            inner = self.ternary()
            self.need(",")
            length = self.ternary()
            self.need(")")
            joint = "" if name.endswith("str") else " "
            return lambda r: joint.join(f"{b:02x}" for b in _bytes(inner(r))[: max(0, _int(length(r)))])
        raise _Unparsable

    def pairs(self) -> list[tuple[int, str]]:
        """``{value, "name"}`` pairs up to the closing parenthesis."""
        found = []
        while self.take(","):
            self.need("{")
            value = _int(self.ternary()({}))
            self.need(",")
            if self._at < len(self._tokens) and self._tokens[self._at][0] == "string":
                found.append((value, self.strings()))
            else:
                self.ternary()  # in newer kernels, lists end with a null pointer
            self.need("}")
        self.need(")")
        return found


def _field(name: str) -> Expression:
    return lambda r: r.get(name, 0)


def _item(values: Value, at: int) -> int:
    if isinstance(values, int | str):
        return 0
    return int(values[at]) if 0 <= at < len(values) else 0


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _bytes(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return bytes(v & 0xFF for v in value) if isinstance(value, tuple) else b""


def _cast(inner: Expression, bits: int, signed: bool) -> Expression:
    if bits == 1:
        return lambda r: int(bool(inner(r)))
    mask, top = (1 << bits) - 1, 1 << (bits - 1)

    def convert(r: Record) -> Value:
        value = inner(r)
        if not isinstance(value, int):
            return value
        value &= mask
        return value - (mask + 1) if signed and value & top else value

    return convert


def _apply(op: str, a: Expression, b: Expression) -> Expression:
    match op:
        case "||":
            return lambda r: int(bool(a(r)) or bool(b(r)))
        case "&&":
            return lambda r: int(bool(a(r)) and bool(b(r)))
        case "==":
            return lambda r: int(a(r) == b(r))
        case "!=":
            return lambda r: int(a(r) != b(r))
    operation = _OPERATIONS[op]
    return lambda r: operation(_int(a(r)), _int(b(r)))


def _wrap(value: int) -> int:
    """Wraps to 64 bits, as in C. Otherwise a hostile format could make numbers grow without limit."""
    return value if -(1 << 63) <= value < 1 << 64 else value & (1 << 64) - 1


_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "&": lambda a, b: a & b,
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "<<": lambda a, b: _wrap(a << (b & 63)),
    ">>": lambda a, b: a >> (b & 63),
    "+": lambda a, b: _wrap(a + b),
    "-": lambda a, b: _wrap(a - b),
    "*": lambda a, b: _wrap(a * b),
    "/": lambda a, b: abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1) if b else 0,
    "%": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1) if b else 0,
}


def _flags(inner: Expression, delimiter: str, pairs: list[tuple[int, str]]) -> Expression:
    def render(r: Record) -> str:
        left, names = _int(inner(r)) & (1 << 64) - 1, []
        for value, name in pairs:
            if (not value and not left) or (value and left & value == value):
                names.append(name)
                left &= ~value
                if not value:
                    break
        if left:
            names.append(f"0x{left:x}")
        return delimiter.join(names)

    return render


def _symbolic(inner: Expression, pairs: list[tuple[int, str]]) -> Expression:
    names: dict[int, str] = {}
    for value, name in pairs:
        names.setdefault(value & (1 << 64) - 1, name)

    def render(r: Record) -> str:
        value = _int(inner(r))
        return names.get(value & (1 << 64) - 1) or f"0x{value & (1 << 64) - 1:x}"

    return render
