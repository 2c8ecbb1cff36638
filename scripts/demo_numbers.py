"""Records what the README prints again: ``scripts/demo-numbers demo`` or ``scripts/demo-numbers art``.

``demo`` runs both plans of `make demo`, writes docs/demo.json and puts the numbers into the README's tables; ``art`` runs
scenarios/art.toml, with more and longer boots on ART, and writes docs/art.json. Needed after a change of the guest, the
kernels or a plan. A campaign that was interrupted goes on; one of another guest or plan starts again. Digests depend on
the compiler and on busybox, too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from android_suite.cli.main import run
from android_suite.cli.output import say
from android_suite.config import read_config
from android_suite.errors import UsageError
from android_suite.model.metrics import find_metric
from android_suite.virtual.art import build_runtime
from android_suite.virtual.image import build_base

ROOT: Final = Path(__file__).resolve().parent.parent
STRESS: Final = (
    "mmapLockWaitMs_ui",
    "invertedMs_gcMadvise",
    "jankyFramesPct",
    "jankyFromInversionCount",
    "frameOverrunMs_p95",
)
VMA: Final = ("mmapLockWaitMs_ui", "vmaLockWaitMs_ui", "invertedMs", "jankyFramesPct")
# Target -> part of its document -> plan, folder below reports/, and what is kept of each scenario.
TARGETS: Final[Mapping[str, Mapping[str, tuple[str, str, Mapping[str, tuple[str, ...]]]]]] = {
    "demo": {
        "art": ("demo-art.toml", "demo-art", {"gc_stress": STRESS}),
        "model": ("demo-deterministic.toml", "demo", {"gc_stress": STRESS, "vma_stress": VMA}),
    },
    "art": {"": ("art.toml", "art", {"gc_stress": STRESS})},
}
SIDES: Final = ("baseline", "candidate")
PATHS_METRIC: Final = "madviseMmapLockPct_gc"
ART_ROW: Final = "the same on a real ART 14 heap"
Numbers = Mapping[str, Any]


def main(words: list[str]) -> int:
    """Runs the campaigns of a target and writes its document; that of the demo into the README, too."""
    if len(words) != 1 or words[0] not in TARGETS:
        say(f"usage: scripts/demo-numbers {'|'.join(TARGETS)}")
        return 2
    (target,) = words
    parts = {}
    for part, (plan, folder, shown) in TARGETS[target].items():
        status = qualify(ROOT / "scenarios" / plan, ROOT / "reports" / folder)
        if status > 1:
            say(f"demo-numbers: the campaign of {plan} ended with status {status}; see above and call again")
            return status
        summary = json.loads((ROOT / "reports" / folder / "summary.json").read_text())
        parts[part] = read_numbers(summary, shown) | read_conditions(art=part != "model")
    document: Numbers = parts if target == "demo" else parts[""]
    (ROOT / f"docs/{target}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    say(f"wrote docs/{target}.json")
    if target == "demo":
        readme = ROOT / "README.md"
        readme.write_text(update_readme(readme.read_text(), document))
        say("wrote the tables of README.md; read what the README says around them")
    return 0


def qualify(plan: Path, out: Path) -> int:
    """Runs a plan, or what is left of it; from the start if the folder has another plan."""
    command = ["qualify", str(plan), "-o", str(out)]
    status = run(command)
    return run([*command, "--fresh"]) if status == UsageError.exit_code else status


def read_conditions(*, art: bool) -> dict[str, str]:
    """The digests of the guest's image, and of the runtime if ``art``: on others, the numbers differ slightly."""
    config = read_config(env=os.environ, folder=ROOT)
    digests = {"image_sha256": build_base("arm64", config=config).digests["base"]}
    return digests | ({"runtime_sha256": build_runtime("arm64", config=config).sha256} if art else {})


