"""A run and its iterations, from creating the folder to sealing it; the same for every way of recording.

A crash of the tested kernel or app is a result, sealed with the run. If the test setup fails, the evidence so far is
sealed as incomplete and the error is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from android_suite.boot.booted import KernelCrashed
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
    """Creates a run directory, records into it and seals it, even if the work fails.

    Args:
        folder: folder of the run; must not exist, or be empty.
        work: records iterations into the run.
        label: name of this side in comparisons.
        mode: ``realtime`` or ``deterministic``.
        overlays: SHA-256 of each archive added to the image of the virtual device, in order.
        say: called with progress messages.

    Returns:
        The sealed run; a crash of the tested kernel while it booted is in its manifest.

    Raises:
        UsageError: ``folder`` is in use.
        SuiteError: the work raised it; a run with iterations is sealed and kept, an empty one removed.
    """
    writer = create_run(folder, label=label, mode=mode, overlays=overlays)
    try:
        work(writer)
    except KernelCrashed as error:
        writer.set_crash(error.crash)
    except BaseException as error:
        if writer.manifest.iterations:
            writer.add_note(f"recording ended early: {str(error) or type(error).__name__}")
            writer.seal()
            say(f"the recording so far is kept in {writer.path}")
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
    """Does the work of one iteration and seals it, even if the work fails.

    Args:
        out: the iteration.
        work: collects the evidence and judges it.
        crash_probe: called after a loss of the device to find a crash of the tested kernel.
        say: called with progress messages.

    Returns:
        The sealed iteration, also after a crash of the tested kernel or app.

    Raises:
        SuiteError: the work raised it, or its outcome has it; the iteration is sealed as incomplete.
    """
    try:
        outcome = work()
    except SuiteError as error:
        crash = _find_crash(error, crash_probe, say)
        if crash is None:
            out.seal("incomplete", str(error))
            raise
        say(f"{crash.kind}: {crash.summary}")
        return out.seal("incomplete", f"the tested kernel or app crashed ({crash.kind}): {crash.summary}", crash=crash)
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


def _find_crash(error: SuiteError, crash_probe: CrashProbe | None, say: Say) -> CrashRecord | None:
    """The crash that caused the loss of the device, if the tested kernel crashed."""
    if crash_probe is None or not isinstance(error, DeviceLost | AdbTimeout):
        return None
    say("the device is gone: waiting for it, to see whether its kernel crashed")
    return crash_probe()
