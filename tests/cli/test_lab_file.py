"""`android-suite lab` with a file, or a state folder, that is wrong: one sentence, the right exit code, nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.lab.inventory import read_inventory
from android_suite.lab.quarantine import put_aside, why_aside


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'[[device]]\nserial = "A"\n[[device]]\nserial = "A"\n', "lab.toml:3: device[1]: expected each device once"),
        (b'[[device]]\nserial = "A"\ncolour = "red"\n', "lab.toml:3: device[0].colour"),
        (b'[[device]]\nserial = "A"\ntransport = "usb:1"\n', "expected one of serial, transport and model"),
        (b'[[server]]\nname = "a"\n[[device]]\nserial = "A"\nserver = "b"\n', "device[0].server: expected"),
        (b'state = "a"\nstate = "b"\n', "lab.toml:2: syntax"),
        (b'state = "a\\u0000b"\n', "lab.toml:1: state: expected the path of a folder"),
        (b'\xff\xfe[[device]]\nserial = "A"\n', "it is not UTF-8 text"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes, said: str) -> None:
    (tmp_path / "lab.toml").write_bytes(text)
    assert run(["lab", "status", "--lab", str(tmp_path / "lab.toml")]) == 2
    assert said in capsys.readouterr().err


def test_a_home_that_there_is_not_is_a_name_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('state = "~no-such-user/state"\n')
    assert read_inventory(tmp_path / "lab.toml").state == tmp_path / "~no-such-user/state"


def test_the_state_folder_is_shared_and_may_hold_anything(tmp_path: Path) -> None:
    put_aside(tmp_path, "A", "hot")
    (file,) = (tmp_path / "quarantine").iterdir()
    file.unlink()
    os.mkfifo(file)
    assert why_aside(tmp_path, "A") == f"its file {file} cannot be read", "a device stays aside until somebody looked"
    file.unlink()
    file.symlink_to("/etc/passwd")
    assert why_aside(tmp_path, "A") == f"its file {file} cannot be read"
    put_aside(tmp_path, "../../A", "hot")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quarantine"]
