"""The adb server and the phone that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.scripted_phone import ScriptedPhone
from tests.scripted_phone.server import AdbServer, own_server

MakePhone = Callable[..., ScriptedPhone]


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
