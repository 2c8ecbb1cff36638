"""Numbers that a device prints. A hostile or broken one prints anything."""

from __future__ import annotations


def read_count(text: str | bytes) -> int | None:
    """A whole number of at most 18 digits, which any column holds; None for anything else.

    ``str.isdigit`` alone takes digits that ``int`` does not know, and ``int`` refuses thousands of them.
    """
    word = (text.decode("ascii", errors="replace") if isinstance(text, bytes) else text).strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else None
