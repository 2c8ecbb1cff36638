"""A bisection: both ends first, then halves, then both ends once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from android_suite.bisection.bench import Bench, UntestableError
from android_suite.bisection.points import Points
from android_suite.bisection.search import Standing, find_first
from android_suite.errors import BuildError, PatchError, UsageError
from android_suite.model.bisection import Bisection, Outcome, PointResult, PointStanding
from android_suite.model.comparison import MetricComparison
from android_suite.model.plan import MIN_BOOTS
from android_suite.model.verdict import Verdict
from android_suite.store.run import Run

MORE_SEEDS = 2  # at a time, where a position is UNDECIDED
_MOVED = (Verdict.BETTER, Verdict.WORSE)
_NAMES: dict[Standing, PointStanding] = {
    Standing.BEFORE: "before",
    Standing.AFTER: "after",
    Standing.SKIPPED: "skipped",
}


@dataclass
class Bisector:
    """One bisection; call ``run`` once.

    Args:
        points: the kernels.
        bench: records and compares them.
        metric: by which they are judged.
        identify: SHA-256 of a kernel's image: a name may mean another kernel later.
        try_boot: boots a kernel briefly; why it does not boot, or None.
        say: told of each answer.
    """

    points: Points
    bench: Bench
    metric: str
    identify: Callable[[str], str | None] = lambda _: None
    try_boot: Callable[[str], str | None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    _seeds: dict[int, int] = field(default_factory=dict)
    _answers: dict[int, MetricComparison] = field(default_factory=dict)
    _reasons: dict[int, str] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)
    recorded: dict[int, tuple[Run, ...]] = field(default_factory=dict, init=False)  # of each position
    _odd: set[int] = field(default_factory=set)  # positions with a level that is neither the start's nor the end's
    _notes: list[str] = field(default_factory=list)

    def run(self) -> Bisection:
        """Finds the first position at which the metric has moved.

        Raises:
            UsageError: the start or the end cannot be built, booted or measured.
            LabError: the test setup failed; another call continues.
        """
        count = len(self.points.titles) - 1
        standings = {0: Standing.BEFORE}
        try:
            standings[count] = self.judge(count)
        except UntestableError as error:
            raise UsageError(f"the end cannot be tested, so there is nothing to compare with: {error}") from error
        end = self._answers[count]
        self.say(f"{self.points.titles[count]}: {self.metric} is {end.verdict}, {self._describe(end)}")
        if standings[count] is not Standing.AFTER:
            outcome: Outcome = "nothing moved" if standings[count] is Standing.BEFORE else "undecided"
            return self._result(outcome, (), standings)
        found = find_first(count, self._test)
        standings |= found.tested
        self._compare_levels(count, standings)
        return self._result("found" if found.first is not None else "hidden", found.suspects, standings)

    def _test(self, position: int) -> Standing:
        try:
            standing = self.judge(position)
        except UntestableError as error:
            self._reasons[position] = str(error)
            standing = Standing.SKIPPED
        told = self._reasons.get(position) or self._describe(self._answers[position])
        self.say(
            f"{position} of {len(self.points.titles) - 1}, {self.points.titles[position]}: {standing.value}, {told}"
        )
        return standing

    def judge(self, position: int) -> Standing:
        """The position against position 0 and, if that is undecided, against the end; then with more seeds, if there are more.

        A change of code that has nothing to do with the metric still shifts it a little, in virtual time as well: too
        much to be shown the same as the start, and far from the end. A position that moved the other way than the end did
        is before the change that is looked for: that one is behind it.

        Raises:
            UntestableError: it cannot be built, booted or measured; the text says why.
            UsageError: position 0 cannot.
        """
        seeds = min(MIN_BOOTS, len(self.bench.plan.seeds))
        while True:
            base, ours = self._record_start(seeds), self._record(position, seeds)
            answer = self._answers[position] = self.bench.compare(base, ours)
            if answer.verdict in _MOVED:
                if self._direction(position) in (answer.verdict, None):
                    return Standing.AFTER
                self._odd.add(position)
                return Standing.BEFORE
            if answer.verdict is Verdict.SAME:
                return Standing.BEFORE
            if (standing := self._look_back(position, seeds, ours)) is not None:
                return standing
            if seeds >= len(self.bench.plan.seeds):
                self._reasons[position] = f"undecided with {seeds} seeds: {answer.reason}"
                return Standing.SKIPPED
            seeds = min(seeds + MORE_SEEDS, len(self.bench.plan.seeds))

    def _direction(self, position: int) -> Verdict | None:
        """Whether the end is BETTER or WORSE than the start; None at the end itself, or where that is not known."""
        count = len(self.points.titles) - 1
        if position == count:
            return None
        try:
            if count not in self._answers:
                self.judge(count)
        except UntestableError:
            return None
        verdict = self._answers[count].verdict
        return verdict if verdict in _MOVED else None

    def _look_back(self, position: int, seeds: int, ours: Sequence[Run]) -> Standing | None:
        """Where the position is, seen from the end: before, if the way to it is that from the start."""
        if (whole := self._direction(position)) is None:
            return None
        try:
            answer = self.bench.compare(ours, self._record(len(self.points.titles) - 1, seeds))
        except UntestableError:
            return None
        if answer.verdict is Verdict.SAME:
            return Standing.AFTER
        return Standing.BEFORE if answer.verdict == whole else None

    def _record(self, position: int, seeds: int) -> tuple[Run, ...]:
        try:
            kernel = self.points.kernel(position)
        except (PatchError, BuildError) as error:
            raise UntestableError(str(error)) from error  # it has the hunk, or the first error of the compiler
        label, digest = self.points.label(position), self.identify(kernel)
        if self.points.needs_trial and kernel not in self._tried and not self.bench.has_booted(label, kernel, digest):
            self._tried.add(kernel)
            if reason := self.try_boot(kernel):
                raise UntestableError(reason if reason.startswith("it ") else f"it did not boot: {reason}")
        self._seeds[position] = max(seeds, self._seeds.get(position, 0))
        runs = self.bench.record(label, kernel, digest, self.bench.plan.seeds[:seeds])
        if len(runs) > len(self.recorded.get(position, ())):
            self.recorded[position] = runs
        return runs

    def _record_start(self, seeds: int) -> tuple[Run, ...]:
        """Position 0: what is wrong with it is no fault of the position that it is needed for."""
        try:
            return self._record(0, seeds)
        except UntestableError as error:
            if seeds <= MIN_BOOTS:
                raise UsageError(f"the start cannot be tested, so there is nothing to compare with: {error}") from error
            raise UntestableError(f"there is nothing to compare it with: of the start, {error}") from error

    def _compare_levels(self, count: int, standings: dict[int, Standing]) -> None:
        """Notes positions whose level is neither that of the start nor that of the end."""
        end = self._answers[count].verdict.lower()
        for position in sorted(self._odd):
            self._notes.append(
                f"position {position} moved the other way than the end, which is {end} "
                f"({self._describe(self._answers[position])}): more than one change moves {self.metric}"
            )
        for position, standing in sorted(standings.items()):
            if standing is not Standing.AFTER or position == count:
                continue
            seeds = min(self._seeds[position], self._seeds[count])
            answer = self.bench.compare(self._record(position, seeds), self._record(count, seeds))
            if answer.verdict in _MOVED:
                self._odd.add(position)
                self._notes.append(
                    f"position {position} differs from the end, too ({self._describe(answer)}): more than one change "
                    f"moves {self.metric}"
                )

    def _repeat_ends(self, count: int) -> bool:
        """Records each end again under one seed: in virtual time that must give the same trace. Notes what does not."""
        for position, index in ((0, 0), (count, min(1, len(self.bench.plan.seeds) - 1))):
            kernel = self.points.kernel(position)
            first = self._record(position, index + 1)[index:]
            seed = self.bench.plan.seeds[index : index + 1]
            try:
                again = self.bench.record(f"{self.points.label(position)}-again", kernel, self.identify(kernel), seed)
            except UntestableError as error:
                said = f"position {position} could not be recorded again: {error}"
            else:
                if _digests(again) == _digests(first):
                    continue
                said = f"position {position} gave another trace when it was recorded again"
            self._notes.append(f"{said}: nothing here can be trusted")
            return False
        return True

    def _result(self, outcome: Outcome, suspects: tuple[int, ...], standings: dict[int, Standing]) -> Bisection:
        count = len(self.points.titles) - 1
        repeated = self._repeat_ends(count)
        end = self._answers[count]
        points = []
        for position, title in enumerate(self.points.titles):
            answer = self._answers.get(position)
            points.append(
                PointResult(
                    position=position,
                    title=title,
                    standing=_NAMES[standings[position]] if position in standings else "untested",
                    reason=self._reasons.get(position, ""),
                    level=end.baseline.level if position == 0 else answer.candidate.level if answer else None,
                    verdict=str(answer.verdict) if answer else None,
                    boots=self.bench.boots.get(self.points.label(position), 0),
                )
            )
        return Bisection(
            metric=self.metric,
            scenario=end.scenario,
            unit=end.unit,
            margin=end.margin_text,
            source=self.points.source,
            seeds=self.bench.plan.seeds,
            outcome=outcome,
            first=suspects[0] if outcome == "found" else None,
            suspects=suspects,
            direction=None if end.verdict not in _MOVED else "better" if end.verdict is Verdict.BETTER else "worse",
            monotone=not self._odd if suspects else None,
            repeated=repeated,
            boots=sum(self.bench.boots.values()),
            builds=self.points.builds,
            points=tuple(points),
            notes=tuple(self._notes),
        )

    def _describe(self, answer: MetricComparison) -> str:
        base, cand = answer.baseline.level, answer.candidate.level
        if base is None or cand is None:
            return "unknown"
        return f"{base:.4g} -> {cand:.4g} {answer.unit}".rstrip()


def _digests(runs: Sequence[Run]) -> list[str | None]:
    return [item.trace_digest for run in runs for item in run.manifest.iterations]