def read_numbers(summary: Numbers, shown: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """What is kept of a ``summary.json``.

    Args:
        summary: the document.
        shown: scenario -> its metrics.
    """
    return {
        "seeds": len(summary["plan"]["seeds"]),
        "madvise": {
            side: {path: paths[path] for path in ("mmap_lock", "per_vma", "unknown")}
            for side, paths in summary["madvise_paths"].items()
        },
        "moved": [moved["sentence"] for moved in summary["moved"]],
        **{
            scenario: {
                metric["name"]: {**{side: _level(metric[side]) for side in SIDES},
                                 **{f"{side}_range": _range(metric[side]) for side in SIDES},
                                 "verdict": metric["verdict"]}
                for metric in summary["metrics"]
                if metric["scenario"] == scenario and metric["name"] in (*names, PATHS_METRIC)
            }
            for scenario, names in shown.items()
        },
        "digests": {
            f"{job['label']} seed {job['seed']}": item["trace_digest"]
            for job in summary["jobs"]
            for item in job["iterations"]
            if item["scenario"] == "gc_stress"
        },
    }  # fmt: skip


def _level(side: Numbers) -> float | None:
    """A side's number; None where it is unknown."""
    return None if side["level"] is None else round(side["level"], 3)


def _range(side: Numbers) -> list[float]:
    """The least and the most of the boots; empty without numbers."""
    medians = [boot["median"] for boot in side["distribution"]]
    return [round(min(medians), 3), round(max(medians), 3)] if medians else []


def update_readme(text: str, demo: Numbers) -> str:
    """The README with new cells in the tables that print the demo's document; nothing else changes.

    Args:
        text: the README.
        demo: docs/demo.json.
    """
    rows: Mapping[str, Callable[[list[str]], list[str] | None]] = {
        "": lambda cells: _result_row(cells, demo["model"], demo["art"]),
        "`vma_stress`, 6 s": lambda cells: _vma_row(cells, demo["model"]["vma_stress"]),
        "on ART 14": lambda cells: _result_row(cells, demo["art"]),
    }
    return "".join(_rewrite(text.splitlines(keepends=True), rows))


def _rewrite(lines: list[str], rows: Mapping[str, Callable[[list[str]], list[str] | None]]) -> Iterator[str]:
    table: str | None = None
    for line in lines:
        if not line.startswith("|"):
            table = None
            yield line
            continue
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        if table is None:
            table = cells[0]
            yield line
            continue
        new = rows[table](cells) if table in rows else None
        yield line if new is None else "| " + " | ".join([cells[0], *new]) + " |\n"


def _result_row(cells: list[str], numbers: Numbers, art: Numbers | None = None) -> list[str] | None:
    """New cells of a table with a verdict; None for a row without numbers."""
    told = art if cells[0].startswith(ART_ROW) else numbers if cells[0].startswith("`madvise`") else None
    if told is not None:
        counts = [f"{_group(told['madvise'][side]['mmap_lock'])} / {_group(told['madvise'][side]['per_vma'])}"
                  for side in SIDES]  # fmt: skip
        return [*counts, told["gc_stress"][PATHS_METRIC]["verdict"]]
    name = _find_metric_name(cells[0], numbers["gc_stress"])
    if name is None:
        return None
    values = numbers["gc_stress"][name]
    return [*(format_value(name, values[side]) for side in SIDES), values["verdict"]]


def _vma_row(cells: list[str], numbers: Numbers) -> list[str] | None:
    name = _find_metric_name(cells[0], numbers)
    if name is None:
        return None
    return [
        format_value(name, numbers[name][side], numbers[name].get(f"{side}_range") if "(" in cell else None)
        for side, cell in zip(SIDES, cells[1:], strict=True)
    ]


def _find_metric_name(cell: str, numbers: Numbers) -> str | None:
    found = re.search(r"`(\w+)`", cell)
    return found[1] if found and found[1] in numbers else None


def format_value(name: str, value: float | None, between: list[float] | None = None) -> str:
    """A number as the README prints it, such as ``2.8 ms (0.0 to 5.0)``; ``unknown`` for None."""
    if value is None:
        return "unknown"
    unit = find_metric(name).unit
    text = _decimal(value) + (f" {unit}" if unit in ("ms", "%") else "")
    return text + (f" ({_decimal(between[0])} to {_decimal(between[1])})" if between else "")


def _decimal(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _group(count: int) -> str:
    return f"{count:,}".replace(",", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
