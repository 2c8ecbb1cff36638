"""Every fault at three moments of a campaign on a scripted phone: before, during and after the recording of a job.

Nothing that was finished is lost or done twice, no fault of the lab is told as one of the kernel, and the campaign ends
by itself. docs/faults.md has the table.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.phone.conftest import MakePhone, Suite
from tests.scripted_fastboot.flashable import write_images
from tests.scripted_phone import ScriptedPhone
from tests.scripted_phone.server import AdbServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLAN = """\
[plan]
name = "matrix"
mode = "realtime"
boots = 1

[[kernel]]
label = "installed"
kernel = "attached"
role = "baseline"

[[kernel]]
label = "flashed"
kernel = "./after.img"
boot = "fastboot"
flash = { boot = "./after.img" }
slot = "other"
role = "candidate"

[[scenario]]
name = "command"
traced = false
parameters = { run = "echo begun; sleep 1; uname -r" }
"""


def vanish(phone: ScriptedPhone, _server: AdbServer) -> None:
    phone.unplug(back_s=1.0)


def reset_connection(phone: ScriptedPhone, _server: AdbServer) -> None:
    for link in list(phone._links):
        link.close()


def kill_server(phone: ScriptedPhone, server: AdbServer) -> None:
    server.kill()
    server.run("start-server")
    server.connect(phone.address)


FAULTS: dict[str, Callable[[ScriptedPhone, AdbServer], None]] = {
    "unplugged for a second": vanish,
    "TCP connection dropped": reset_connection,
    "adb server killed": kill_server,
}


@contextmanager
def once_at(phone: ScriptedPhone, moment: str, out: Path, happen: Callable[[], None]) -> Iterator[list[str]]:
    """Lets the fault happen once, in the second job: when it begins, in its scenario, or when that has ended."""
    over = threading.Event()
    hit: list[str] = []

    def next_service(pattern: str, *, after: int) -> str | None:
        while not over.wait(0.01):
            for service in phone.services[after:]:
                if pattern in service:
                    return service
        return None

    def watch() -> None:
        # What was asked for when the first job was not done yet: the second job's begin is later, however late this looks.
        so_far = 0
        while True:
            asked = len(phone.services)
            if out.exists() and any((out / "jobs").glob("*")):
                break
            so_far = asked
            if over.wait(0.01):
                return
        if moment == "before":
            found = next_service("", after=len(phone.services))
        else:
            found = next_service("echo begun", after=so_far)
            if found and moment == "during":
                time.sleep(0.3)
            elif found:
                begun = len(phone.services)
                time.sleep(1.0)
                found = next_service("", after=begun)
        if found:
            hit.append(found)
            happen()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield hit
    finally:
        over.set()
        watcher.join(60)


@pytest.mark.parametrize("moment", ["before", "during", "pull"])
@pytest.mark.parametrize("fault", FAULTS)
def test_it_ends_by_itself_with_every_job_once(
    make_phone: MakePhone, server: AdbServer, suite: Suite, tmp_path: Path, fault: str, moment: str
) -> None:
    phone = make_phone(root="adbd")
    write_images(tmp_path)
    (tmp_path / "plan.toml").write_text(PLAN)  # --aa runs its baseline only
    out = tmp_path / "out"
    with once_at(phone, moment, out, lambda: FAULTS[fault](phone, server)) as hit:
        done = suite("qualify", "plan.toml", "--aa", "--serial", phone.address, "-o", "out")
    assert hit, f"the fault did not happen: {done.output}"
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    recorded = [event["job"] for event in events if event["event"] == "recorded"]
    assert len(recorded) == len(set(recorded)) == len(list((out / "jobs").iterdir())) == 2
    assert json.loads((out / "summary.json").read_text())["crashes"] == []
    assert {event["fault"] for event in events if event["event"] == "failed"} <= {"device", "lab"}
