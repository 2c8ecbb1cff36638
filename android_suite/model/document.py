"""Reads and writes the suite's JSON files. A frozen dataclass declares the form of each file.

The first two fields of a document are ``schema`` and ``version``; their default is their only value. A field is written
under its name, or under the ``alias`` in its metadata. Pydantic reads and checks documents and exports the JSON Schema.
It is imported on first use, because commands that only write should start fast.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from android_suite.errors import SchemaError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

MOST_DEPTH: Final = 64  # levels; a report has about ten
MOST_BYTES: Final = 256 << 20
_TOO_DEEP = "it is nested too deeply"

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}
_KEYS: dict[type[Any], tuple[tuple[str, str], ...]] = {}  # per dataclass: attribute and key of every field


def to_plain(value: Any) -> Any:
    """``value`` as plain JSON types: dicts, lists, strings, numbers, bools and None.

    NaN and infinities become None, because unknown is ``null``.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    if dataclasses.is_dataclass(value):
        return {key: to_plain(getattr(value, name)) for name, key in _keys(type(value))}
    return value


def parse_json(text: str | bytes, name: str, *, remedy: str) -> Any:
    """Parses JSON that may have been damaged, or written to do harm.

    Raises:
        SchemaError: it is no JSON, or larger or nested deeper than anything that the suite writes.
    """
    if len(text) > MOST_BYTES:
        raise SchemaError(f"{name} is larger than {MOST_BYTES >> 20} MB; {remedy}.")
    try:
        found = json.loads(text, parse_constant=_refuse_number, parse_float=_read_number)
    except (ValueError, RecursionError) as error:
        reason = _TOO_DEEP if isinstance(error, RecursionError) else str(error)
        raise SchemaError(f"{name} is not JSON ({reason}); {remedy}.") from error
    if _is_deep(found):
        raise SchemaError(f"{name}: {_TOO_DEEP}; {remedy}.")
    return found


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text[:20]} is no number of JSON")


def _read_number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text)  # 1e999 would become infinite


def _is_deep(value: object) -> bool:
    """Whether ``value`` is nested deeper than `MOST_DEPTH`: code that walks through it by recursion would fail."""
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def read_document(form: type[T], data: object, *, name: str, remedy: str) -> T:
    """Makes a ``form`` from parsed JSON.

    Args:
        form: the dataclass; it has ``schema`` and ``version``.
        data: the result of ``json.loads``. Unknown keys are ignored, because a later version may add some.
        name: name of the file, for messages.
        remedy: what to do if it is refused, for messages.

    Raises:
        SchemaError: the schema or version differs, or a value is missing or of the wrong type.
    """
    import pydantic

    wanted = {field.name: field.default for field in dataclasses.fields(form) if field.name in ("schema", "version")}  # type: ignore[arg-type]
    found = {key: data.get(key) for key in wanted} if isinstance(data, Mapping) else None
    if found != wanted:
        expected = " version ".join(repr(value) for value in wanted.values())
        other = "no JSON object" if found is None else " version ".join(repr(value) for value in found.values())
        raise SchemaError(f"{name}: expected {expected}, found {other}; {remedy}.")
    try:
        return _adapter(form).validate_python(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SchemaError(f"{name}: {where or 'file'}: {first['msg']}; {remedy}.") from error


def describe_schema(form: type[Any], *, written: bool = True) -> dict[str, Any]:
    """The JSON Schema of a ``form``, either as ``to_plain`` writes it or as users write it for the suite."""
    from pydantic.json_schema import GenerateJsonSchema

    class EveryKey(GenerateJsonSchema):
        """Marks every key as required: written files have the keys with a default too."""

        def field_is_required(self, field: Any, total: bool) -> bool:
            return True

    described = (
        _adapter(form).json_schema(mode="serialization", schema_generator=EveryKey)
        if written
        else _adapter(form).json_schema(mode="validation")
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def _adapter(form: type[T]) -> TypeAdapter[T]:
    import pydantic

    if form not in _ADAPTERS:
        _ADAPTERS[form] = pydantic.TypeAdapter(form)
    return _ADAPTERS[form]


def _keys(form: type[Any]) -> tuple[tuple[str, str], ...]:
    if form not in _KEYS:
        _KEYS[form] = tuple((f.name, str(f.metadata.get("alias", f.name))) for f in dataclasses.fields(form))
    return _KEYS[form]
