"""A run and its iterations, from creating the folder to sealing it: the same for every way of recording.

What is tested may crash: that is data, sealed with the run. When the lab fails, the evidence so far is sealed as
incomplete and the fault is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from android_suite.boot.virtual import GuestCrashed
from android_suite.errors import AdbTimeout, DeviceLost, SuiteError
from android_suite.model.identity import CrashRecord
from android_suite.model.run import IterationRecord, Mode
from android_suite.store.run import IterationWriter, Run, RunWriter, create_run
from android_suite.workload.workload import Outcome

CrashProbe = Callable[[], CrashRecord | None]
Say = Callable[[str], None]


def silent(_: str) -> None:
    """Says nothing."""


def record_run(
    folder: Path,
    work: Callable[[RunWriter], object],
    *,
    label: str,
    mode: Mode,
    overlays: Sequence[str] = (),
    say: Say = silent,
) -> Run:
    """Creates a run directory, records into it and seals it, however the work ends.

    Args:
        folder: of the run; must not exist, or be empty.
        work: records iterations into the run.
        label: what to call this side in comparisons.
        mode: of the recording.
        overlays: SHA-256 of each archive that is added to the virtual device's image, in order.
        say: takes a few words on what is going on.

    Returns:
        The sealed run; a crash of the tested kernel while it booted is in its manifest.

    Raises:
        UsageError: ``folder`` is taken.
        SuiteError: the work raised it; a run with iterations is sealed and kept, an empty one removed.
    """
    writer = create_run(folder, label=label, mode=mode, overlays=overlays)
    try:
        work(writer)
    except GuestCrashed as error:
        writer.set_crash(error.crash)
    except BaseException as error:
        if writer.manifest.iterations:
            writer.add_note(f"recording ended early: {str(error) or type(error).__name__}")
            writer.seal()
            say(f"what was recorded so far is kept in {writer.path}")
        else:
            writer.drop()
        raise
    return writer.seal()


def record_iteration(
    out: IterationWriter,
    work: Callable[[], Outcome],
    *,
    crash_probe: CrashProbe | None = None,
    say: Say = silent,
) -> IterationRecord:
    """Does the work of one iteration and seals it, however the work ends.

    Args:
        out: the iteration.
        work: gathers the evidence and judges it.
        crash_probe: asked after a loss of the device whether what is tested crashed.
        say: takes a few words on what is going on.

    Returns:
        The sealed iteration, also after a crash of what is tested.

    Raises:
        SuiteError: the work raised it, or its outcome holds it; the iteration is sealed as incomplete.
    """
    try:
        outcome = work()
    except SuiteError as error:
        crash = _find_crash(error, crash_probe)
        if crash is None:
            out.seal("incomplete", str(error))
            raise
        say(f"{crash.kind}: {crash.summary}")
        return out.seal("incomplete", f"{crash.kind} of what is tested: {crash.summary}", crash=crash)
    except BaseException:
        out.seal("incomplete", "interrupted")
        raise
    doubts = "; ".join(filter(None, [outcome.incomplete, *out.doubts]))
    if doubts or outcome.crash:
        record = out.seal("incomplete", doubts, crash=outcome.crash)
    elif outcome.discarded:
        record = out.seal("discarded", outcome.discarded)
    else:
        record = out.seal("complete")
    if outcome.fault is not None:
        raise outcome.fault
    return record


def _find_crash(error: SuiteError, crash_probe: CrashProbe | None) -> CrashRecord | None:
    """The crash behind a loss of the device, if the tested kernel is at fault."""
    if crash_probe is None or not isinstance(error, DeviceLost | AdbTimeout):
        return None
    return crash_probe()
