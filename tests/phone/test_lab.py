"""A lab of scripted phones that the real adb drives: inventory, status, leases, quarantine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from android_suite.device.connect import open_plain
from android_suite.device.lease import lease_device
from tests.phone.conftest import MakePhone, Suite
from tests.scripted_phone.server import AdbServer

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def lab_file(tmp_path: Path, server: AdbServer, cache: Path) -> Path:
    config = server.config(cache)
    file = tmp_path / "lab.toml"
    file.write_text(f'[[server]]\nname = "rack1"\nhost = "{config.adb_server_host}"\nport = {config.adb_server_port}\n')
    return file


def add(file: Path, serial: str, more: str = "") -> None:
    with file.open("a") as out:
        out.write(f'[[device]]\nserial = "{serial}"\n{more}\n')


def test_status_tells_free_busy_quarantined_and_absent(
    lab_file: Path, make_phone: MakePhone, server: AdbServer, cache: Path, suite: Suite
) -> None:
    free, busy = make_phone(), make_phone()
    add(lab_file, free.address, 'labels = ["a", "b"]')
    add(lab_file, busy.address)
    add(lab_file, "GONE")
    config = server.config(cache)
    with lease_device(lambda: open_plain(config, busy.address), busy.address, cache, holder="qualify night.toml"):
        done = suite("lab", "status", "--lab", str(lab_file), "--json")
        assert done.exit_code == 0, done.output
        found = {each["serial"]: each for each in json.loads(done.stdout)["devices"]}
        assert [each["standing"] for each in found.values()] == ["free", "busy", "absent"]
        assert found[busy.address]["detail"].startswith("qualify night.toml, process ")
        assert found[free.address]["labels"] == ["a", "b"]
        assert found[free.address]["kernel"] == free.kernel
        assert isinstance(found[free.address]["battery_pct"], int)
        assert isinstance(found[free.address]["battery_c"], float)
        refused = suite("lab", "release", busy.address, "--lab", str(lab_file))
        assert refused.exit_code == 4
        assert "is leased by qualify night.toml" in refused.output
    put = suite("lab", "quarantine", free.address, "its battery swells", "--lab", str(lab_file))
    assert put.exit_code == 0, put.output
    text = suite("devices", "--lab", str(lab_file))
    assert "quarantined" in text.stdout
    assert "battery swells" in text.stdout
    aside = json.loads(suite("devices", "--lab", str(lab_file), "--json").stdout)["devices"][0]
    assert aside["detail"].startswith("its battery swells (since 20")
    assert suite("lab", "release", free.address, "--lab", str(lab_file)).exit_code == 0
    found = json.loads(suite("lab", "status", "--lab", str(lab_file), "--json").stdout)["devices"]
    assert [each["standing"] for each in found] == ["free", "free", "absent"]


def test_a_dead_server_is_told_and_the_others_are_shown(lab_file: Path, make_phone: MakePhone, suite: Suite) -> None:
    phone = make_phone()
    lab_file.write_text(lab_file.read_text() + '[[server]]\nname = "rack2"\nhost = "127.0.0.2"\nport = 1\n')
    add(lab_file, phone.address, 'server = "rack1"')
    add(lab_file, "B2", 'server = "rack2"')
    done = suite("lab", "status", "--lab", str(lab_file))
    assert done.exit_code == 4
    assert "adb server rack2: no adb server answers at 127.0.0.2:1" in done.output
    assert "free" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[device]]\n", "device[0]: expected one of serial, transport and model, found 0 of them"),
        ('[[device]]\nserial = "A"\nmodel = "B"\n', "found 2 of them"),
        ('[[device]]\nserial = "A"\nserver = "rack2"\n', "expected 'rack1' (did you mean that?), found 'rack2'"),
        ('[[device]]\nserial = "A"\n[[device]]\nserial = "A"\n', "expected each device once"),
        ('[[device]]\nserail = "A"\n', "'serial' (did you mean that?)"),
        ('[[server]]\nname = "x"\nport = 70000\n', "a port, 1 to 65535"),
    ],
)
def test_a_wrong_file_names_line_key_and_what_is_expected(lab_file: Path, suite: Suite, text: str, said: str) -> None:
    lab_file.write_text(lab_file.read_text() + text)
    done = suite("lab", "status", "--lab", str(lab_file))
    assert done.exit_code == 2
    assert said in done.output


HOLD = """
import sys, time
from pathlib import Path
from android_suite.config import Config
from android_suite.device.connect import open_plain
from android_suite.device.lease import lease_device
config = Config(adb_server_port=int(sys.argv[1]), serial=None, cache=Path(sys.argv[3]))
with lease_device(lambda: open_plain(config, sys.argv[2]), sys.argv[2], config.cache, holder="qualify night.toml"):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize("where", ["this host", "another cache"])
def test_what_a_campaign_of_another_process_leases_is_not_touched(
    make_phone: MakePhone, server: AdbServer, cache: Path, suite: Suite, tmp_path: Path, where: str
) -> None:
    phone = make_phone(root="restart")
    theirs = str(cache if where == "this host" else tmp_path / "cache")
    argv = [sys.executable, "-c", HOLD, str(server.port), phone.address, theirs]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as campaign:
        try:
            assert campaign.stdout is not None
            assert campaign.stdout.readline() == "held\n"
            boot, begun = phone.state.boot_id, len(phone.services)
            for verb in (
                ("record", "command", "--run", "true", "--serial", phone.address),
                ("probe", "--serial", phone.address),
                ("soak", "--minutes", "1", "--out", "soak", "--serial", phone.address),
            ):
                done = suite(*verb)
                assert done.exit_code == 4, done.output
                assert f"{phone.address} is in use (qualify night.toml, process {campaign.pid} on " in done.output
            assert phone.state.boot_id == boot
            touched = [each for each in phone.services[begun:] if "android-suite-lease" not in each]
            assert not [each for each in touched if each.startswith(("shell", "root", "sync"))]
        finally:
            campaign.kill()
    done = suite("record", "command", "--run", "true", "--no-trace", "--serial", phone.address, "-o", "run")
    assert done.exit_code == 0, done.output  # the campaign was killed, and with it its lease
