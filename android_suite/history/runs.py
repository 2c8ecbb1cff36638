"""Finds the runs of a store and reads what comparisons use of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from android_suite.analyze import is_analyzed, load_samples
from android_suite.compare.boots import select_traced
from android_suite.errors import SchemaError, SuiteError, UsageError
from android_suite.model.document import parse_json
from android_suite.model.history import Refused
from android_suite.model.run import Manifest
from android_suite.store import layout
from android_suite.store.remote import open_store

JOURNAL = "journal.jsonl"  # of a campaign
_UNFINISHED = frozenset({"partial", "failed"})  # its folders that hold no result
_DEEPEST = 12  # folders below the store
_JOURNAL_LINE = 1 << 20  # bytes; the plan is on the first line


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """One run: where it is, its manifest, its samples (those that count), and the plan of its campaign, if any."""

    path: str  # relative to the store
    manifest: Manifest
    samples: pd.DataFrame
    plan: dict[str, Any] | None


def find_stored_runs(store: Path) -> Iterator[tuple[Path, Path | None]]:
    """Every run directory below ``store`` with the folder of its campaign, in the order of their paths.

    Links are not followed, so that nothing outside the store is read; unfinished and failed jobs are no results.

    Raises:
        UsageError: the store is not a folder.
    """
    if not store.is_dir():
        raise UsageError(f"{store} is not a folder; give one with runs, such as the -o of record or qualify.")
    yield from _walk(store, None, 0)


def _walk(folder: Path, campaign: Path | None, depth: int) -> Iterator[tuple[Path, Path | None]]:
    if _is_own_file(folder / layout.MANIFEST):
        yield folder, campaign
        return
    if depth == _DEEPEST:
        return
    if _is_own_file(folder / JOURNAL):
        campaign = folder
    try:
        with os.scandir(folder) as found:
            names = sorted(e.name for e in found if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    except OSError:
        return
    for name in names:
        if not (folder == campaign and name in _UNFINISHED):
            yield from _walk(folder / name, campaign, depth + 1)


def _is_own_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def read_stored_runs(
    store: Path, *, say: Callable[[str], None], analyze: bool = True
) -> tuple[list[StoredRun], list[Refused]]:
    """Reads every run; a run that cannot be read costs the others nothing.

    Args:
        store: the folder.
        say: called with progress.
        analyze: analyze runs that were not, or by another version; else they are refused, and nothing is written.

    Raises:
        UsageError: the store has no run.
    """
    runs: list[StoredRun] = []
    refused: list[Refused] = []
    plans: dict[Path, dict[str, Any] | None] = {}
    for path, campaign in find_stored_runs(store):
        name = str(path.relative_to(store))
        if campaign is not None and campaign not in plans:
            plans[campaign] = _read_plan(campaign / JOURNAL)
        if not analyze and not is_analyzed(path):
            refused.append(Refused(run=name, reason="not analyzed by this version; run `android-suite analyze` on it."))
            continue
        try:
            run, samples = load_samples(path, say=lambda line, name=name: say(f"{name}: {line}"))  # type: ignore[misc]
        except SuiteError as error:
            refused.append(Refused(run=name, reason=str(error)))
        except (OSError, ValueError, KeyError, RecursionError) as error:  # derived/ was damaged or cannot be read
            refused.append(Refused(run=name, reason=f"its results cannot be read ({error}); analyze it again."))
        else:
            plan = plans.get(campaign) if campaign else None
            runs.append(StoredRun(path=name, manifest=run.manifest, samples=select_traced(samples), plan=plan))
    if not runs and not refused:
        raise UsageError(f"{store} has no run directory; give a folder that `record -o` or `qualify -o` made.")
    return runs, refused


def fetch_results(url: str, folder: Path, *, say: Callable[[str], None]) -> list[Refused]:
    """Brings manifest and results of every run of a run store behind a URL; the evidence stays there.

    Args:
        url: as fsspec takes it.
        folder: an empty folder, where each run gets a folder of its own.
        say: called with progress.

    Returns:
        Runs that are not what a store has, and why.

    Raises:
        UsageError: fsspec has no such protocol, or the store has no run.
        LabError: the store cannot be read.
    """
    store = open_store(url)
    names = store.names()
    if not names:
        raise UsageError(f"{url} has no run; give the URL that `qualify --store` was given.")
    refused = []
    for number, name in enumerate(names, 1):
        say(f"reading {name} ({number} of {len(names)})")
        try:
            store.fetch(name, folder / name, wanted=_is_result)
        except SchemaError as error:
            refused.append(Refused(run=name, reason=str(error)))
    return refused


def _is_result(path: str) -> bool:
    return path == layout.MANIFEST or path.startswith(f"{layout.DERIVED}/")


def _read_plan(journal: Path) -> dict[str, Any] | None:
    """The described plan at the head of a campaign's journal; None if there is none."""
    try:
        with journal.open("rb") as file:
            event = parse_json(file.readline(_JOURNAL_LINE), str(journal), remedy="its plan is not shown")
    except (OSError, SchemaError):
        return None
    plan = event.get("plan") if isinstance(event, dict) else None
    return plan if isinstance(plan, dict) else None
