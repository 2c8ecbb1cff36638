"""The tracked APK is what its sources build, and Android's own tools accept it. The stress class is the same on any Java."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from android_suite.workload.our_app import APK, BACKGROUND_APK, BACKGROUND_PACKAGE, PACKAGE, VERSION_CODE
from tests.stress_sequence import expect_mixed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def apks(project_root: Path) -> Path:
    return project_root / "apks"


@pytest.fixture(scope="module")
def classes(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stress class and what it needs, compiled without any class of Android."""
    folder = tmp_path_factory.mktemp("classes")
    files = [str(file) for file in (project_root / "android_suite/virtual/art/workload").rglob("*.java")]
    subprocess.run(["javac", "-encoding", "UTF-8", "-d", str(folder), *files], check=True, capture_output=True)
    return folder


def run(*words: str | Path) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def run_stress(classes: Path, *arguments: str) -> dict[str, object]:
    text = run("java", "-cp", classes, f"{PACKAGE}.Stress", *arguments)
    found: dict[str, object] = json.loads(text.removeprefix("result "))
    return found


def test_the_sources_build_the_tracked_apk_byte_for_byte(apks: Path, tmp_path: Path) -> None:
    built = tmp_path / "built.apk"
    run(apks / "build", built)
    assert built.read_bytes() == APK.read_bytes(), "run `make apk` and commit the APKs"
    assert (tmp_path / BACKGROUND_APK.name).read_bytes() == BACKGROUND_APK.read_bytes()


def test_the_second_app_is_the_first_under_another_name() -> None:
    badging = run("aapt", "dump", "badging", BACKGROUND_APK)
    assert re.search(rf"^package: name='{BACKGROUND_PACKAGE}' versionCode='{VERSION_CODE}'", badging, re.MULTILINE)
    assert f"launchable-activity: name='{PACKAGE}.LaunchActivity'" in badging
    assert "Verifies" in run("apksigner", "verify", "--verbose", "--min-sdk-version", "26", BACKGROUND_APK)


def test_the_package_says_what_the_suite_asks_for() -> None:
    badging = run("aapt", "dump", "badging", APK)
    assert re.search(rf"^package: name='{PACKAGE}' versionCode='{VERSION_CODE}'", badging, re.MULTILINE)
    assert "sdkVersion:'26'" in badging
    assert "targetSdkVersion:'34'" in badging
    assert f"launchable-activity: name='{PACKAGE}.LaunchActivity'" in badging
    manifest = run("aapt", "dump", "xmltree", APK, "AndroidManifest.xml")
    assert "profileable" in manifest
    assert ".GcStressActivity" in manifest
    assert ".UiActivity" in manifest
    assert ".TrampolineActivity" in manifest
    assert {f":p{number}" for number in range(1, 9)} <= set(re.findall(r'android:process\S+="([^"]+)"', manifest))


def test_the_signature_holds() -> None:
    assert "Verifies" in run("apksigner", "verify", "--verbose", "--min-sdk-version", "26", APK)


def test_the_code_is_a_dex_file_with_the_activities() -> None:
    text = run("dexdump", "-l", "plain", APK)
    for name in ("GcStressActivity", "LaunchActivity", "UiActivity", "HelperService", "Stress"):
        assert f"L{PACKAGE.replace('.', '/')}/{name};" in text


def test_one_seed_is_one_sequence_of_allocations(classes: Path) -> None:
    once, again = (run_stress(classes, "seed=7", "steps=5000", "threads=2") for _ in range(2))
    assert once["digest"] == again["digest"]
    assert once["allocated_bytes"] == again["allocated_bytes"]
    assert once["allocations"] == 10_000


def test_the_sequence_is_the_one_that_is_documented(classes: Path) -> None:
    """Numbers of one seed may be compared over versions of the app only while this holds."""
    done = run_stress(classes, "seed=1", "steps=1000")
    assert (done["allocated_bytes"], done["digest"]) == expect_mixed(1, 1000)


def test_other_seeds_and_sizes_are_other_sequences(classes: Path) -> None:
    digests = {
        run_stress(classes, f"seed={seed}", "steps=500", f"sizes={sizes}")["digest"]
        for seed in (1, 2)
        for sizes in ("mixed", "small", "large")
    }
    assert len(digests) == 6


def test_a_duration_ends_it(classes: Path) -> None:
    done = run_stress(classes, "duration_ms=200", "rate=1000", "sizes=small")
    assert 0 < int(str(done["allocations"])) <= 1000


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("threads=0", "threads is 0; choose 1 to 64"),
        ("sizes=huge", "sizes is 'huge'; choose mixed, small or large"),
        ("seed=x", "seed is 'x', not a whole number"),
        ("speed=1", "'speed=1' is not KEY=VALUE"),
    ],
)
def test_a_wrong_argument_is_one_sentence(classes: Path, argument: str, sentence: str) -> None:
    done = subprocess.run(
        ["java", "-cp", str(classes), f"{PACKAGE}.Stress", argument], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert sentence in done.stderr
