"""Measures how often the suite finds slowdowns planted into real boots of one kernel, and how often it errs.

    python -m benchmarks.planted record FOLDER                               7 variants of 10 seeds; run again to resume
    python -m benchmarks.planted table FOLDER --write docs/power-planted.md  power, by resampling the recorded boots

The boots are deterministic: boots of one seed differ only in the planted switch. ``android_suite.stats.decision``, the
code that judges real runs, judges every draw from them.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from android_suite.analyze import RunAnalysis, load_run
from android_suite.errors import SuiteError, UsageError
from android_suite.model.metrics import CATALOGUE, Margin, find_metric
from android_suite.stats.decision import MIN_BOOTS, POWER, Question, judge_family
from benchmarks.markdown import wrap_page
from benchmarks.simulated import CONFIDENCE, count_alarms, pose_question, screen

AS_IT_IS = "as it is"
# variant -> what the guest's switches are set to (docs/guest.md)
VARIANTS: Mapping[str, Mapping[str, int]] = {
    AS_IT_IS: {},
    **{f"UI +{percent} %": {"ui_slowdown_pct": percent} for percent in (2, 5, 10)},
    **{f"GC hold +{percent} %": {"gc_hold_pct": percent} for percent in (10, 25, 50)},
}
# switch -> the metrics it should move, headlines first
RESPONDING = {
    "ui_slowdown_pct": ("frameOverrunMs_p95", "jankyFramesPct", "frameOverrunMs_p50"),
    "gc_hold_pct": ("mmapLockWaitMs_ui", "invertedMs", "jankyFramesPct", "gcDurationMs_p50"),
}
# A [margin] table for a team to which every 0.05 ms of a frame matters.
TIGHT = {f"frameOverrunMs_p{q}": Margin(value=0.05, unit="ms") for q in (50, 90, 95, 99)}
MARGINS: Mapping[str, Mapping[str, Margin]] = {"catalogue": {}, "tight": TIGHT}
BOOTS = (5, 10, 20)
AT_ONCE = 2

PAGE = """\
# Planted slowdowns: which are found

Written by `python -m benchmarks.planted table FOLDER --write docs/power-planted.md`, from boots that its `record` made.
[power.md](power.md) asks the same of simulated boots.

| what | value |
| :-- | :-- |
{conditions}

`UI +2 %` computes 2 % more in each frame of the UI thread (`ui_slowdown_pct`), `GC hold +10 %` has 10 % more resident pages
in what HeapTaskDaemon frees (`gc_hold_pct`), so that it holds `mmap_lock` longer, and less often.

## What responds

Mean over seeds of the paired difference to the boots as they are, ± half its 95 % interval (Student); **bold** where that
excludes zero (each on its own, uncorrected). Spread: standard deviation between seeds of the boots as they are.

{effects}

## Power

Percent of experiments in which the metric's verdict is **WORSE / SAME** (and BETTER, where there is a third number); the
rest is UNDECIDED. Each of the {experiments} experiments of a cell draws its boots with replacement from the {seeds} seeds,
and all {metrics} metrics are judged as one family, headlines weighing as in `compare`. Metrics that are not shown and
whose Student's p is above 0.2 skip the permutation test, which could not matter.
Margins: the catalogue's, or *tight*, 0.05 ms for every `frameOverrunMs`, as a plan's `[margin]` table may set it.

{power}

## False alarms

The boots as they are against themselves, drawn anew for each side: experiments with any BETTER or WORSE among all metrics;
the stated rate is 5 %. None are paired: a deterministic boot would meet its own copy and every effect would be zero.

{alarms}

## How to read it

- A verdict needs an effect *beyond the margin*. A slowdown that moves a metric by less than its margin ends as SAME, as it
  should: the margin says that it does not matter. If it does, set a tighter one.
- The {seeds} seeds stand for all seeds. Their mean effect is itself an estimate (the ± above), which the shares ignore;
  nothing rarer than one boot in {seeds} is among them, and they spread a little less than all seeds would. So a row well
  beyond its margin or well inside it is safe, and one within its ± of the margin may be off either way. BETTER for a
  slowdown is most likely this error, as the ± of its effect includes zero wherever it is not bold. Draws of more boots than
  there are seeds hold copies and look more certain than as many new boots would.
