"""TOML text with the line of every key, so that errors can point to it.

``tomllib`` gives values without line numbers. `TomlSource` keeps the parsed values and the line of every key. Pydantic
validates them against the suite's frozen dataclasses. The first fault in file order becomes a `ConfigError` with the
file, the line, the key, and what was expected and found.
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from android_suite.errors import ConfigError, UsageError

T = TypeVar("T")
KeyPath = tuple[str | int, ...]

# ``__pydantic_config__`` of every form of a TOML file.
STRICT: Mapping[str, Any] = {"extra": "forbid", "allow_inf_nan": False}

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_PAIR = re.compile(rf"\s*({_DOTTED})\s*=")
_TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]')
_MOST_BYTES = 4 << 20
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def _split_key(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def _skip_value(lines: list[str], index: int, start: int) -> int:
    """Index of the last line of the value that begins on ``lines[index][start:]``."""
    depth, closing = 0, ""
    while True:
        text, position = lines[index], start
        while True:
            if closing:
                end = text.find(closing, position)
                if end < 0:
                    break
                position, closing = end + 3, ""
            token = _TOKEN.search(text, position)
            if token is None:
                break
            position = token.end()
            if token[0] in ('"""', "'''"):
                closing = token[0]
            elif token[0] in "[{":
                depth += 1
            elif token[0] in "]}":
                depth -= 1
        if (depth <= 0 and not closing) or index + 1 >= len(lines):
            return index
        index, start = index + 1, 0


def locate_keys(text: str) -> dict[KeyPath, int]:
    """Line (from 1) of every key and table header of valid TOML. Keys of inline tables get the line of their table."""
    lines, places, table = text.split("\n"), dict[KeyPath, int](), tuple[str | int, ...]()
    counts: dict[KeyPath, int] = {}
    index = 0
    while index < len(lines):
        if header := _HEADER.match(lines[index]):
            table = ()
            *parents, last = _split_key(header[2])
            for part in parents:  # a parent that is an array of tables means its latest element
                table = (*table, part)
                if table in counts:
                    table = (*table, counts[table] - 1)
            table = (*table, last)
            if header[1] == "[[":
                places.setdefault(table, index + 1)
                counts[table] = counts.get(table, 0) + 1
                table = (*table, counts[table] - 1)
            places.setdefault(table, index + 1)
        elif pair := _PAIR.match(lines[index]):
            path = table
            for part in _split_key(pair[1]):
                path = (*path, part)
                places.setdefault(path, index + 1)
            index = _skip_value(lines, index, pair.end())
        index += 1
    return places


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlSource:
    """One TOML file: its ``text``, the parsed ``data``, and the ``places`` (lines) of its keys."""

    file: Path
    text: str
    data: Mapping[str, Any]
    places: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """Line of ``path``, or of the nearest enclosing table; None if the file has neither."""
        for length in range(len(path), 0, -1):
            if (found := self.places.get(path[:length])) is not None:
                return found
        return None

    def fault(self, path: KeyPath, expected: str, found: object) -> ConfigError:
        """The error to raise for ``path``."""
        return ConfigError(self.file, render_key(path), expected, found, line=self.line(path))


def expand_home(name: str) -> Path:
    """A path in which ``~`` is a home. One that there is not stays as it is written, as in a shell; pathlib would raise."""
    return Path(os.path.expanduser(name))  # noqa: PTH111


def read_toml(file: Path, what: str, remedy: str) -> TomlSource:
    """Reads a TOML file; of a huge one no more than shows that.

    Args:
        file: to read.
        what: its kind, with its article, for errors: ``the plan``.
        remedy: what the user may do if it cannot be read.

    Raises:
        UsageError: the file cannot be read, or is no text, or is larger than 4 MB.
        ConfigError: the text is not valid TOML; names the line.
    """
    try:
        with file.open("rb") as data:
            content = data.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {what} {file}: {error.strerror}; {remedy}.") from error
    if len(content) > _MOST_BYTES:
        raise UsageError(f"cannot read {what} {file}: it is larger than {_MOST_BYTES >> 20} MB; {remedy}.")
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8").read()  # with Windows' ends of lines, too
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {what} {file}: it is not UTF-8 text; {remedy}.") from error
    return parse_toml(text, file)


