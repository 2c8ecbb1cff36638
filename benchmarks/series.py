# ruff: noqa: E101 - the C here is indented as the kernel's
"""Bisects a series of 16 patches on a real kernel, made for it: one patch moves a metric, and some positions cannot be tested.

    python -m benchmarks.series make FOLDER             three orders of the series, on Debian's newest source
    python -m benchmarks.series run FOLDER [--order N] [--moves seed|slow]
                                                        bisects those that are not done yet; run again to continue
    python -m benchmarks.series table FOLDER [--write docs/series.md]
                                                        what was found, in how many builds and boots, in what time

It compiles a kernel (many minutes) and boots some dozens of devices, so it is no part of `make test`.

The change is the seed patch (``seed``), on the source without it, or a patch that holds the lock in madvise 20 % longer
(``slow``). With two of the others the source does not compile, with one the kernel does not boot; each of these three is
mended by the patch after it. The search meets as many of them as an order of the series allows.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any, Self

from android_suite.bisection.search import Found, Standing, find_first
from android_suite.campaign.ending import end_as_interrupted
from android_suite.campaign.plan_file import ANY_PAIR
from android_suite.config import read_config
from android_suite.errors import SuiteError, UsageError
from android_suite.virtual.build import NEWEST, find_source
from android_suite.virtual.series import read_series
from android_suite.virtual.series_tree import SeriesTree

SEED_PATCH = Path(__file__).parent.parent / "scenarios/patches/madvise-per-vma.patch"
MOVES = {"seed": "invertedMs", "slow": "gcDurationMs_p50"}  # what the one patch is -> the metric that it moves
COUNT = 16
ORDERS = 3
DURATION_MS = 1500
BUILD = re.compile(r"building the kernel .*\)$")  # the first line of a build
PLAN = f"""\
[plan]
name = "series"
mode = "deterministic"
seeds = [1, 2, 3, 4, 5, 6, 7, 8]

{ANY_PAIR}
[[scenario]]
name = "gc_stress"
parameters = {{ duration_ms = {DURATION_MS}, profile = "inversion" }}

[margin]  # a lock that is held 20 % longer makes a collection about 5 % longer
gcDurationMs_p50 = "1 %"
"""
PAGE = """\
# A real series, bisected

Written by `python -m benchmarks.series table FOLDER --write docs/series.md`, from what its `make` and `run` made: a
series of {count} patches on {source},
in three orders, bisected by `android-suite bisect` with real kernels and real boots. 15 patches move nothing; two of
them do not compile and one does not boot, and each of these three is mended by the patch after it. One patch moves the
metric: in `seed` the seed patch (it moves `{seed}`), in `slow` a patch that holds the lock of `madvise` 20 %
longer (it moves `{slow}`). Virtual time, {ms} ms of GC stress a boot.

{table}

{exact} of {rows} were exact. A boot counts once for each seed; the search may take log2({count}) + 3 = {limit} boots a
seed, and one more for each position that it skips after a boot. A build compiles what lies between two positions and
links; one that the other series of the same order had built already is not built again. Wall and CPU time are those of
a machine with two virtual cores that other work shared, with its `load`.
"""
# Files that every configuration compiles and that few others depend on.
FILES = (
    "mm/madvise.c", "mm/vma.c", "mm/mmap.c", "kernel/sys.c", "lib/string.c", "fs/open.c", "mm/mprotect.c", "mm/mremap.c",
    "fs/read_write.c",
)  # fmt: skip
HOLD = """\
	u64 suite_began = local_clock(), suite_took;

	zap_vma_range_batched(madv_behavior->tlb, madv_behavior->vma,
			      range->start, range->end - range->start, &details);
	suite_took = local_clock() - suite_began;
	while (local_clock() - suite_began < suite_took + suite_took / 5)
		cpu_relax();
	return 0;
"""
ZAP = """\
	zap_vma_range_batched(madv_behavior->tlb, madv_behavior->vma,
			      range->start, range->end - range->start, &details);
	return 0;
