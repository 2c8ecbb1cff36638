"""The edits of the class library fit exactly or not at all."""

from __future__ import annotations

import pytest

from android_suite.errors import MachineError
from android_suite.virtual.art.port import EDITS, Edit, parse_edits, port_sources, read_classes

EDITS_TEXT = '''
[[copy]]
file = "b/Copied.java"
of = "a/Whole.java"

[[change]]
file = "b/Copied.java"
find = "package a;"
put = "package b;"

[[members]]
file = "a/Whole.java"
put = """
    native int added();
"""

[[slots]]
file = "a/Whole.java"
count = 2
'''
WHOLE = "package a;\n\nclass Whole {\n    class Inner {}\n}\n"


def test_edits_are_made_in_order_and_ours_replace_theirs() -> None:
    ported = port_sources(
        {"a/Whole.java": WHOLE, "a/Other.java": "theirs"}, parse_edits(EDITS_TEXT), {"a/Other.java": "ours"}
    )
    assert ported == {
        "a/Whole.java": "package a;\n\nclass Whole {\n    class Inner {}\n    native int added();\n"
        "    void slot1() {}\n    void slot2() {}\n}\n",
        "b/Copied.java": WHOLE.replace("package a;", "package b;"),
        "a/Other.java": "ours",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class A { int x; int x; }", "has 'int x;' 2 times in A.java, not once"),
        ("class A {}", "has 'int x;' 0 times in A.java, not once"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(MachineError, match="record without --runtime art") as refused:
        port_sources({"A.java": text}, (Edit(kind="change", file="A.java", find="int x;", put="int y;"),), {})
    assert sentence in str(refused.value)


@pytest.mark.parametrize("kind", ["change", "members"])
def test_a_file_that_is_not_there_is_refused(kind: str) -> None:
    with pytest.raises(MachineError, match=r"the class library has no Gone\.java"):
        port_sources({}, (Edit(kind=kind, file="Gone.java", find="a", put="b"),), {})


def test_a_file_without_a_class_is_refused() -> None:
    with pytest.raises(MachineError, match=r"has no class in A\.java"):
        port_sources({"A.java": "// nothing\n"}, (Edit(kind="members", file="A.java", put="int x;"),), {})


def test_our_edits_change_no_class_that_is_wholly_ours() -> None:
    """An edit of a file that classes/ replaces would be lost."""
    edits = parse_edits(EDITS.read_text())
    assert {edit.file for edit in edits}.isdisjoint(read_classes())
    assert len({edit.file for edit in edits}) >= 19
    for edit in edits:
        assert edit.put or edit.kind == "copy", edit
        if edit.kind == "change":
            assert edit.find != edit.put
            assert edit.find.strip()