- In profile `inversion` a frame is late when the collector happens to be preempted inside `madvise`. Any change, however
  small, shifts these moments, so the partners of a pair also differ by chance, and pairing removes little of that. With
  `record --profile steady` the collector rests at times; whether pairs are closer there has not been measured.
- The metrics were chosen beforehand by what the switches should move, except `gcDurationMs_p50`, which was added after the
  first boots had been seen.
- The {experiments} experiments of a cell add at most ± {error:.1f} points (one standard error).
- Times are virtual, one nanosecond per instruction: the page shows what the suite finds of a change, not what the change
  costs on a phone.
"""


def record_boots(folder: Path, *, seeds: Sequence[int], settings: Mapping[str, str | int], kernel: str) -> None:
    """Records and analyzes every variant of every seed, except those that are already there.

    ``settings`` are the scenario's parameters that all variants have in common.

    Raises:
        SuiteError: a recording failed; no other was started after it.
    """
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    wanted = [(seed, variant) for seed in seeds for variant in VARIANTS]  # by seed: each complete one counts
    failed = threading.Event()

    def record(seed: int, variant: str) -> None:
        if failed.is_set():
            return
        try:
            _record_one(folder, seed, variant, settings, kernel)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(record, seed, variant) for seed, variant in wanted]
        try:
            for job in as_completed(jobs):
                job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _record_one(folder: Path, seed: int, variant: str, settings: Mapping[str, str | int], kernel: str) -> None:
    name = f"seed-{seed:02d}{''.join(f'-{switch}-{percent}' for switch, percent in VARIANTS[variant].items())}"
    final, unfinished = folder / name, folder / "partial" / name
    if not final.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            *(sys.executable, "-m", "android_suite.cli.main", "record", "gc_stress", "--deterministic"),
            *("--kernel", kernel, "--seed", str(seed), "--label", variant, "-o", str(unfinished)),
            *(word for key, value in {**settings, **VARIANTS[variant]}.items() for word in ("--set", f"{key}={value}")),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SuiteError(f"{name}: record ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        unfinished.rename(final)
    load_run(final)
    print(f"{name}: recorded and analyzed", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The boots of all variants: one frame each, with a row per seed (the same ones, ascending) and a column per metric."""

    boots: Mapping[str, pd.DataFrame]
    conditions: Mapping[str, str]


def read_boots(folder: Path) -> Recorded:
    """Reads every seed that has all variants.

    Raises:
        UsageError: too few seeds, or runs that differ in more than the switches.
    """
    return gather_boots([load_run(path.parent) for path in sorted(folder.glob("seed-*/manifest.json"))])


def gather_boots(analyses: Sequence[RunAnalysis]) -> Recorded:
    """The same from loaded analyses.

    Raises:
        UsageError: see `read_boots`.
    """
    samples = [each.samples[each.samples["quality"] == "exact"] for each in analyses]
    boots = {}
    for variant in VARIANTS:
        rows = pd.concat([s[s["label"] == variant] for s in samples]) if samples else pd.DataFrame()
        boots[variant] = rows.pivot(index="seed", columns="metric", values="value") if len(rows) else rows
    seeds = sorted(set.intersection(*(set(frame.index) for frame in boots.values())))
    if len(seeds) < MIN_BOOTS:
        raise UsageError(f"{len(seeds)} seeds have all {len(VARIANTS)} variants; record {MIN_BOOTS} or more.")
    whole = pd.concat([frame.loc[seeds] for frame in boots.values()]).notna().all()
    known = [m.name for m in CATALOGUE if whole.get(m.name, False)]  # one that is not exact everywhere is left out
    used = [each.run.manifest for each in analyses if each.run.manifest.iterations[0].seed in seeds]
    kinds = set()
    for manifest in used:
        release = manifest.kernel.release if manifest.kernel else "?"
        parameters = manifest.iterations[0].parameters
        kinds.add((release, *(str(parameters[name]) for name in ("profile", "duration_ms")), manifest.suite))
    if len(kinds) > 1:
        raise UsageError(f"the runs are of {len(kinds)} kinds, {' and '.join(map(str, sorted(kinds)))}; separate them.")
    ((release, profile, duration_ms, suite),) = kinds
    digests = sorted(manifest.iterations[0].trace_digest or "" for manifest in used)
    conditions = {
        "kernel": release,
        "scenario": f"gc_stress, profile {profile}, {duration_ms} ms; deterministic: QEMU, arm64, one CPU; android-suite {suite}",
        "boots": f"{len(used)}: {len(seeds)} seeds ({', '.join(map(str, seeds))}) in {len(VARIANTS)} variants",
        "SHA-256 over the sorted digests of their traces": f"`{hashlib.sha256(' '.join(digests).encode()).hexdigest()}`",
    }
    return Recorded(boots={v: frame.loc[seeds, known] for v, frame in boots.items()}, conditions=conditions)


