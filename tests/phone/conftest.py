"""The adb server and the phone that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from android_suite.cli.main import run
from tests.scripted_phone import ScriptedPhone
from tests.scripted_phone.server import AdbServer, own_server

MakePhone = Callable[..., ScriptedPhone]


@dataclass(frozen=True)
class Done:
    """What a command of the suite did."""

    exit_code: int
    stdout: str
    output: str


Suite = Callable[..., Done]


@pytest.fixture(scope="module")
def server() -> Iterator[AdbServer]:
    with own_server() as running:
        yield running


@pytest.fixture
def make_phone(server: AdbServer) -> Iterator[MakePhone]:
    """Makes phones that this test's adb server is connected to."""
    with ExitStack() as stack:

        def make(*, connect: bool = True, **facts: Any) -> ScriptedPhone:
            phone = stack.enter_context(ScriptedPhone(**facts))
            if connect:
                server.connect(phone.address)
            stack.callback(server.run, "disconnect", phone.address)
            return phone

        yield make


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def suite(
    server: AdbServer, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Suite:
    """The command line, in a folder of its own and on this module's adb server."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**server.environment, "ANDROID_SUITE_CACHE": str(cache)}.items():
        monkeypatch.setenv(name, value)

    def run_suite(*words: str) -> Done:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return Done(code, said.out, said.out + said.err)

    return run_suite