def parse_toml(text: str, file: Path) -> TomlSource:
    """Parses TOML.

    Raises:
        ConfigError: the text is not valid TOML; names the line.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(file, "syntax", "TOML", "values that are nested too deep", line=1) from error
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        found = _AT_LINE.sub("", str(error)).strip()
        line = int(at[1]) if at else text.count("\n") + 1
        raise ConfigError(file, "syntax", "TOML", found[:1].lower() + found[1:], line=line) from error
    return TomlSource(file=file, text=text, data=data, places=locate_keys(text))


def render_key(path: KeyPath) -> str:
    """``("scenario", 0, "name")`` as ``scenario[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


def validate_source(source: TomlSource, form: type[T]) -> T:
    """Reads the file into a ``form`` (a frozen dataclass of dataclasses). Types are strict: ``"4"`` is not a number.

    Raises:
        ConfigError: the first fault in file order; its notes list the others.
    """
    import pydantic  # here, because `config` imports this module at every start

    try:
        # Through JSON, where pydantic's strict mode takes tables for dataclasses and arrays for tuples.
        text = json.dumps(source.data, default=str)
        return pydantic.TypeAdapter(form).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        first, *others = _explain(source, form, [dict(entry) for entry in error.errors(include_url=False)])
        for other in others:
            first.add_note(str(other))
        raise first from None


def expected_name(name: str, known: Collection[str]) -> str:
    """The "expected" text for a ``name`` that is not in ``known``: the nearest name, or all names."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{near[0]!r} (did you mean that?)" if near else f"one of {', '.join(sorted(known))}"


def _explain(source: TomlSource, form: type[Any], entries: list[dict[str, Any]]) -> list[ConfigError]:
    """One error per key: unknown keys first (a misspelt key is also a missing one), then in file order."""
    unknown: dict[KeyPath, ConfigError] = {}
    wrong: dict[KeyPath, tuple[list[str], str]] = {}
    for entry in entries:
        loc: KeyPath = tuple(entry["loc"])
        # Pydantic adds the names of union members to its locations; they are not keys of the file.
        path = next(loc[:n] for n in range(len(loc), -1, -1) if _exists(source.data, loc[:n]))
        kind = entry["type"]
        if kind in ("extra_forbidden", "unexpected_keyword_argument"):
            expected = expected_name(str(path[-1]), list(_fields(form, path[:-1])))
            unknown[path] = source.fault(path, expected, f"unknown key {str(path[-1])!r}")
        elif kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
            wrong[loc] = (["a value"], "nothing")
        else:
            message = str(entry["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
            wrong.setdefault(path, ([], repr(entry.get("input"))))[0].append(message[:1].lower() + message[1:])
    faults = [source.fault(path, " or ".join(messages), found) for path, (messages, found) in wrong.items()]
    return [*unknown.values(), *sorted(faults, key=lambda fault: fault.line or 0)]


def _exists(data: object, path: KeyPath) -> bool:
    """True if ``path`` is in the file."""
    for part in path:
        held = isinstance(data, Mapping) and part in data
        listed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if held or listed:
            data = data[part]  # type: ignore[index]
        else:
            return False
    return True


def _fields(form: Any, path: KeyPath) -> Iterator[str]:
    """Names of the keys that the table at ``path`` of a ``form`` may contain."""
    if isinstance(form, types.UnionType) or typing.get_origin(form) is typing.Union:
        for member in typing.get_args(form):
            yield from _fields(member, path)
    elif path and isinstance(path[0], int):
        yield from _fields(next(iter(typing.get_args(form)), None), path[1:])
    elif dataclasses.is_dataclass(form) and isinstance(form, type):
        hints = typing.get_type_hints(form)
        if not path:
            yield from (field.name for field in dataclasses.fields(form))
        elif path[0] in hints:
            yield from _fields(hints[str(path[0])], path[1:])