def measure_effects(baseline: pd.DataFrame, candidate: pd.DataFrame) -> pd.DataFrame:
    """Per metric (row): ``effect``, the mean over seeds, and ``reach``, half its 95 % interval (Student)."""
    differences = candidate - baseline
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    reach = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1))
    return pd.DataFrame({"effect": differences.mean(), "reach": reach})


def draw_family(
    rng: np.random.Generator,
    baseline: pd.DataFrame,
    candidate: pd.DataFrame,
    boots: int,
    *,
    paired: bool,
    margins: Mapping[str, Margin],
) -> list[Question]:
    """One experiment: every metric of ``boots`` seeds drawn with replacement, the same on both sides where ``paired``."""
    first, second = rng.integers(len(baseline), size=(2, boots))
    if paired:
        second = first
    return [
        pose_question(
            str(name),
            find_metric(str(name)),
            list(baseline[name].to_numpy()[first, None]),
            list(candidate[name].to_numpy()[second, None]),
            paired=paired,
            margin=margins.get(str(name)),
        )
        for name in baseline
    ]


def count_verdicts(
    baseline: pd.DataFrame,
    candidate: pd.DataFrame,
    boots: int,
    *,
    paired: bool,
    margins: Mapping[str, Margin],
    shown: Sequence[str],
    experiments: int,
) -> Counter[tuple[str, str]]:
    """Experiments by metric and verdict, for the metrics ``shown``; all metrics are judged as one family."""
    rng = np.random.default_rng([boots, paired])
    names = [str(name) for name in baseline if name in shown]
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(experiments):
        questions = draw_family(rng, baseline, candidate, boots, paired=paired, margins=margins)
        answers = judge_family(screen(questions, keep=names), confidence=CONFIDENCE, seed=0, only=names)
        found.update((name, answer.verdict) for name, answer in zip(names, answers, strict=True))
    return found


def measure_alarms(base: pd.DataFrame, boots: int, *, margins: Mapping[str, Margin], experiments: int) -> float:
    """Share of experiments of ``base`` against itself, drawn anew for each side, with any BETTER or WORSE."""
    rng = np.random.default_rng(boots)
    drawn = (draw_family(rng, base, base, boots, paired=False, margins=margins) for _ in range(experiments))
    return sum(count_alarms(questions, seed=0) > 0 for questions in drawn) / experiments


def render(recorded: Recorded, experiments: int) -> str:
    """The page."""
    seeds, metrics = recorded.boots[AS_IT_IS].shape
    return PAGE.format(
        conditions="\n".join(f"| {what} | {value} |" for what, value in recorded.conditions.items()),
        effects="\n".join(_render_effects(recorded)),
        power="\n".join(_render_power(recorded, experiments)),
        alarms="\n".join(_render_alarms(recorded.boots[AS_IT_IS], experiments)),
        experiments=experiments,
        error=50 / experiments**0.5,
        seeds=seeds,
        metrics=metrics,
    )


def _render_effects(recorded: Recorded) -> Iterator[str]:
    base = recorded.boots[AS_IT_IS]
    effects = {v: measure_effects(base, boots) for v, boots in recorded.boots.items() if v != AS_IT_IS}
    names = [str(name) for name in base]
    moved = [name for name in names if any(table.loc[name].any() for table in effects.values())]
    yield f"| metric | unit | as it is | spread | {' | '.join(effects)} |"
    yield f"| :-- | :-- | --: | --: |{' --: |' * len(effects)}"
    for name in moved:
        cells = []
        for effect, reach in (table.loc[name].to_numpy() for table in effects.values()):
            text = f"{effect:+.2g} ± {reach:.2g}"
            cells.append(f"**{text}**" if abs(effect) > reach else text)
        level = f"{base[name].mean():.4g} | {base[name].std(ddof=1):.2g}"
        yield f"| `{name}` | {find_metric(name).unit} | {level} | {' | '.join(cells)} |"
    if still := [f"`{name}`" for name in names if name not in moved]:
        yield f"\nMoved by none: {', '.join(still)}."


