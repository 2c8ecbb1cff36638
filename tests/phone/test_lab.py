"""A lab of scripted phones that the real adb drives: inventory, status, leases, quarantine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from android_suite.device.connect import open_plain
from android_suite.device.lease import lease_device
from tests.phone.conftest import MakePhone, Suite
from tests.scripted_phone.server import AdbServer


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
