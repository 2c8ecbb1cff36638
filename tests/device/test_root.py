"""Root by su, against a written conversation."""

from __future__ import annotations

from types import SimpleNamespace

import adbutils
import pytest
import uiautomator2

from android_suite.device.adb import AdbTransport
from android_suite.device.device import Device
from android_suite.device.root import SuTransport, become_root
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.device.ui import open_ui
from android_suite.errors import AdbError, AdbTimeout, DeviceLost, LabError

ROOT, SHELL = b"uid=0(root) gid=0(root) context=u:r:magisk:s0\n", b"uid=2000(shell) gid=2000(shell)\n"


def test_a_shell_that_is_root_stays_as_it_is() -> None:
    transport = ScriptedTransport([Exchange(command="id", stdout=ROOT)])
    assert become_root(transport) is transport
    transport.finish()


def test_magisk() -> None:
    transport = ScriptedTransport(
        [
            Exchange(command="id", stdout=SHELL),
            Exchange(command="su -c id", stdout=ROOT),
            Exchange(command="""su -c 'cat '"'"'a b'"'"''""", stdout=b"x"),
            Exchange(command="su -c 'echo 1 > /t/tracing_on'", stderr=b"no\n", status=3),
            Exchange(command="su -c 'logcat -v epoch'", pieces=(b"line\n",)),
        ]
    )
    rooted = become_root(transport)
    done = rooted.run(["cat", "a b"])
    assert (done.command, done.stdout) == ("cat 'a b'", b"x")
    assert rooted.run("echo 1 > /t/tracing_on").status == 3
    with rooted.stream("logcat -v epoch") as stream:
        assert stream.read(timeout=1) == b"line\n"
    transport.finish()


def test_the_syntax_of_aosp() -> None:
    transport = ScriptedTransport(
        [
            Exchange(command="id", stdout=SHELL),
            Exchange(command="su -c id", stderr=b"su: invalid uid/gid '-c'\n", status=1),
            Exchange(command="su 0 sh -c id", stdout=ROOT),
            Exchange(command="su 0 sh -c 'ls -l'", stdout=b"x"),
        ]
    )
    assert become_root(transport).run("ls -l").stdout == b"x"
    transport.finish()


def test_no_su_and_a_su_that_waits_for_a_finger() -> None:
    transport = ScriptedTransport(
        [
            Exchange(command="id", stdout=SHELL),
            Exchange(command="su -c id", error=AdbTimeout("slow")),
            Exchange(command="su 0 sh -c id", stderr=b"su: inaccessible or not found\n", status=127),
            Exchange(command="su root sh -c id", stdout=SHELL),
        ]
    )
    assert become_root(transport) is transport
    with pytest.raises(DeviceLost):
        become_root(ScriptedTransport([Exchange(command="id", error=DeviceLost("gone"))]))


def test_files_go_through_a_place_that_the_shell_may_write() -> None:
    staged, target = "/data/local/tmp/.android-suite-drain", "/data/adb/drain"
    copy = f"su -c 'cat {staged} > {target} && chmod 755 {target}; s=$?; rm -f {staged}; exit $s'"
    transport = ScriptedTransport(
        [
            Exchange(command=f"push {staged}"),
            Exchange(command=copy),
            Exchange(command="su -c 'cat /data/adb/out'", stdout=b"\0\1"),
            Exchange(command="su -c 'cat /data/adb/none'", stderr=b"No such file\n", status=1),
        ]
    )
    rooted = SuTransport(transport, ("su", "-c"))
    rooted.push(b"program", target, mode=0o755)
    assert transport.pushed == {staged: b"program"}
    assert rooted.pull("/data/adb/out") == b"\0\1"
    with pytest.raises(AdbError, match="No such file"):
        rooted.pull("/data/adb/none")
    transport.finish()


def test_a_screen_is_driven_beside_su(monkeypatch: pytest.MonkeyPatch) -> None:
    """uiautomator2 speaks adb by itself: whether the suite's own commands go through su is nothing to it."""
    given: list[adbutils.AdbDevice] = []

    def connect(device: adbutils.AdbDevice) -> SimpleNamespace:
        given.append(device)
        return SimpleNamespace(settings={}, stop_uiautomator=lambda wait: None)

    monkeypatch.setattr(uiautomator2, "Device", connect)
    plain = AdbTransport(adbutils.AdbClient(), "1A2B", features=frozenset())
    with open_ui(Device(SuTransport(plain, ("su", "-c")))) as ui:
        assert ui.serial == "1A2B"
    assert [device.serial for device in given] == ["1A2B"]
    with pytest.raises(LabError, match="only be driven over adb"), open_ui(Device(ScriptedTransport([]))):
        pass
