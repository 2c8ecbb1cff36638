"""Renders the report as JUnit XML: a gate is a test case; a fault of the kernel is a failure, of the lab an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as Xml

from android_suite.model.comparison import Comparison, GateResult, MetricComparison
from android_suite.model.verdict import GateOutcome, Verdict
from android_suite.report.digest import digest_comparison
from android_suite.report.model import ReportModel
from android_suite.report.phrases import show_foreign, show_foreign_lines
from android_suite.report.summary import collect_crashes

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(model: ReportModel) -> str:
    """One ``testsuite``: a case per gate, or per metric if there are no gates; a failed case per crash.

    Kernel identities and every metric's numbers are properties. Always well-formed XML 1.0, whatever a device printed.
    """
    suite = Xml.Element("testsuite", name=_clean(model.title))
    properties = Xml.SubElement(suite, "properties")
    if model.comparison is not None:
        for name, value in _suite_properties(model.comparison):
            Xml.SubElement(properties, "property", name=_clean(name), value=_clean(value))
        _add_verdicts(suite, model.comparison)
    else:
        _add_analyses(suite, model)
    for side, crash in collect_crashes(model):
        case = Xml.SubElement(suite, "testcase", classname="crash", name=_clean(f"{side or 'device'} {crash.kind}"))
        failure = Xml.SubElement(case, "failure", message=_clean(crash.summary), type="crash")
        failure.text = _ILLEGAL.sub("\ufffd", show_foreign_lines(crash.console))
    _count(suite)
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _clean(value: object) -> str:
    return _ILLEGAL.sub("\ufffd", show_foreign("" if value is None else value))


def _suite_properties(comparison: Comparison) -> Iterator[tuple[str, object]]:
    for side, kernel in (("baseline", comparison.baseline), ("candidate", comparison.candidate)):
        for key in ("label", "release", "version", "build_id", "configuration", "config_sha256"):
            yield f"{side}.{key}", getattr(kernel, key)
    digest = digest_comparison(comparison)
    yield "verdict", digest.verdict.value
    yield "sentence", digest.sentence
    if digest.caveat:
        yield "caveat", digest.caveat
    for moved in comparison.moved:
        yield f"{moved.scenario}.moved", moved.sentence
    for side, paths in comparison.paths.items():
        for key in ("per_vma", "mmap_lock", "unknown"):
            yield f"{side}.madvise.gc.{key}", getattr(paths, key)


def _metric_properties(metric: MetricComparison) -> Iterator[tuple[str, object]]:
    yield "unit", metric.unit
    yield "verdict", metric.verdict.value
    for side, data in (("baseline", metric.baseline), ("candidate", metric.candidate)):
        for key in ("boots", "samples", "level", "median", "p95"):
            yield f"{side}.{key}", getattr(data, key)
    yield "effect", metric.effect
    yield "effect_ci_low", metric.effect_ci[0] if metric.effect_ci else None
    yield "effect_ci_high", metric.effect_ci[1] if metric.effect_ci else None
    yield "p_adjusted", metric.p_adjusted


def _add_verdicts(suite: Xml.Element, comparison: Comparison) -> None:
    metrics = {(metric.scenario, metric.name): metric for metric in comparison.metrics}
    if comparison.gates:
        for gate in comparison.gates:
            case = _case(suite, gate.scenario, gate.metric, metrics.get((gate.scenario, gate.metric)))
            _add_outcome(case, gate)
        return
    for (scenario, name), metric in metrics.items():
        case = _case(suite, scenario, name, metric)
        if metric.verdict is Verdict.WORSE:
            Xml.SubElement(case, "failure", message=_clean(f"WORSE: {metric.reason}"), type="WORSE")


def _case(suite: Xml.Element, scenario: str, name: str, metric: MetricComparison | None) -> Xml.Element:
    case = Xml.SubElement(suite, "testcase", classname=_clean(scenario), name=_clean(name))
    if metric is not None:
        properties = Xml.SubElement(case, "properties")
        for key, value in _metric_properties(metric):
            if value is not None:
                Xml.SubElement(properties, "property", name=_clean(f"{name}.{key}"), value=_clean(value))
    return case


def _add_outcome(case: Xml.Element, gate: GateResult) -> None:
    message = f"margin {gate.margin_text}, confidence {gate.confidence:g}: {gate.message}"
    if gate.outcome is GateOutcome.FAILED:
        Xml.SubElement(case, "failure", message=_clean(message), type=str(gate.verdict or "FAILED"))
    elif gate.outcome is GateOutcome.ERROR:
        Xml.SubElement(case, "error", message=_clean(message), type="error")
    elif gate.outcome is GateOutcome.SKIPPED:
        Xml.SubElement(case, "skipped", message=_clean(message))
    else:
        Xml.SubElement(case, "system-out").text = _clean(message)


def _add_analyses(suite: Xml.Element, model: ReportModel) -> None:
    for run in model.runs:
        case = Xml.SubElement(suite, "testcase", classname=_clean(run.scenario or "analysis"), name=_clean(run.name))
        properties = Xml.SubElement(case, "properties")
        for metric in run.analysis.metrics:
            if metric.value is not None:
                name, value = _clean(metric.name), _clean(metric.value)
                Xml.SubElement(properties, "property", name=name, value=value)


def _count(suite: Xml.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for outcome, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(outcome) is not None for case in cases)))