"""


@dataclass(frozen=True)
class Item:
    """A patch of the series: the file that it changes, its title, and what becomes of the file's text."""

    kind: str  # harmless, compile, boot, mend, moves
    file: str
    title: str
    old: str = ""  # "": at the end
    new: str = ""


def harmless(number: int) -> Item:
    name = f"suite_harmless_{number}"
    text = f"\nstatic int __used {name}(int x)\n{{\n\treturn x * {number} + 1;\n}}\n"
    return Item("harmless", FILES[number % len(FILES)], f"harmless {number}", new=text)


def broken(number: int) -> tuple[Item, Item]:
    """A patch with which the source does not compile, and the one that mends it."""
    text = f"\nstatic int __used suite_broken_{number}(void)\n{{\n\treturn suite_undeclared_{number};\n}}\n"
    mended = text.replace(f"suite_undeclared_{number}", str(number))
    file = FILES[number % len(FILES)]
    return (
        Item("compile", file, f"does not compile {number}", new=text),
        Item("mend", file, f"compiles again {number}", old=text, new=mended),
    )


def dead() -> tuple[Item, Item]:
    """A patch whose kernel does not boot, and the one that mends it."""
    text = (
        "\nstatic int __init suite_dead(void)\n{\n"
        '\tpanic("planted: this kernel does not boot");\n}\nearly_initcall(suite_dead);\n'
    )
    mended = "\nstatic int __init suite_dead(void)\n{\n\treturn 0;\n}\nearly_initcall(suite_dead);\n"
    return (
        Item("boot", "init/main.c", "does not boot", new=text),
        Item("mend", "init/main.c", "boots again", old=text, new=mended),
    )


