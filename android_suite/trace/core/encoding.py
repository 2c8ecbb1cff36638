"""Converts UTF-16 text, as PowerShell's ``>`` writes it, to UTF-8, and defines UTF-8's byte order mark."""

from __future__ import annotations

import codecs
import io

UTF8_BOM = codecs.BOM_UTF8
_CHUNK_BYTES = 16 << 20
_LOOKED_AT = 512


def find_utf16(head: bytes) -> str | None:
    """``utf-16-le`` or ``utf-16-be``, from a byte order mark or the zeros beside ASCII; None for anything else."""
    if head.startswith(codecs.BOM_UTF16_LE) and not head.startswith(codecs.BOM_UTF32_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    low, high = head[:_LOOKED_AT:2], head[1:_LOOKED_AT:2]
    for name, text, zeros in (("utf-16-le", low, high), ("utf-16-be", high, low)):
        if len(zeros) >= 8 and zeros.count(0) > 0.9 * len(zeros) and text.count(0) == 0:
            return name
    return None


def decode_utf16(data: bytes | memoryview, encoding: str) -> bytes:
    """The text as UTF-8, without its byte order mark; invalid UTF-16 becomes U+FFFD."""
    out, decoder = io.BytesIO(), codecs.getincrementaldecoder(encoding)("replace")
    for at in range(0, len(data), _CHUNK_BYTES):
        piece = bytes(data[at : at + _CHUNK_BYTES])
        out.write(decoder.decode(piece, final=at + _CHUNK_BYTES >= len(data)).encode("utf-8", "replace"))
    return out.getvalue().removeprefix(UTF8_BOM)
