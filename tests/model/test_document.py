"""What the suite writes keeps to docs/schema/, and is read again as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest

from android_suite.analysis.pipeline import analyze_trace
from android_suite.analysis.summary import summarize
from android_suite.compare import compare_runs
from android_suite.errors import SchemaError
from android_suite.model.analysis import AnalysisSummary, read_analysis
from android_suite.model.analyzed import AnalysisList, IterationSummary, NamedAnalysis, RunSummary
from android_suite.model.comparison import Comparison, Moved, TailEffect
from android_suite.model.conditions import Conditions
from android_suite.model.document import parse_json, read_document, to_plain
from android_suite.model.gate import Gate
from android_suite.model.identity import LabelledKernel
from android_suite.model.run import Manifest
from android_suite.model.verdict import Verdict
from tests.analysis.build import TraceBuilder
from tests.analysis.test_frames import busy
from tests.made_runs import PATCHED, World, made_pair

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    schema: Literal["x/form"] = "x/form"
    version: Literal[2] = 2
    text: str
    number: float | None = field(default=None, metadata={"alias": "other"})


def check(project_root: Path, name: str, value: object) -> Any:
    data = json.loads(json.dumps(to_plain(value), allow_nan=False))
    schema = json.loads((project_root / "docs/schema" / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    return data


def test_a_comparison_keeps_to_its_schema(project_root: Path) -> None:
    pair = made_pair(World(boots=5, iterations=1, untraced=True), **PATCHED)
    gates = (Gate(metric="invertedMs"), Gate(metric="absent"))
    comparison = compare_runs(*pair, gates=gates)
    data = check(project_root, "comparison.json", comparison)
    assert (list(data)[:2], data["gate"]["passed"]) == (["schema", "version"], False)
    assert data["gate"]["results"][0]["margin"] == comparison.gates[0].margin_text
    assert data["tracing_overhead"]
    assert Comparison.from_json(data) == comparison


def test_a_comparison_without_the_keys_that_had_no_value_is_read() -> None:
    """As 0.1 wrote it: of a kernel that never booted the label alone, and no conditions."""
    comparison = compare_runs(*made_pair(World(boots=2, iterations=1)))
    unknown = replace(comparison, baseline=LabelledKernel(label="before"), conditions=Conditions())
    data = unknown.to_json()
    assert set(data["baseline"].values()) == {"before", None}
    assert set(data["conditions"].values()) == {None}
    data["baseline"], data["conditions"] = {"label": "before"}, {}
    assert Comparison.from_json(data) == unknown


def test_a_setting_of_any_shape_is_written_and_read(project_root: Path) -> None:
    setting = {"events": ["sched/sched_switch"], "filters": {"sched": "x"}, "kb": 4, "on": True, "deep": [["a", 1]]}
    sides = [
        replace(
            side,
            manifests=[
                replace(m, iterations=tuple(replace(i, trace_setup=setting) for i in m.iterations))
                for m in side.manifests
            ],
        )
        for side in made_pair(World(boots=2, iterations=1))
    ]
    comparison = compare_runs(*sides)
    data = check(project_root, "comparison.json", comparison)
    assert data["conditions"]["scenarios"]["gc_stress"]["trace_setup"] == setting | {"deep": ["['a', 1]"]}
    assert Comparison.from_json(data) == comparison


def test_a_key_that_the_schema_does_not_know_the_type_of_is_found(project_root: Path) -> None:
    data = compare_runs(*made_pair(World(boots=2, iterations=1))).to_json()
    data["metrics"][0]["effect"] = "1"
    with pytest.raises(jsonschema.ValidationError):
        check(project_root, "comparison.json", data)


def test_an_analysis_keeps_to_its_schema(project_root: Path) -> None:
    for trace in (TraceBuilder().trace(), busy().trace()):
        summary = summarize(analyze_trace(trace, process="com.example"))
        data = check(project_root, "analysis.json", summary)
        assert list(data)[:3] == ["schema", "version", "source"]
        assert read_analysis(data) == summary
        named = NamedAnalysis(name="a", scenario="", analysis=summary)
        check(project_root, "analyses.json", AnalysisList(runs=(named,)))
        iteration = IterationSummary(index=0, scenario="gc_stress", status="complete", analysis=summary)
        check(project_root, "run-analysis.json", RunSummary(run="r", label="l", iterations=(iteration,)))


def test_what_is_written_has_every_key(project_root: Path) -> None:
    data = to_plain(AnalysisSummary())
    del data["frames"]["janky"]
    with pytest.raises(jsonschema.ValidationError, match="janky"):
        check(project_root, "analysis.json", data)
    assert read_analysis(data) == AnalysisSummary()


def test_a_manifest_keeps_to_its_schema(project_root: Path) -> None:
    for side in made_pair(World(boots=2, iterations=1)):
        data = check(project_root, "run.json", side.manifests[0])
        assert read_document(Manifest, data, name="run", remedy="record again") == side.manifests[0]


@pytest.mark.parametrize("plan", sorted(SCENARIOS.glob("*.toml")), ids=lambda plan: plan.stem)
def test_the_plans_of_this_repository_keep_to_the_schema(project_root: Path, plan: Path) -> None:
    data = tomllib.loads(plan.read_text())
    check(project_root, "plan.json", data)
    check(project_root, "gates.json", {"gate": data.get("gate", [])})
    data["plan"]["sedes"] = [1]
    with pytest.raises(jsonschema.ValidationError, match="sedes"):
        check(project_root, "plan.json", data)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_json_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(SchemaError, match=r"f\.json is not JSON \(.* is no number of JSON\); do that"):
        parse_json(f'{{"a": [1.5, {text}]}}', "f.json", remedy="do that")
    assert parse_json('{"a": [1.5, 2e-400, 7]}', "f.json", remedy="do that") == {"a": [1.5, 0.0, 7]}


def test_what_json_cannot_say_is_null() -> None:
    nan, inf = float("nan"), float("inf")
    assert to_plain({"a": [nan, inf, 1.5], "b": Verdict.SAME, 3: (None, True)}) == {
        "a": [None, None, 1.5], "b": "SAME", "3": [None, True],
    }  # fmt: skip
    assert TailEffect(quantile=95, effect=1.0, effect_ci=(-inf, 2.0)).effect_ci is None
    assert to_plain(Moved(scenario="s", fell="a", rose="b", sentence="c")) == {
        "scenario": "s", "fell": "a", "rose": "b", "sentence": "c",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "f.json: expected 'x/form' version 2, found no JSON object; do that."),
        ({"schema": "x/form", "version": 1}, "f.json: expected 'x/form' version 2, found 'x/form' version 1; do that."),
        ({"text": "a"}, "f.json: expected 'x/form' version 2, found None version None; do that."),
        ({"schema": "x/form", "version": 2}, "f.json: text: Field required; do that."),
        (
            {"schema": "x/form", "version": 2, "text": "a", "other": "b"},
            "f.json: other: Input should be a valid number, unable to parse string as a number; do that.",
        ),
    ],
)
def test_a_wrong_document_is_refused_with_the_next_step(data: object, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read_document(Form, data, name="f.json", remedy="do that")
    assert str(caught.value) == message


def test_keys_of_a_later_version_are_ignored() -> None:
    form = Form(text="a", number=2.0)
    assert to_plain(form) == {"schema": "x/form", "version": 2, "text": "a", "other": 2.0}
    assert read_document(Form, {**to_plain(form), "later": 1}, name="f.json", remedy="do that") == form


def test_writing_does_not_load_pydantic(project_root: Path, tmp_path: Path) -> None:
    code = (
        "import sys, android_suite.report.model, android_suite.store.run as run, pathlib\n"
        "run.create_run(pathlib.Path(sys.argv[1]), label='x', mode='realtime')\n"
        "print('pydantic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=project_root)
    assert done.stdout == "False\n"