def make_items(moves: str, order: int) -> list[Item]:
    """The series in an order, of those in which the search meets most of what cannot be tested.

    The one patch that moves the metric comes in the first, second or last third. Position by position the order is the
    same for both.
    """
    title = "the change: the seed patch" if moves == "seed" else "the change: hold the lock 20 % longer"
    change = Item("moves", "mm/madvise.c", title)
    groups = [(harmless(n),) for n in range(1, 10)] + [broken(10), broken(11), dead()]
    best: tuple[int, list[Item]] | None = None
    for attempt in range(2000):
        draw = random.Random(f"{order} {attempt}")
        shuffled = [*groups]
        draw.shuffle(shuffled)
        items = [item for group in shuffled for item in group]
        place = draw.choice([i for i in range(len(items)) if i * ORDERS // COUNT == order - 1])
        if place and items[place - 1].kind in ("compile", "boot"):
            continue  # then no search could tell it from the patch before it
        items.insert(place, change)
        met = len([1 for standing in search(items).tested.values() if standing is Standing.SKIPPED])
        if best is None or met > best[0]:
            best = (met, items)
    assert best is not None
    return best[1]


def search(items: Sequence[Item]) -> Found:
    """The search with the answers that are known."""
    place = find_place(items)

    def test(position: int) -> Standing:
        if items[position - 1].kind in ("compile", "boot"):
            return Standing.SKIPPED
        return Standing.AFTER if position >= place else Standing.BEFORE

    return find_first(len(items), test)


def find_place(items: Sequence[Item]) -> int:
    return 1 + next(index for index, item in enumerate(items) if item.kind == "moves")


def render(items: Sequence[Item], tree: Path) -> list[str]:
    """The patches, each on the tree with those before it."""
    texts: dict[str, str] = {}
    patches = []
    for item in items:
        if item.kind == "moves" and "seed" in item.title:
            diff = SEED_PATCH.read_text()
            texts[item.file] = apply(texts.get(item.file, (tree / item.file).read_text()), diff)
        else:
            before = texts.get(item.file) or (tree / item.file).read_text()
            after = change(item, before)
            texts[item.file] = after
            old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
            diff = "".join(difflib.unified_diff(old, new, f"a/{item.file}", f"b/{item.file}"))
        patches.append(f"Subject: {item.title}\n\n{diff}")
    return patches


def change(item: Item, text: str) -> str:
    if item.kind == "moves":
        if text.count(ZAP) != 1:
            raise UsageError("this source frees memory in another way; give one with zap_vma_range_batched, as 7.3 has")
        return text.replace(ZAP, HOLD).replace(
            "#include <linux/mman.h>\n", "#include <linux/mman.h>\n#include <linux/sched/clock.h>\n", 1
        )
    if not item.old:
        return text + item.new
    assert text.count(item.old) == 1
    return text.replace(item.old, item.new)


def apply(text: str, diff: str) -> str:
    """The text with the one changed line of the seed patch, which is looked for behind its own context."""
    removed = next(line[1:] for line in diff.splitlines() if line.startswith("-") and not line.startswith("---"))
    added = next(line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++"))
    start = text.index("get_lock_mode(")
    at = text.index(f"\tcase MADV_FREE:\n{removed}", start)
    return text[:at] + text[at:].replace(removed, added, 1)


def make(folder: Path, source: str) -> None:
    config = read_config(env=os.environ, folder=Path.cwd())
    source = find_source(source, "arm64", config)
    tree = SeriesTree(source, [], "arm64", config, progress=say, without=read_series(SEED_PATCH))
    base = tree.check_out(0)
    for order in range(1, ORDERS + 1):
        for moves in MOVES:
            items = make_items(moves, order)
            target = folder / f"{moves}-{order}"
            target.mkdir(parents=True, exist_ok=True)
            names = [
                f"{n:04d}-{item.title.replace(' ', '-').replace(':', '').replace('%', 'percent')}.patch"
                for n, item in enumerate(items, 1)
            ]
            for name, text in zip(names, render(items, base), strict=True):
                (target / name).write_text(text)
            (target / "series").write_text("".join(f"{name}\n" for name in names))
            found = search(items)
            kinds = {position: items[position - 1].kind for position in found.tested}
            truth = {
                "source": tree.origin,
                "place": find_place(items),
                "expected": {str(k): v for k, v in kinds.items()},
            }
            (target / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
            say(f"{target}: the change is patch {find_place(items)}; the search will test {kinds}")
    (folder / "plan.toml").write_text(PLAN)


def run(folder: Path, moves: str, order: int) -> None:
    """Bisects one series and keeps what it found and what it cost, with what earlier calls cost that were ended."""
    series = folder / f"{moves}-{order}"
    truth = json.loads((series / "truth.json").read_text())
    argv = [
        sys.executable, "-m", "android_suite.cli.main", "bisect", "--series", str(series), "--metric", MOVES[moves],
        "--source", truth["source"].partition("=")[0], "--without", str(SEED_PATCH), "--plan", str(folder / "plan.toml"),
        "-o", str(folder / "reports" / series.name), "--json",
    ]  # fmt: skip
    spent = Spent(series / "spent.json")
    with end_as_interrupted(), spent, subprocess.Popen(argv, stdout=PIPE, stderr=PIPE, text=True) as bisect:
        assert bisect.stdout is not None
        assert bisect.stderr is not None
        for line in bisect.stderr:
            spent.builds += bool(BUILD.match(line))
            say(line.rstrip())
        found_text = bisect.stdout.read()
    if bisect.returncode:
        raise UsageError(f"bisect ended with {bisect.returncode}; its message is above; run it again to continue")
    found = json.loads(found_text)
    told = {
        "moves": moves,
        "order": order,
        "place": truth["place"],
        "first": found["first"],
        "exact": found["first"] == truth["place"],
        "standings": {
            p["position"]: [p["standing"], p["reason"], p["level"]]
            for p in found["points"]
            if p["standing"] != "untested"
        },
        "builds": spent.builds,
        "boots": found["boots"],
        "a_seed": 1 + sum(point["boots"] > 0 for point in found["points"]),  # each position, and one end again
        "source": truth["source"],
        "wall_s": round(spent.wall_s),
        "cpu_s": round(spent.cpu_s),
        "load": spent.loads,
    }
    (series / "result.json").write_text(json.dumps(told, indent=1) + "\n")
    say(f"{series.name}: patch {found['first']}, {'exact' if told['exact'] else 'WRONG: it is ' + str(truth['place'])}")


class Spent:
    """What all calls for one series cost together; kept in ``file``, however a call ends. ``loads``: smallest, largest."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.builds, self.wall_s, self.cpu_s = 0, 0.0, 0.0
        self.loads: list[float] = []
        if file.exists():
            self.builds, self.wall_s, self.cpu_s, self.loads = json.loads(file.read_text())

    def __enter__(self) -> Self:
        self._began, self._before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        self._look()
        return self

    def __exit__(self, *_: object) -> None:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.wall_s += time.monotonic() - self._began
        self.cpu_s += after.ru_utime + after.ru_stime - self._before.ru_utime - self._before.ru_stime
        self._look()
        self._file.write_text(json.dumps([self.builds, self.wall_s, self.cpu_s, self.loads]))

    def _look(self) -> None:
        seen = [*self.loads, round(os.getloadavg()[0], 1)]
        self.loads = [min(seen), max(seen)]


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """A row for each series that was bisected."""
    lines = [
        "| change | order | it is patch | found | tested | skipped | builds | boots | a seed | wall | CPU | load |",
        "| --- | --: | --: | --: | --- | --- | --: | --: | --: | --: | --: | --: |",
    ]
    for each in results:
        tested = ", ".join(each["standings"])
        skipped = ", ".join(
            f"{position} ({reason.partition(':')[0]})"
            for position, (standing, reason, _) in each["standings"].items()
            if standing == "skipped"
        )
        lines.append(
            f"| {each['moves']} | {each['order']} | {each['place']} | {each['first']} | {tested} | {skipped or 'none'} | "
            f"{each['builds']} | {each['boots']} | {each['a_seed']} | {each['wall_s'] / 60:.0f} min | "
            f"{each['cpu_s'] / 60:.0f} min | {each['load'][0]:.0f} to {each['load'][1]:.0f} |"
        )
    return "\n".join(lines)


def read_results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*/result.json"))]


def render_page(results: Sequence[Mapping[str, Any]], source: str) -> str:
    """The page of docs/ with the table."""
    return PAGE.format(
        count=COUNT, limit=COUNT.bit_length() - 1 + 3, source=source, table=table(results), rows=len(results), ms=DURATION_MS,
        exact=sum(each["exact"] for each in results), **MOVES,
    )  # fmt: skip


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.series", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("make", "run", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default=NEWEST, help="linux-source-7.3 or newer; by default Debian's newest")
    parser.add_argument("--order", type=int, choices=range(1, ORDERS + 1), help="of these three only this one")
    parser.add_argument("--moves", choices=tuple(MOVES), help="only the series with this change")
    parser.add_argument("--write", type=Path, metavar="FILE", help="with table: also write the page to FILE")
    given = parser.parse_args(arguments)
    try:
        if given.step == "make":
            make(given.folder, given.source)
        elif given.step == "run":
            for moves in [given.moves] if given.moves else MOVES:
                for order in [given.order] if given.order else range(1, ORDERS + 1):
                    if not (given.folder / f"{moves}-{order}" / "result.json").exists():
                        run(given.folder, moves, order)
        else:
            results = read_results(given.folder)
            print(table(results))
            if given.write and results:
                given.write.write_text(render_page(results, results[0]["source"]))
    except SuiteError as error:
        say(f"benchmarks.series: {error}")
        return error.exit_code
    except FileNotFoundError as error:
        say(f"benchmarks.series: there is no {error.filename}; run the step `make` first")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
