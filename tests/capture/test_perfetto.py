"""Perfetto capture without a device: what is asked for, what a service and a trace say, what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as protos

from android_suite.capture.needs import find_needs
from android_suite.capture.perfetto import PerfettoCapture, find_missing_marks
from android_suite.capture.perfetto_client import FOLDER, Session, parse_service, read_service
from android_suite.capture.perfetto_config import (
    FRAME_TIMELINE,
    PerfettoPlan,
    make_config,
    plan_perfetto,
    render_config,
)
from android_suite.capture.perfetto_losses import Losses, read_losses
from android_suite.capture.source import Capture, Request, Site
from android_suite.capture.trace_files import TracefsFacts
from android_suite.capture.ways import choose_way
from android_suite.device.device import TRACEFS_PLACES, Device
from android_suite.device.files import _MARK, render_access_script, render_read_script
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import LabError, Unsupported
from android_suite.workload.workload import ALL_NEEDS

NAMED = frozenset(
    {"sched:sched_switch", "sched:sched_waking", "syscalls:sys_enter_madvise", "syscalls:sys_exit_madvise"}
    | {f"mmap_lock:mmap_lock_{name}" for name in ("start_locking", "acquire_returned", "released")}
)
FACTS = TracefsFacts(
    tracefs="/sys/kernel/tracing", available=NAMED, machine="aarch64", release="6.1.0", page_bytes=4096
)
HELP = b"  --background-wait -D : waits\n  --query-raw : prints\n"


def plan(
    facts: TracefsFacts | None = None, *, offered: frozenset[str] | None = None, atrace: bool = True, instance: str = ""
) -> PerfettoPlan:
    return plan_perfetto(
        "android-suite-1",
        find_needs(ALL_NEEDS),
        facts,
        offered=offered,
        package="com.example.app",
        atrace=atrace,
        instance=instance,
        buffer_kb=8192,
        period_ms=500,
    )


def service_state(*names: str, sessions: int = 0) -> bytes:
    state = protos.TracingServiceState(tracing_service_version="Perfetto v56.0", num_sessions_started=sessions)
    for name in names:
        state.data_sources.add().ds_descriptor.name = name
    return state.SerializeToString()


def device_of(*exchanges: Exchange) -> tuple[Device, ScriptedTransport]:
    transport = ScriptedTransport(exchanges, serial="phone")
    return Device(transport), transport


def test_without_tracefs_everything_is_asked_for_and_calls_are_filtered() -> None:
    config = make_config(plan())
    assert text_format.Parse(render_config(config), protos.TraceConfig()) == config
    ftrace = config.data_sources[0].config.ftrace_config
    assert {"mmap_lock/mmap_lock_released", "raw_syscalls/sys_enter", "ftrace/print", "lock/contention_begin"} <= set(
        ftrace.ftrace_events
    )
    assert "sys_madvise" in ftrace.syscall_events
    assert "dalvik" in ftrace.atrace_categories
    assert ftrace.atrace_userspace_only
    assert list(ftrace.atrace_apps) == ["com.example.app"]
    assert FRAME_TIMELINE in [source.config.name for source in config.data_sources]
    assert config.write_into_file
    assert config.duration_ms > 0  # a session whose host died ends by itself
    assert config.max_file_size_bytes > 0


def test_with_tracefs_the_events_of_the_kernel_are_asked_for() -> None:
    found = plan(FACTS, atrace=False, instance="mine")
    ftrace = make_config(found).data_sources[0].config.ftrace_config
    assert sorted(ftrace.ftrace_events) == sorted(event.replace(":", "/") for event in NAMED)
    assert ftrace.instance_name == "mine"
    assert (list(ftrace.syscall_events), list(ftrace.atrace_categories)) == ([], [])
    assert "sched:sched_blocked_reason" in found.missing
    with pytest.raises(Unsupported, match="sched_switch"):
        plan(TracefsFacts(tracefs="", available=frozenset(), machine="aarch64", release="", page_bytes=4096))


def test_data_sources_that_the_phone_lacks_are_left_out() -> None:
    found = plan(offered=frozenset({"linux.ftrace", "linux.process_stats"}))
    assert found.lacking == (FRAME_TIMELINE, "android.log")
    assert [source.config.name for source in make_config(found).data_sources] == ["linux.ftrace", "linux.process_stats"]


def test_the_service_is_asked() -> None:
    device, transport = device_of(
        Exchange(command="command -v perfetto", stdout=b"/system/bin/perfetto\n"),
        Exchange(command="perfetto --help", stderr=HELP, status=1),
        Exchange(command="perfetto --query-raw", stdout=service_state("linux.ftrace", sessions=2)),
    )
    service = read_service(device)
    assert (service.version, service.sources, service.sessions, service.waits) == (
        "Perfetto v56.0", {"linux.ftrace"}, 2, True,
    )  # fmt: skip
    transport.finish()
    with pytest.raises(LabError, match="gave no state"):
        parse_service(b"\xff\xff no protobuf", waits=True)


def test_an_old_perfetto_lists_nothing_and_does_not_wait() -> None:
    device, _ = device_of(
        Exchange(command="command -v perfetto", stdout=b"/system/bin/perfetto\n"),
        Exchange(command="perfetto --help", stderr=b"  --background -d : Exits immediately\n", status=1),
    )
    service = read_service(device)
    assert (service.sources, service.waits) == (None, False)
    assert plan(offered=service.sources).lacking == ()


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ([Exchange(command="command -v perfetto", status=127)], Unsupported, "has no command perfetto"),
        (
            [
                Exchange(command="command -v perfetto"),
                Exchange(command="perfetto --help", stderr=HELP),
                Exchange(command="perfetto --query-raw", stderr=b"Could not connect to the traced socket", status=1),
            ],
            LabError,
            "persist.traced.enable",
        ),
    ],
    ids=["no command", "no service"],
)
def test_no_service_gets_a_sentence(answers: list[Exchange], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read_service(device_of(*answers)[0])


def test_a_session_that_is_refused_has_perfettos_own_words() -> None:
    command = f"perfetto --background-wait -c - -o {FOLDER}/android-suite-1.pftrace"
    device, _ = device_of(Exchange(command=command, stderr=b"Failed to open: Permission denied\n", status=1))
    session = Session(device, "1")
    waits = parse_service(service_state("linux.ftrace"), waits=True)
    with pytest.raises(LabError, match="Permission denied"):
        session.start(b"", waits)
    assert session.pid == 0


def trace_with_stats() -> protos.Trace:
    raw = protos.Trace()
    for phase, lost in (("START_OF_TRACE", (5, 0)), ("END_OF_TRACE", (9, 2))):
        stats = raw.packet.add().ftrace_stats
        stats.phase = protos.FtraceStats.Phase.Value(phase)
        stats.unknown_ftrace_events.append("lock/none")
        stats.failed_ftrace_events.append("mmap_lock/mmap_lock_released")
        for cpu, count in enumerate(lost):
            stats.cpu_stats.add(cpu=cpu, overrun=count)
    raw.packet.add().trace_stats.buffer_stats.add(chunks_overwritten=3)
    raw.packet.add(timestamp=7).ftrace_events.cpu = 1
    return raw


def test_a_trace_tells_its_losses() -> None:
    data = trace_with_stats().SerializeToString()
    told = read_losses(data)
    assert told == Losses(events=6, chunks=3, refused=("mmap_lock/mmap_lock_released",), unknown=("lock/none",))
    assert read_losses(b"") == Losses()
    for cut in range(len(data)):  # whatever is cut off, nothing is made up
        assert (read_losses(data[:cut]).events or 0) <= 6


def test_marks_that_are_not_in_the_trace_are_missed() -> None:
    marked = b"..android_suite: start 12ab\n..android_suite: end 12ab\n"
    assert find_missing_marks(marked, "12ab") == []
    assert "the mark at the end" in find_missing_marks(marked[:30], "12ab")[0]
    assert "start and the mark at the end" in find_missing_marks(marked, "other")[0]


@pytest.mark.parametrize(
    ("capture", "traced", "used"),
    [("tracefs", True, False), ("perfetto", True, True), ("both", True, True), ("perfetto", False, False)],
)
def test_it_is_used_where_it_was_asked_for(capture: Capture, traced: bool, used: bool) -> None:
    device, _ = device_of()
    request = Request(process="", package=None, needs=("SCHED",), cache=Path(), traced=traced, capture=capture)
    site = Site(device=device, tracefs=None, refresh_rate_hz=None)
    assert (PerfettoCapture.for_host(request, site) is not None) is used


@pytest.mark.parametrize(
    ("found", "way"), [(b"/system/bin/perfetto\n", "perfetto"), (b"", None)], ids=["perfetto", "neither"]
)
def test_without_tracefs_perfetto_records_if_there_is_one(found: bytes, way: str | None) -> None:
    lists = [f"{place}/available_events" for place in TRACEFS_PLACES]
    blind = b"".join(b"\n" + _MARK.encode() + b"1\n" for _ in lists)
    absent = b"".join(_MARK.encode() + f"ls: {place}: No such file or directory\n".encode() for place in TRACEFS_PLACES)
    device, transport = device_of(
        Exchange(command=render_read_script(lists), stdout=blind),
        Exchange(command=render_access_script(TRACEFS_PLACES), stdout=absent),
        Exchange(command="id", stdout=b"uid=2000(shell) gid=2000(shell)\n"),
        Exchange(command="command -v perfetto", stdout=found, status=0 if found else 127),
    )
    if way is None:
        with pytest.raises(Unsupported, match="no command perfetto either"):
            choose_way(device, "auto")
    else:
        assert choose_way(device, "auto") == (way, None)
    transport.finish()
