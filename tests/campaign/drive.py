"""Runs one scripted campaign: `drive.py PLAN OUT FAULTS SECONDS`. A process that tests may kill."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from android_suite.campaign.plan_file import read_plan
from android_suite.campaign.qualify import Collaborators, qualify
from android_suite.errors import SuiteError
from tests.campaign.scripted import ScriptedAnalyzer, ScriptedRecorder


def main() -> int:
    from tests.campaign.scripted_compare import (  # not in the jobs: pandas takes a second
        compare_scripted,
        render_scripted,
    )

    # A test run in the background of a shell inherits an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    plan, out, faults, seconds = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
    collaborators = Collaborators(
        recorder=ScriptedRecorder(faults, seconds),
        analyzer=ScriptedAnalyzer(faults, seconds / 4),
        comparer=compare_scripted,
        renderer=render_scripted,
    )
    try:
        outcome = qualify(read_plan(plan, scenarios=("gc_stress",)), out, collaborators, workers=2)
    except KeyboardInterrupt:
        return 130
    except SuiteError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
