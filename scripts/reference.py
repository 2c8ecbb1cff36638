"""Writes docs/tables.md, docs/metrics.md and docs/schema/ from the declarations: ``python -m scripts.reference``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from android_suite.model.analysis import AnalysisSummary
from android_suite.model.analyzed import AnalysisList, RunSummary
from android_suite.model.bisection import Bisection
from android_suite.model.campaign import CampaignSummary, Provenance
from android_suite.model.comparison import Comparison
from android_suite.model.document import describe_schema
from android_suite.model.gate import GateFile
from android_suite.model.history import History
from android_suite.model.inventory import LabFile
from android_suite.model.journal import JournalEvent
from android_suite.model.lab import LabStatus
from android_suite.model.lab_page import LabState
from android_suite.model.metrics import CATALOGUE, Metric
from android_suite.model.plan import PlanDocument
from android_suite.model.probe import ProbeResult
from android_suite.model.run import Manifest
from android_suite.model.soak import Checkpoint, SoakComparison, SoakManifest, SoakSummary
from android_suite.model.survey import Survey
from android_suite.store.remote import StoredRun
from android_suite.tables.derived import DERIVED_TABLES
from android_suite.tables.events import EVENT_TABLES
from android_suite.tables.evidence import EVIDENCE_TABLES
from android_suite.tables.samples import SAMPLES
from android_suite.tables.schema import Table

DOCS = Path(__file__).resolve().parent.parent / "docs"
_GROUPS = (
    ("Events", "What the readers get from a trace of any format; a table without events is empty.", EVENT_TABLES),
    (
        "Derived",
        "What the analysis computes from events: `analysis[NAME]` in Python, `NAME.parquet` in a file.",
        DERIVED_TABLES,
    ),
    ("Evidence", "Parsed from texts that a device printed beside the trace.", EVIDENCE_TABLES),
    ("Samples", "What comparisons are made from: `samples.parquet` of a run.", (SAMPLES,)),
)
_WRITTEN: dict[str, type] = {
    "run.json": Manifest,
    "analysis.json": AnalysisSummary,
    "analyses.json": AnalysisList,
    "run-analysis.json": RunSummary,
    "comparison.json": Comparison,
    "summary.json": CampaignSummary,
    "provenance.json": Provenance,
    "bisection.json": Bisection,
    "probe.json": ProbeResult,
    "history.json": History,
    "lab-state.json": LabState,
    "lab-status.json": LabStatus,
    "stored-run.json": StoredRun,
    "survey.json": Survey,
    "soak.json": SoakSummary,
    "soak-manifest.json": SoakManifest,
    "soak-checkpoint.json": Checkpoint,
    "soak-comparison.json": SoakComparison,
}
# Lines of a JSON-lines file: only the keys of their event are there.
_READ: dict[str, type] = {
    "plan.json": PlanDocument,
    "gates.json": GateFile,
    "lab.json": LabFile,
    "journal-event.json": JournalEvent,
}
_BETTER = {"lower": "lower", "higher": "higher", "none": "neither"}


def render_tables() -> str:
    """docs/tables.md."""
    lines = ["# Tables", "", "Every table of the suite, from `android_suite/tables/`. Written by `make reference`."]
    for title, about, tables in _GROUPS:
        lines += ["", f"## {title}", about]
        for table in tables:
            lines += ["", *_render_table(table)]
    return "\n".join(lines) + "\n"


def render_metrics() -> str:
    """docs/metrics.md."""
    head = [
        "# Metrics",
        "",
        "The numbers by which kernels are compared, from `android_suite/model/metrics.py`. Written by `make reference`.",
        "",
        "The margin is the largest difference that does not matter; a plan may state another. Headline metrics are **bold**.",
        "",
    ]
    return (
        "\n".join([*head, *_render_grid(("metric", "unit", "better", "margin", "meaning"), map(_metric, CATALOGUE))])
        + "\n"
    )


def render_schemas() -> dict[str, str]:
    """docs/schema/NAME of every JSON document that the suite writes, and of every TOML file that it reads."""
    described = {name: describe_schema(form) for name, form in _WRITTEN.items()}
    described |= {name: describe_schema(form, written=False) for name, form in _READ.items()}
    return {name: json.dumps(schema, indent=1) + "\n" for name, schema in described.items()}


def _metric(metric: Metric) -> tuple[str, ...]:
    name = f"**`{metric.name}`**" if metric.headline else f"`{metric.name}`"
    where = f" (only in {', '.join(metric.scenarios)})" if metric.scenarios else ""
    return name, metric.unit, _BETTER[metric.better], str(metric.margin), metric.doc + where


def _render_table(table: Table) -> list[str]:
    rows = ((f"`{c.name}`", c.dtype, c.unit, c.doc) for c in table.columns)
    return [
        f"### {table.name}",
        *textwrap.wrap(table.doc, 116),
        "",
        *_render_grid(("column", "dtype", "unit", "meaning"), rows),
    ]


def _render_grid(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [tuple(cell.replace("|", r"\|") for cell in row) for row in rows]
    return [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *cells)]


def main() -> None:
    """Writes them all."""
    (DOCS / "tables.md").write_text(render_tables())
    (DOCS / "metrics.md").write_text(render_metrics())
    (DOCS / "schema").mkdir(exist_ok=True)
    for name, text in render_schemas().items():
        (DOCS / "schema" / name).write_text(text)


if __name__ == "__main__":
    main()
