"""Runs scenarios with pytest: provides the fixtures ``device`` and ``record`` and classifies failures.

The fixture records and analyzes; a test body only asserts. A failed assertion and a crash of the app or the kernel (also
while it boots) are failures; every other exception of the suite (a fault of the test setup, evidence that cannot be
trusted, a wrong name) is an error; a kernel without a required feature is a skip.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from android_suite.errors import SuiteError, Unsupported

WAIT_S = 600.0  # the longest wait for the test of another worker, or for another recording


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the suite."""
    group = parser.getgroup("android-suite")
    group.addoption(
        "--serial", default=None, help="Device to run scenarios on (default: ANDROID_SERIAL, or the only one)."
    )
    group.addoption(
        "--kernel", default=None, help="Boot a virtual device with this kernel: version, release, path or PAIR:side."
    )
    group.addoption(
        "--kernel-label", default="", help="Name of this kernel in comparisons (default: that of --kernel)."
    )
    group.addoption("--iterations", type=int, default=1, help="Iterations of each scenario (default: 1).")
    group.addoption(
        "--take-tracing", action="store_true", help="Take over a trace that another tool records on the device."
    )
    group.addoption(
        "--capture-with",
        choices=("auto", "tracefs", "perfetto", "both"),
        default="auto",
        help="Who records the kernel's events: the suite from tracefs (needs root), the device's Perfetto, or each.",
    )
    group.addoption(
        "--keep",
        action="append",
        default=[],
        choices=("screen", "animations", "airplane", "doze", "dexopt", "everything"),
        help="Leave this part of the device as is; may be given several times.",
    )
    group.addoption("--governor", default=None, help="CPU frequency governor meanwhile (root).")
    group.addoption("--no-idle-states", action="store_true", help="No deep CPU idle states meanwhile (root).")
    group.addoption(
        "--repeats", type=int, default=None, help="Repeat an iteration that the device disturbed so often (default: 3)."
    )
    group.addoption(
        "--cool", type=float, default=None, metavar="SECONDS", help="Longest wait for a hot device (default: 900)."
    )
    group.addoption(
        "--run-dir", type=Path, default=Path("runs/pytest"), help="Folder for run directories (default: runs/pytest)."
    )


# The fixtures import the suite, because every pytest in the environment loads this plugin but only scenarios need it.
@pytest.fixture(scope="session")
def _config(request: pytest.FixtureRequest) -> Any:
    from android_suite.config import read_config

    return read_config(env=os.environ, folder=request.config.invocation_params.dir)


@pytest.fixture(scope="session")
def _booted(
    request: pytest.FixtureRequest, _config: Any, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[Any]:
    option = request.config.getoption
    with _boot(_config, option("--serial"), option("--kernel"), option("--capture-with")) as booted:
        record_testsuite_property("serial", booted.device.serial)
        yield booted


def _boot(config: Any, serial: str | None, kernel: str | None, capture: str) -> AbstractContextManager[Any]:
    from android_suite.boot.leased import attach_unleased
    from android_suite.boot.virtual import boot_virtual, find_perfetto
    from android_suite.errors import UsageError

    if kernel is None:
        return attach_unleased(config, serial)
    if serial is not None:
        raise UsageError("--serial names an attached device and --kernel boots a virtual one; give one of the two.")
    overlays = (find_perfetto(kernel, config.arch, config=config),) if capture in ("perfetto", "both") else ()
    return boot_virtual(
        kernel,
        config=config,
        arch=config.arch,
        cpus=config.cpus or 2,
        memory_mb=config.memory_mb or 1024,
        overlays=overlays,
    )


@pytest.fixture
def _claimed(request: pytest.FixtureRequest, _booted: Any, _config: Any) -> Iterator[Any]:
    """Keeps the device for one test, so that the workers of ``pytest -n`` take turns on it."""
    from android_suite.device.claim import claim_device

    def say(text: str) -> None:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\nandroid-suite: {text}\n")

    with claim_device(_booted.device, _config.cache, wait_s=WAIT_S, say=say):
        yield _booted


@pytest.fixture
def device(_claimed: Any) -> Any:
    """The device under test, ready; no other recording runs on it during the test."""
    return _claimed.device


@pytest.fixture
def real_time(_booted: Any) -> None:
    """Skips the test on an emulated device, where a deadline in milliseconds cannot be judged."""
    from android_suite.device.identity import read_device_identity

    identity = read_device_identity(_booted.device, accel=_booted.accel)
    if identity.virtual and identity.accel != "kvm":
        pytest.skip(
            "an emulated device's times depend on the host: a frame's 16.7 ms cannot be judged there; use a phone, "
            "or `qualify` with a deterministic plan"
        )


@pytest.fixture
def record(_claimed: Any, _config: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``record(scenario, **parameters)``: records and analyzes one scenario, returns a `result.Recorded`.

    A crash of the tested kernel or app fails the test with its console text.
    """
    from android_suite.pytest_plugin.recording import make_record

    return make_record(_claimed, _config.cache, request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Classifies a failure: an exception of the suite is an error, a missing kernel feature is a skip."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, SuiteError) and (crash := getattr(error, "crash", None)) is not None:
        # The tested kernel crashed while it booted. To pytest a failure of a fixture is an error: say where it belongs.
        report.when = "call"
        report.longrepr = f"the tested kernel crashed while it booted ({crash.kind}): {crash.summary}\n{crash.console}"
    elif isinstance(error, Unsupported):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {error}")
    elif isinstance(error, SuiteError) and report.when == "call":
        # pytest and its JUnit writer report a failure outside the test body as an error. Treat the recording so too,
        # although a test starts it by a call.
        report.when = "setup"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists the run directories that the tests made."""
    reports = [r for group in terminalreporter.stats.values() for r in group if isinstance(r, pytest.TestReport)]
    runs = sorted({(str(value), r.nodeid) for r in reports for name, value in r.user_properties if name == "run"})
    if runs:
        terminalreporter.section("android-suite runs")
        for path, test in runs:
            terminalreporter.write_line(f"{path}  {test}")
