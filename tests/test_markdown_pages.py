"""Pages that benchmarks write keep the docs' line length."""

from __future__ import annotations

from benchmarks.markdown import WIDTH, wrap_page

LONG = "word " * 40


def test_sentences_are_wrapped_and_tables_are_not() -> None:
    table = f"| {LONG}|\n| :-- |"
    page = wrap_page(f"# Title {LONG}\n\n{LONG}\n{LONG}\n\n{table}\n\n- one {LONG}\n- two\n\n```\n{LONG}\n```\n")
    title, text, kept, items, code = page.rstrip("\n").split("\n\n")
    assert title == f"# Title {LONG}"
    assert kept == table
    assert code == f"```\n{LONG}\n```"
    assert text.split() == 80 * ["word"]
    assert max(map(len, (*text.splitlines(), *items.splitlines()))) <= WIDTH
    assert [line for line in items.splitlines() if line.startswith("- ")][1:] == ["- two"]
    assert all(line.startswith(("- ", "  ")) for line in items.splitlines())
    assert wrap_page(page) == page
