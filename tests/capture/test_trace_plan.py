"""Tracefs is set up as planned and put back as found: played on a folder that stands for tracefs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from android_suite.capture.needs import MM_SYSCALLS, choose_events, find_needs
from android_suite.capture.trace_files import parse_lost
from android_suite.capture.trace_plan import (
    TraceOptions,
    TracePlan,
    list_refusals,
    parse_state,
    plan_restore,
    plan_trace,
    settle_probes,
    state_files,
)
from android_suite.device.files import (
    Write,
    parse_read_lines_output,
    parse_write_output,
    render_read_lines_script,
    render_write_script,
)

EVENTS = [
    "sched:sched_switch",
    "sched:sched_waking",
    *(f"syscalls:sys_{edge}_{call}" for call in MM_SYSCALLS for edge in ("enter", "exit")),
]
FOUND = {
    "tracing_on": "1",
    "current_tracer": "function",
    "trace_clock": "local [global] boot mono",
    "buffer_size_kb": "7 (expanded: 1408)",
    "saved_cmdlines_size": "128",
    "set_event_pid": "17\n18",
    "set_event_notrace_pid": "",
    "options/record-tgid": "0",
    "options/record-cmd": "1",
    "options/markers": "1",
    "options/overwrite": "0",
    "set_event": "irq:irq_handler_entry",
    "trace": "someone's events",
}


@pytest.fixture
def tracefs(tmp_path: Path) -> Path:
    for name, text in FOUND.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n" if text else "")
    for event in EVENTS:
        folder = tmp_path / "events" / event.replace(":", "/")
        folder.mkdir(parents=True)
        (folder / "filter").write_text("none\n")
        (folder / "enable").write_text("0\n")
    (tmp_path / "events/sched/sched_switch/filter").write_text("prev_pid == 1\n")
    return tmp_path


def plan_for(tracefs: Path, **options: object) -> TracePlan:
    needs = find_needs(["SCHED", "MADVISE", "MARKERS"])
    return plan_trace(str(tracefs), choose_events(needs, EVENTS, "aarch64"), needs, TraceOptions(**options))  # type: ignore[arg-type]


def play(writes: tuple[Write, ...]) -> None:
    done = subprocess.run(["sh", "-c", render_write_script(writes)], check=True, capture_output=True)
    assert parse_write_output(writes, done.stdout.decode()) == {}


def read(paths: tuple[str, ...]) -> dict[str, str | None]:
    done = subprocess.run(["sh", "-c", render_read_lines_script(paths)], check=True, capture_output=True)
    return parse_read_lines_output(paths, done.stdout.decode())


def written(file: Path) -> str:
    """Without the end of the line, which a write may have or not: tracefs takes both."""
    return file.read_text().removesuffix("\n")


def test_set_up_and_put_back(tracefs: Path) -> None:
    plan = plan_for(tracefs, buffer_kb=4096)
    found = read(state_files(plan.tracefs, plan.choice))
    play(plan.writes)
    assert written(tracefs / "trace_clock") == "mono"
    assert written(tracefs / "buffer_size_kb") == "4096"
    assert written(tracefs / "set_event_pid") == "", "another's pid filter would hide events"
    assert written(tracefs / "events/sched/sched_switch/filter") == "0", "and so would another's event filter"
    assert written(tracefs / "events/syscalls/sys_enter_madvise/enable") == "1"
    assert written(tracefs / "tracing_on") == "0", "tracing starts when the drain is ready, not before"
    play(plan_restore(plan.tracefs, plan.choice, found))
    expected = FOUND | {"trace_clock": "global", "buffer_size_kb": "1408", "set_event_pid": "17 18", "trace": ""}
    # set_event is cleared first and what was enabled is appended, as the real file wants it
    expected["set_event"] = "irq:irq_handler_entry"
    for name, text in expected.items():
        assert (tracefs / name).read_text().removesuffix("\n") == text, name
    assert written(tracefs / "events/sched/sched_switch/filter") == "prev_pid == 1"


def test_the_order_is_the_one_that_loses_nothing(tracefs: Path) -> None:
    names = [write.path.removeprefix(f"{tracefs}/") for write in plan_for(tracefs).writes]
    assert names[0] == "tracing_on"
    assert names[-1] == "trace", "the buffers are emptied last, so that counts of loss begin at zero"
    assert names.index("trace_clock") < names.index("buffer_size_kb") < names.index("events/sched/sched_switch/enable")


def test_only_the_apps_pids_if_asked(tracefs: Path) -> None:
    writes = {write.path.rsplit("/", 1)[-1]: write for write in plan_for(tracefs, event_pids=(7, 8)).writes}
    assert writes["set_event_pid"].value == "7 8"
    assert not writes["set_event_pid"].optional


PROBES = ("kprobes/vma_start_write", "kprobes/vma_start_write_return")
DEFINITIONS = ["p:kprobes/vma_start_write __vma_start_write", "r:kprobes/vma_start_write_return __vma_start_write"]


def plan_probed() -> TracePlan:
    needs = find_needs(["SCHED", "VMA_LOCK"])
    return plan_trace("/t", choose_events(needs, EVENTS, "aarch64"), needs, TraceOptions())


def kprobe_lines(writes: tuple[Write, ...]) -> list[str]:
    lines = [write for write in writes if write.path == "/t/kprobe_events"]
    assert all(write.append and write.optional for write in lines), "anything else takes other people's probes away"
    return [write.value for write in lines]


def test_a_probe_is_made_before_it_is_enabled() -> None:
    plan = plan_probed()
    assert kprobe_lines(plan.writes) == [*(f"-:{name}" for name in PROBES), *DEFINITIONS]
    paths = [write.path for write in plan.writes]
    for name in PROBES:
        enable = paths.index(f"/t/events/{name}/enable")
        assert enable > max(at for at, path in enumerate(paths) if path == "/t/kprobe_events")
        assert plan.writes[enable].optional
    assert settle_probes(plan, [w for w in plan.writes if w.value.startswith("-:")]) == (plan, [])


def test_a_function_that_cannot_be_probed_is_told_and_missing() -> None:
    plan = plan_probed()
    refused = [w for w in plan.writes if "kprobe" in w.path]
    other = next(w for w in plan.writes if w.path == "/t/saved_cmdlines_size")
    settled, (sentence,) = settle_probes(plan, [*refused, other])
    assert "does not allow a probe on __vma_start_write" in sentence
    assert set(settled.choice.events) == {"sched:sched_switch", "sched:sched_waking"}
    assert settled.describe()["missing"][-2:] == ["kprobes:vma_start_write", "kprobes:vma_start_write_return"]
    assert list_refusals(plan, [*refused, other]) == ["/t/saved_cmdlines_size refused '8192'"]


def test_one_probe_of_two_is_kept() -> None:
    plan = plan_probed()
    settled, sentences = settle_probes(plan, [w for w in plan.writes if "vma_start_write_return/" in w.path])
    assert "kprobes:vma_start_write" in settled.choice.events
    assert settled.choice.missing[-1] == "kprobes:vma_start_write_return"
    assert len(sentences) == 1


@pytest.mark.parametrize("probed", [True, False], ids=["ours", "left by a killed recording"])
def test_probes_are_removed_and_those_found_put_back(probed: bool) -> None:
    plan = plan_probed() if probed else plan_for(Path("/t"))
    theirs = ["p:kprobes/open do_sys_openat2", "r4:kprobes/vma_start_write_return __vma_start_write arg1=$retval"]
    found = {"/t/kprobe_events": "\n".join(theirs) + "\n", "/t/set_event": "kprobes:vma_start_write_return\n"}
    writes = plan_restore("/t", plan.choice, found)
    assert kprobe_lines(writes) == [*(f"-:{name}" for name in PROBES), theirs[1]]
    values = [write.value for write in writes]
    assert values.index("") < values.index(f"-:{PROBES[0]}"), "an enabled probe cannot be removed"
    assert values.index(theirs[1]) < values.index("kprobes:vma_start_write_return"), (
        "nor one enabled before it is there"
    )
    assert kprobe_lines(plan_restore("/t", plan.choice, {"/t/kprobe_events": None})) == []


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("trace_clock", "local global [mono]", "mono"),
        ("trace_clock", "local", None),
        ("buffer_size_kb", "1408", "1408"),
        ("buffer_size_kb", "7 (expanded: 1408)", "1408"),
        ("buffer_size_kb", "X", None),
        ("set_event_pid", "", ""),
        ("current_tracer", "nop", "nop"),
        ("current_tracer", "", None),
    ],
)
def test_what_puts_a_file_back(name: str, text: str, value: str | None) -> None:
    assert parse_state(name, text) == value


def test_lost_events() -> None:
    stats = "entries: 5\noverrun: 7\ncommit overrun: 1\nbytes: 9\ndropped events: 2\nread events: 100\n"
    assert parse_lost(stats) == 10
    assert parse_lost("") == 0
