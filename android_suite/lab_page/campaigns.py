"""Reads the campaigns of a store from their journals, as far as they are written. Nothing is locked or changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from android_suite.errors import SchemaError
from android_suite.lab_page.files import Refused, open_member
from android_suite.model.document import parse_json
from android_suite.model.lab_page import Campaign, CampaignStatus, Failure

JOURNAL = "journal.jsonl"
_DEEPEST = 6  # folders below the store
_MOST_CAMPAIGNS = 500
_MOST_FAILURES = 100  # of a campaign; the latest
_LARGEST = 64 << 20  # bytes of a journal or a manifest that are read
_REPORTS = ("report.html", "report.md", "summary.json", "junit.xml", "provenance.json")


@dataclass(slots=True)
class CampaignReader:
    """Reads the same store again and again; what did not change is not read twice.

    Args:
        store: the folder.
    """

    store: Path
    _journals: dict[Path, tuple[object, list[dict[str, Any]], str]] = field(default_factory=dict)
    _crashes: dict[Path, tuple[object, tuple[Failure, ...]]] = field(default_factory=dict)

    def read(self) -> list[Campaign]:
        """Every campaign, the latest news first."""
        found = [self._read(folder) for folder in find_campaigns(self.store)]
        return sorted(found, key=lambda c: (c.status == "running", c.last_at, c.folder), reverse=True)

    def _read(self, folder: Path) -> Campaign:
        events, trouble = self._events(folder / JOURNAL)
        name = folder.relative_to(self.store).as_posix()
        plan: Mapping[str, Any] = next((e["plan"] for e in events if isinstance(e.get("plan"), dict)), {})
        last = events[-1] if events else {}
        progress: Mapping[str, Any] = next((e for e in reversed(events) if e.get("event") == "progress"), {})
        done = {_text(e, "job") for e in events if e.get("event") == "analyzed"}
        total = _number(progress, "total")
        status = _judge(folder, last)
        failures = [*_list_failures(events), *self._read_crashes(folder, done)]
        failures.sort(key=lambda f: f.at)
        remaining = _number(progress, "remaining_s") if status == "running" else None
        return Campaign(
            key=hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:12],
            folder=name,
            plan=_text(plan, "name") or name,
            mode=_text(plan, "mode"),
            status=status,
            begun_at=_text(events[0], "at") if events else "",
            last_at=_text(last, "at"),
            done=max(len(done), int(_number(progress, "done") or 0)),
            total=None if total is None else int(total),
            running=_running(events, progress) if status == "running" else (),
            remaining_s=remaining,
            exit_code=_exit_code(last),
            failures=tuple(failures[-_MOST_FAILURES:]),
            retries=sum(e.get("event") == "start" and (_number(e, "attempt") or 1) > 1 for e in events),
            reports=tuple(_list_reports(folder)),
            trouble=trouble,
        )

    def _events(self, journal: Path) -> tuple[list[dict[str, Any]], str]:
        state = _state_of(journal)
        known = self._journals.get(journal)
        if known is None or known[0] != state:
            known = (state, *_read_events(journal))
            self._journals[journal] = known
        return known[1], known[2]

    def _read_crashes(self, folder: Path, done: set[str]) -> Iterator[Failure]:
        """Crashes of the tested kernels in finished jobs: results, whose evidence is in the manifest."""
        for job in sorted(done):
            if not job or "/" in job or job.startswith("."):
                continue
            manifest = folder / "jobs" / job / "manifest.json"
            state = _state_of(manifest)
            known = self._crashes.get(manifest)
            if known is None or known[0] != state:
                known = (state, tuple(_list_crashes(folder, job)))
                self._crashes[manifest] = known
            yield from known[1]


def find_campaigns(store: Path) -> list[Path]:
    """Folders with a journal below the store (or the store itself), in the order of their names; links are not followed."""
    found: list[Path] = []

    def walk(folder: Path, depth: int) -> None:
        journal = folder / JOURNAL
        if journal.is_file() and not journal.is_symlink():
            found.append(folder)
            return
        if depth == _DEEPEST or len(found) >= _MOST_CAMPAIGNS or (folder / "manifest.json").is_file():
            return
        try:
            with os.scandir(folder) as entries:
                names = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != ".")
        except OSError:
            return
        for name in names:
            walk(folder / name, depth + 1)

    walk(store, 0)
    return found[:_MOST_CAMPAIGNS]


def _read_events(journal: Path) -> tuple[list[dict[str, Any]], str]:
    try:
        with journal.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        return [], f"the journal cannot be read: {error.strerror}"
    trouble = "the journal is too large to be read whole" if len(data) > _LARGEST else ""
    *lines, _cut = data.split(b"\n")  # a line that is being written has no end yet
    events, bad = [], 0
    for line in lines:
        try:
            event = parse_json(line, "a line of the journal", remedy="it is left out")
        except SchemaError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        else:
            bad += bool(line)
    return events, trouble or (f"{bad} lines of the journal are damaged" if bad else "")


def _list_failures(events: list[dict[str, Any]]) -> Iterator[Failure]:
    for event in events:
        if event.get("event") in ("failed", "set_aside", "lost", "quarantined", "duplicate"):
            yield Failure(
                job=_text(event, "job") or _text(event, "device"),
                at=_text(event, "at"),
                kind=_text(event, "error") or _text(event, "event").replace("_", " "),
                fault=_text(event, "fault"),
                text=_text(event, "text"),
                evidence=_text(event, "kept"),
            )


def _list_crashes(folder: Path, job: str) -> Iterator[Failure]:
    try:
        opened, _ = open_member(folder, f"jobs/{job}/manifest.json")
        if opened is None:
            return
        with opened:
            text = opened.read(_LARGEST + 1)
        data = parse_json(text, "a manifest", remedy="it is left out") if len(text) <= _LARGEST else None
    except (OSError, Refused, SchemaError):
        return
    iterations = data.get("iterations") if isinstance(data, dict) else None
    parts = [data, *(iterations if isinstance(iterations, list) else [])]
    for part in parts:
        crash = part.get("crash") if isinstance(part, dict) else None
        if isinstance(crash, dict):
            yield Failure(
                job=job,
                at=_text(part, "started_at") or _text(part, "created_at"),
                kind=_text(crash, "kind"),
                fault="kernel",
                text=_text(crash, "summary"),
                evidence=f"jobs/{job}/manifest.json",
            )


def _running(events: list[dict[str, Any]], progress: Mapping[str, Any]) -> tuple[str, ...]:
    running = progress.get("running")
    return tuple(str(job) for job in running[:200]) if isinstance(running, list) else ()


def _exit_code(last: Mapping[str, Any]) -> int | None:
    code = _number(last, "exit_code") if last.get("event") == "finished" else None
    return None if code is None else int(code)


def _judge(folder: Path, last: Mapping[str, Any]) -> CampaignStatus:
    event = last.get("event")
    if event == "finished":
        return "finished"
    if is_locked(folder / ".lock"):
        return "running"
    return "interrupted" if event == "interrupted" else "stopped"


def is_locked(path: Path, table: Path = Path("/proc/locks")) -> bool:
    """Whether a process of this host holds a lock on the file.

    It is read from the kernel's table: to try the lock could keep a `qualify` that starts at that moment from it.
    """
    try:
        inode = path.stat(follow_symlinks=False).st_ino
        return any(line.split()[5].endswith(f":{inode}") for line in table.read_text().splitlines() if "FLOCK" in line)
    except (OSError, IndexError):
        return False


def _list_reports(folder: Path) -> Iterator[str]:
    try:
        sides = sorted(
            p.name for p in folder.iterdir() if p.name.startswith("vs-") and p.is_dir() and not p.is_symlink()
        )
    except OSError:
        return
    for prefix in ("", *(f"{side}/" for side in sides[:50])):
        for name in _REPORTS:
            file = folder / f"{prefix}{name}"
            if file.is_file() and not file.is_symlink():
                yield f"{prefix}{name}"


def _state_of(path: Path) -> object:
    try:
        at = path.stat()
    except OSError:
        return None
    return at.st_mtime_ns, at.st_size, at.st_ino


def _text(of: Mapping[str, Any], key: str) -> str:
    value = of.get(key)
    return value if isinstance(value, str) else ""


def _number(of: Mapping[str, Any], key: str) -> float | None:
    value = of.get(key)
    return value if isinstance(value, int | float) and abs(value) < 1e12 else None
