"""A new source is one class and one entry of the registry: both ways of recording take it from there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from android_suite.capture.registry import SOURCES, open_sources
from android_suite.capture.session import run_session
from android_suite.capture.source import GuestSteps, Request, Site
from android_suite.device.device import Device
from android_suite.device.files import render_read_script
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.record.sealed import OUT_FOLDER, plan_guest, render_run_files
from android_suite.store.run import IterationWriter, create_run
from android_suite.workload.registry import plan_scenarios

PATH = "/proc/loadavg"


class LoadCapture:
    """``/proc/loadavg`` after the scenario."""

    name = "loadavg"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._out: IterationWriter | None = None

    @classmethod
    def for_host(cls, request: Request, site: Site) -> Self:
        return cls(site.device)

    @classmethod
    def for_guest(cls, request: Request, machine: str) -> GuestSteps:
        return GuestSteps(stop=f"cat {PATH} > $out/loadavg.txt", keep={"loadavg.txt": "loadavg.txt"})

    def prepare(self, out: IterationWriter) -> None:
        self._out = out

    def start(self) -> None: ...

    def stop(self) -> None:
        data = self._device.read_file(PATH)
        if data and self._out:
            self._out.write("loadavg.txt", data)

    def pull(self) -> None: ...

    def restore(self) -> None: ...


REQUEST = Request(process="", package=None, needs=(), cache=Path("unused"), traced=False, lock_stat=False)


def test_a_host_records_it(tmp_path: Path) -> None:
    answer = b"0.5 0.4 0.3 1/90 7\n" + b"\n=android-suite-end-of-file= 0\n"
    device = Device(ScriptedTransport([Exchange(command=render_read_script([PATH]), stdout=answer)]))
    site = Site(device=device, tracefs=None, refresh_rate_hz=None)
    out = create_run(tmp_path / "run", label="x", mode="realtime").begin_iteration(
        "s", seed=1, boot="b", traced=False, parameters={}
    )
    sources = open_sources((*SOURCES, LoadCapture), REQUEST, site)
    assert [source.name for source in sources] == ["maps", "vmstat", "logcat", "loadavg"]
    with run_session(sources[-1:], out):
        pass
    assert (out.folder / "loadavg.txt").read_bytes() == b"0.5 0.4 0.3 1/90 7\n"


def test_a_lone_guest_records_it(tmp_path: Path) -> None:
    ((workload, parameters),) = plan_scenarios(["command"], {"run": "true"}, mode="deterministic")
    steps = plan_guest((*SOURCES, LoadCapture), REQUEST, "aarch64")
    (script,) = render_run_files(workload, parameters, steps, seed=1).values()
    text = script.decode().replace(OUT_FOLDER, str(tmp_path / "out"))
    subprocess.run(["sh", "-c", text], check=True, timeout=60)
    assert (tmp_path / "out/loadavg.txt").read_bytes()
    assert (tmp_path / "out/vmstat_before.txt").read_bytes()
    assert steps[-1].keep == {"loadavg.txt": "loadavg.txt"}
