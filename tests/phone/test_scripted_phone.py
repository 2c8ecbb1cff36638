"""The scripted phone itself: the real adb and adbutils drive it as they drive a phone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.phone.conftest import MakePhone
from tests.scripted_phone.server import AdbServer


def test_adb_drives_it(make_phone: MakePhone, server: AdbServer, tmp_path: Path) -> None:
    phone = make_phone()
    here = ("-s", phone.address)
    listed = server.run("devices", "-l").stdout
    assert f"{phone.address}" in listed
    assert "model:Pixel_6" in listed
    done = server.run(*here, "shell", "echo out; echo err >&2; getprop ro.build.version.sdk; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n34\n", "err\n")
    assert server.run(*here, "exec-out", "uname -r").stdout == f"{phone.kernel}\n"
    data = os.urandom(300_000)
    (tmp_path / "there").write_bytes(data)
    server.run(*here, "push", str(tmp_path / "there"), "/data/local/tmp/a file")
    server.run(*here, "pull", "/data/local/tmp/a file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert "Permission denied" in server.run(*here, "push", str(tmp_path / "there"), "/system/x").stdout
    device = server.client.device(phone.address)
    assert [each.path for each in device.sync.list("/data/local/tmp")] == ["a file"]
    assert device.sync.stat("/data/local/tmp/a file").size == len(data)


def test_adb_root_restarts_adbd(make_phone: MakePhone, server: AdbServer) -> None:
    phone = make_phone(root="debuggable")
    here = ("-s", phone.address)
    assert "uid=2000(shell)" in server.run(*here, "shell", "id").stdout
    assert "restarting adbd as root" in server.run(*here, "root").stdout
    server.run("disconnect", phone.address)
    server.connect(phone.address)
    assert "uid=0(root)" in server.run(*here, "shell", "id").stdout


def test_a_stock_phone_refuses_root(make_phone: MakePhone, server: AdbServer) -> None:
    phone = make_phone(root="none")
    here = ("-s", phone.address)
    assert "cannot run as root in production builds" in server.run(*here, "root").stdout
    assert "denied" in server.run(*here, "shell", "cat /sys/kernel/tracing/set_event").stderr
    assert server.run(*here, "shell", "su -c id").returncode != 0


@pytest.mark.parametrize(
    ("root", "works", "fails"), [("magisk", "su -c 'id; id -u'", "su 0 id"), ("su0", "su 0 id", "su -c id")]
)
def test_the_syntaxes_of_su(make_phone: MakePhone, server: AdbServer, root: str, works: str, fails: str) -> None:
    phone = make_phone(root=root)
    assert server.run("-s", phone.address, "shell", works).stdout.startswith("uid=0(root)")
    refused = server.run("-s", phone.address, "shell", fails)
    assert "uid=0" not in refused.stdout
    assert refused.returncode != 0


def test_tracefs_refuses_as_the_kernel_does(make_phone: MakePhone, server: AdbServer) -> None:
    phone = make_phone(root="adbd")

    def shell(script: str) -> str:
        done = server.run("-s", phone.address, "shell", f"cd /sys/kernel/tracing; {script}")
        return done.stdout + done.stderr

    assert "[boot]" in shell("cat trace_clock")
    assert "Invalid argument" in shell("echo nonsense > trace_clock")
    assert "[mono]" in shell("echo mono > trace_clock; cat trace_clock")
    assert shell("echo sched:sched_switch >> set_event; cat set_event events/sched/sched_switch/enable") == (
        "sched:sched_switch\n1\n"
    )
    assert "No such file" in shell("ls events/syscalls")  # a GKI kernel has raw_syscalls only
    assert "not permitted" in shell("echo 1 > unheard_of")


def test_authorization(make_phone: MakePhone, server: AdbServer) -> None:
    stranger = make_phone(connect=False, authorization="refuse")
    server.run("connect", stranger.address)
    assert f"{stranger.address}\tunauthorized" in server.run("devices").stdout
    friend = make_phone(authorization="accept")
    assert f"{friend.address}\tdevice" in server.run("devices").stdout


def test_it_reboots_with_another_kernel(make_phone: MakePhone, server: AdbServer) -> None:
    phone = make_phone()
    before = phone.state.boot_id

    def boots_another(_phone: object, target: str) -> None:
        assert target == ""
        phone.kernel = "5.10.157-patched"
        phone.boot()

    phone.on_reboot = boots_another
    server.run("-s", phone.address, "reboot")
    phone.wait_booted(before)
    server.run("disconnect", phone.address)
    server.connect(phone.address)
    said = server.run("-s", phone.address, "shell", "uname -r; cat /proc/sys/kernel/random/boot_id").stdout.split()
    assert said == ["5.10.157-patched", phone.state.boot_id]
    assert phone.state.boot_id != before