def _render_power(recorded: Recorded, experiments: int) -> Iterator[str]:
    base = recorded.boots[AS_IT_IS]
    sizes = [(boots, paired) for boots in BOOTS for paired in (False, True)]
    heads = [f"{n}, paired" if paired else f"{n} boots" for n, paired in sizes]
    yield f"| planted | metric | margin | {' | '.join(heads)} |"
    yield f"| :-- | :-- | :-- |{' --: |' * len(sizes)}"
    with ProcessPoolExecutor(AT_ONCE) as pool:
        rows = []
        for (variant, switches), margins in product(VARIANTS.items(), MARGINS.values()):
            responding = [name for switch in switches for name in RESPONDING[switch] if name in base]
            if shown := [name for name in responding if name in margins or not margins]:
                asked = partial(count_verdicts, margins=margins, shown=shown, experiments=experiments)
                cells = [pool.submit(asked, base, recorded.boots[variant], n, paired=paired) for n, paired in sizes]
                rows += [(variant, name, margins.get(name, find_metric(name).margin), cells) for name in shown]
        found: dict[str, list[str]] = {}
        for variant, name, margin, cells in rows:
            counts = [cell.result() for cell in cells]
            yield f"| {variant} | `{name}` | {margin} | {' | '.join(_cell(c, name, experiments) for c in counts)} |"
            enough = [heads[i] for i, count in enumerate(counts) if count[name, "WORSE"] >= POWER * experiments]
            found.setdefault(variant, []).extend([f"`{name}` ({margin}) with {enough[0]}"] if enough else [])
    yield f"\nFound in {POWER:.0%} of experiments or more, from the fewest boots on:\n"
    for variant, ways in found.items():
        yield f"- {variant}: {'; '.join(ways) or f'by none of these metrics with up to {BOOTS[-1]} boots'}"


def _render_alarms(base: pd.DataFrame, experiments: int) -> Iterator[str]:
    yield f"| margins | {' | '.join(f'{boots} boots' for boots in BOOTS)} |"
    yield f"| :-- |{' --: |' * len(BOOTS)}"
    for label, margins in MARGINS.items():
        shares = [measure_alarms(base, n, margins=margins, experiments=experiments) for n in BOOTS]
        cells = (f"{share:.1%} ± {(share * (1 - share) / experiments) ** 0.5:.1%}" for share in shares)
        yield f"| {label} | {' | '.join(cells)} |"


def _cell(count: Counter[tuple[str, str]], name: str, experiments: int) -> str:
    worse, same, better = (round(100 * count[name, verdict] / experiments) for verdict in ("WORSE", "SAME", "BETTER"))
    return f"{worse} / {same}" + (f" / {better}" if better else "")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted", description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    record = verbs.add_parser("record", help="record and analyze what is missing in FOLDER")
    record.add_argument("folder", type=Path)
    record.add_argument("--seeds", type=int, default=10, help="number of seeds, from 1 on (default %(default)s)")
    record.add_argument("--profile", default="inversion", help="profile of the scenario (default %(default)s)")
    record.add_argument("--duration-ms", type=int, default=3000, help="duration of the scenario (default %(default)s)")
    record.add_argument("--kernel", default="6.16.12", help="the kernel (default %(default)s)")
    table = verbs.add_parser("table", help="render the page from what is in FOLDER")
    table.add_argument("folder", type=Path)
    table.add_argument("--experiments", type=int, default=400, help="experiments per cell (default %(default)s)")
    table.add_argument("--write", type=Path, metavar="FILE", help="file to write (default: the terminal)")
    options = parser.parse_args()
    try:
        if options.verb == "record":
            settings = {"profile": options.profile, "duration_ms": options.duration_ms}
            seeds = range(1, options.seeds + 1)
            record_boots(options.folder, seeds=seeds, settings=settings, kernel=options.kernel)
        else:
            text = render(read_boots(options.folder), options.experiments)
            if options.write:
                options.write.write_text(wrap_page(text), encoding="utf-8")
            else:
                print(text, end="")
    except SuiteError as error:
        print(f"planted: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
