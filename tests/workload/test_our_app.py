"""The app is installed where it is missing or older, and a refusal is told with what to do about it."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from android_suite.device.device import Device
from android_suite.device.scripted import Exchange, ScriptedTransport
from android_suite.errors import LabError
from android_suite.virtual.image import GUEST
from android_suite.workload.our_app import APK, PACKAGE, VERSION_CODE, install_app

ON_DEVICE = f"/data/local/tmp/android-suite/{PACKAGE}.apk"
MISSING = (Exchange(command=f"pm path {PACKAGE}", status=1),)


def installed(version: int) -> tuple[Exchange, ...]:
    dumped = f"Packages:\n  Package [{PACKAGE}] (a1b2c3):\n    userId=10234\n    versionCode={version} minSdk=26 targetSdk=34\n"
    return (
        Exchange(command=f"pm path {PACKAGE}", stdout=b"package:/data/app/~~x==/base.apk\n"),
        Exchange(command=f"dumpsys package {PACKAGE}", stdout=dumped.encode()),
    )


def installing(answer: bytes, status: int = 0) -> tuple[Exchange, ...]:
    return (
        Exchange(command="mkdir -p /data/local/tmp/android-suite"),
        Exchange(command=f"push {ON_DEVICE}"),
        Exchange(command=f"pm install -r -t {ON_DEVICE}", stdout=answer, status=status),
        Exchange(command=f"rm -f {ON_DEVICE}"),
    )


@pytest.mark.parametrize(("before", "word"), [(MISSING, "installing"), (installed(VERSION_CODE - 1), "over version")])
def test_it_is_installed_where_it_is_missing_or_older(before: tuple[Exchange, ...], word: str) -> None:
    script = ScriptedTransport([*before, *installing(b"Success\n"), *installed(VERSION_CODE)])
    said: list[str] = []
    install_app(Device(script), said.append)
    script.finish()
    assert script.pushed[ON_DEVICE] == APK.read_bytes()
    assert len(said) == 1
    assert word in said[0]


@pytest.mark.parametrize("version", [VERSION_CODE, VERSION_CODE + 5])
def test_a_device_that_has_it_is_left_alone(version: int) -> None:
    script = ScriptedTransport(installed(version))
    install_app(Device(script), pytest.fail)
    script.finish()


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (
            (
                f"Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: Package {PACKAGE} signatures do not match previously installed"
                " version; ignoring!]"
            ),
            f"adb -s scripted uninstall {PACKAGE}",
        ),
        ("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]", "free some space on /data"),
        ("Failure [INSTALL_FAILED_USER_RESTRICTED: Install canceled by user]", "Install via USB"),
        (
            "Failure [INSTALL_PARSE_FAILED_NO_CERTIFICATES: Failed to collect certificates]",
            "logcat -d -s PackageManager",
        ),
        ("Error: failed to write; /data/local/tmp/x.apk (No space left on device)", "install the APK by hand"),
    ],
    ids=["other-signature", "no-space", "restricted", "another-failure", "no-code"],
)
def test_a_refusal_has_the_tool_s_words_and_a_next_step(answer: str, step: str) -> None:
    script = ScriptedTransport([*MISSING, *installing(f"{answer}\n".encode(), status=1)])
    with pytest.raises(LabError) as caught:
        install_app(Device(script), lambda _: None)
    script.finish()  # nothing is left behind
    assert step in str(caught.value)
    assert answer.removeprefix("Failure [").split(":")[0].rstrip("]") in str(caught.value)


def test_a_device_that_says_success_and_has_nothing_is_not_believed() -> None:
    script = ScriptedTransport([*MISSING, *installing(b"Success\n"), *MISSING])
    with pytest.raises(LabError, match="does not have it"):
        install_app(Device(script), lambda _: None)


def test_everybody_speaks_of_one_version(project_root: Path) -> None:
    """The APK's manifest, the built-in app of virtual devices, and what `record` asks for."""
    manifest = (project_root / "apks/AndroidManifest.xml").read_text()
    guest = (GUEST / "src/include/package.h").read_text()
    assert re.findall(r'versionCode="(\d+)"', manifest) == [str(VERSION_CODE)]
    assert re.findall(r'APP_VERSION_CODE "(\d+)"', guest) == [str(VERSION_CODE)]


@pytest.mark.slow
def test_the_wheel_has_the_apk(project_root: Path, tmp_path: Path) -> None:
    """Who installs the suite with pip has no checkout to take it from."""
    sources = tmp_path / "sources"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "android_suite", "pyproject.toml", "README.md", "LICENSE"],
        cwd=project_root, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, tracked.split("\0")):
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes((project_root / name).read_bytes())
    build = ["pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, sources]
    subprocess.run([project_root / ".venv/bin/python", "-m", *build], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"android_suite/workload/{PACKAGE}.apk") == APK.read_bytes()
