"""Where Debian's packages come from, on hosts that are not Debian."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from android_suite.cli.main import run
from android_suite.config import Config
from android_suite.errors import MachineError
from android_suite.virtual.packages import MIRROR_ENV, Packages, read_mirror


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that stands for apt-get and apt-cache; nothing else says where packages are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("apt-get", "apt-cache"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("ANDROID_SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(MIRROR_ENV, raising=False)
    monkeypatch.chdir(tmp_path)
    return folder / "apt-get"


def test_a_host_whose_packages_are_not_debian(
    apt: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    apt.write_text("#!/bin/sh\necho 'Ubuntu http://mirror.invalid/ubuntu'\n")
    assert run(["kernels", "fetch", "6.17.13"]) == 4
    said = capsys.readouterr().err
    assert "apt on this machine uses no Debian mirror" in said
    assert f"set {MIRROR_ENV}" in said
    run(["doctor"])
    assert f"set {MIRROR_ENV}" in " ".join(capsys.readouterr().out.split())
    Path("suite.toml").write_text('[virtual]\ndebian_mirror = "http://mirror.invalid/d"\n')
    run(["doctor"])
    assert "kernels come from mirror.invalid" in capsys.readouterr().out
    monkeypatch.setenv(MIRROR_ENV, "http://other.invalid/d")
    run(["doctor"])
    assert "kernels come from other.invalid" in capsys.readouterr().out


def test_apt_never_updated(apt: Path) -> None:
    with pytest.raises(MachineError, match="run apt-get update"):
        read_mirror(None)


def test_no_key_of_debian(apt: Path, tmp_path: Path) -> None:
    apt.write_text(
        "#!/bin/sh\necho 'W: GPG error: NO_PUBKEY 6ED0E7B82643E131' >&2; echo 'E: not signed.' >&2; exit 100\n"
    )
    config = Config(cache=tmp_path / "cache", debian_mirror="http://mirror.invalid/d")
    with pytest.raises(MachineError, match="install debian-archive-keyring"):
        Packages(config, "arm64").list_names("linux-image-")
