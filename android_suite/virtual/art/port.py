"""Changes the Java sources of the class library as ``edits.toml`` says. Every edit must fit exactly."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from android_suite.errors import MachineError

EDITS = Path(__file__).parent / "edits.toml"
CLASSES = Path(__file__).parent / "classes"
# Roots of the Java sources in the source package; a file is in one of them only.
ROOTS = tuple(f"{name}/src/main/java/" for name in ("ojluni", "luni", "libart", "dalvik", "json", "xml"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One edit of a file.

    Attributes:
        kind: ``copy``, ``change`` or ``members``; see ``edits.toml``. Slots are members.
        file: the file, named below its source root.
        find: for ``change`` the text to replace; for ``copy`` the file to copy.
        put: for ``change`` and ``members`` the new text.
    """

    kind: str
    file: str
    find: str = ""
    put: str = ""


def parse_edits(text: str) -> tuple[Edit, ...]:
    """The edits of a TOML document: copies first, then changes and members in the document's order."""
    document = tomllib.loads(text)
    copies = [Edit(kind="copy", file=each["file"], find=each["of"]) for each in document.get("copy", ())]
    changes = [
        Edit(kind="change", file=each["file"], find=each["find"], put=each["put"])
        for each in document.get("change", ())
    ]
    members = [Edit(kind="members", file=each["file"], put=each["put"]) for each in document.get("members", ())]
    slots = [
        Edit(kind="members", file=each["file"], put=render_slots(each["count"])) for each in document.get("slots", ())
    ]
    return (*copies, *changes, *members, *slots)


def render_slots(count: int) -> str:
    """Members that do nothing but make a class's table of virtual methods ``count`` entries longer."""
    return "".join(f"    void slot{number}() {{}}\n" for number in range(1, count + 1))


def port_sources(sources: Mapping[str, str], edits: tuple[Edit, ...], classes: Mapping[str, str]) -> dict[str, str]:
    """Applies the edits and puts our classes in the place of those of the same name.

    Args:
        sources: file named below its source root -> text.
        edits: from :func:`parse_edits`.
        classes: our files, named alike.

    Raises:
        MachineError: a file is not there, or a text to replace is not in it exactly once.
    """
    ported = dict(sources)
    for edit in edits:
        ported[edit.file] = _apply(edit, ported)
    return ported | dict(classes)


def read_classes(folder: Path = CLASSES) -> dict[str, str]:
    """Our classes: file named below the folder -> text."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.java"))}


def _apply(edit: Edit, files: Mapping[str, str]) -> str:
    name = edit.find if edit.kind == "copy" else edit.file
    text = files.get(name)
    if text is None:
        raise _unfit(f"has no {name}")
    if edit.kind == "copy":
        return text
    if edit.kind == "change":
        if (count := text.count(edit.find)) != 1:
            first = edit.find.strip().splitlines()[0].strip()
            raise _unfit(f"has {first!r} {count} times in {name}, not once")
        return text.replace(edit.find, edit.put)
    end = text.rstrip().rfind("}")
    if end < 0:
        raise _unfit(f"has no class in {name}")
    return text[:end] + edit.put + text[end:]


def _unfit(what: str) -> MachineError:
    return MachineError(
        f"the class library {what}, so that our edits do not fit: it is another version than recipe.toml names; "
        "report this to the suite's authors, or record without --runtime art"
    )
