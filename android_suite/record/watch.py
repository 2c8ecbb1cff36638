"""Looks after the device around one iteration, and discards the iteration if the device disturbed it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from android_suite.ready.keeper import Keeper
from android_suite.store.run import IterationWriter
from android_suite.workload.workload import Outcome


class Watch:
    """One iteration under a keeper. ``may_repeat``: whether a disturbed iteration will be repeated."""

    def __init__(self, keeper: Keeper, *, may_repeat: bool) -> None:
        self._keeper, self._may_repeat = keeper, may_repeat
        self._state: dict[str, Any] = {}

    def begin(self) -> None:
        """Waits until the device is ready.

        Raises:
            NotReady: it does not become so.
        """
        self._keeper.wait_ready()
        self._state = self._keeper.describe()

    def end(self, outcome: Outcome, out: IterationWriter) -> Outcome:
        """The outcome, discarded if the device disturbed the iteration; the reasons are in ``ready.json``, too."""
        _write(out, self._state)  # what follows asks the device, which may fail
        disturbed = self._keeper.check()
        _write(out, {**self._state, **self._keeper.describe_end(), "disturbed": list(disturbed)})
        if not disturbed or outcome.crash or outcome.fault is not None:
            return outcome
        out.note(repeated=self._may_repeat)
        reasons = f"the device disturbed it: {'; '.join(disturbed)}"
        return replace(outcome, discarded=f"{outcome.discarded}; {reasons}" if outcome.discarded else reasons)


def _write(out: IterationWriter, state: dict[str, Any]) -> None:
    out.write("ready.json", json.dumps(state, indent=1) + "\n")
