"""Lines of a Markdown page as long as the docs have them, whatever numbers were put into its sentences."""

from __future__ import annotations

import re
import textwrap

WIDTH = 118
_AS_IT_IS = ("|", "#", "```", "    ")


def wrap_page(text: str) -> str:
    """Wraps paragraphs and the items of lists anew; tables, headings and code stay as they are."""
    return "\n\n".join(_wrap_block(block) for block in text.rstrip("\n").split("\n\n")) + "\n"


def _wrap_block(block: str) -> str:
    if block.startswith(_AS_IT_IS):
        return block
    items = re.split(r"\n(?=- )", block)
    return "\n".join(_fill(item) for item in items)


def _fill(item: str) -> str:
    indent = "  " if item.startswith("- ") else ""
    words = " ".join(item.split())
    return textwrap.fill(words, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
