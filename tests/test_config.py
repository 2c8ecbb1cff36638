from __future__ import annotations

import os
from pathlib import Path

import pytest

from android_suite.config import Config, read_config
from android_suite.errors import ConfigError, UsageError

SETTINGS = """\
[adb]
serial = "from-file"
server_port = 5099

[virtual]
cpus = 1

[cache]
folder = "cache"
"""


def test_defaults_without_anything(tmp_path: Path) -> None:
    config = read_config(env={}, folder=tmp_path)
    assert (config.file, config.serial, config.arch, config.cpus) == (None, None, None, None)
    assert (config.adb_server_host, config.adb_server_port) == ("127.0.0.1", 5037)
    assert config.cache.name == "android-suite"


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(SETTINGS)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    config = read_config(env={}, folder=below)
    assert (config.file, config.serial, config.adb_server_port, config.cpus) == (
        tmp_path / "suite.toml", "from-file", 5099, 1
    )  # fmt: skip
    assert config.cache == tmp_path / "cache"
    env = {"ANDROID_SERIAL": "from-env", "ANDROID_ADB_SERVER_PORT": "5101", "ANDROID_SUITE_CACHE": "/c"}
    config = read_config(env=env, folder=below)
    assert (config.serial, config.adb_server_port, config.cache) == ("from-env", 5101, Path("/c"))
    config = read_config(env=env, folder=below, flags={"serial": "from-flag", "cpus": None})
    assert (config.serial, config.cpus) == ("from-flag", 1)


def test_adb_is_started_with_the_server_that_was_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suite.toml").write_text(SETTINGS)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    environment = read_config(env={}, folder=tmp_path).adb_environment()
    assert environment == {
        **os.environ, "ANDROID_ADB_SERVER_HOST": "127.0.0.1", "ANDROID_ADB_SERVER_PORT": "5099",
    }  # fmt: skip


def test_a_relative_cache_is_where_the_command_runs(tmp_path: Path) -> None:
    env = {"ANDROID_SUITE_CACHE": "kept"}
    assert read_config(env=env, folder=tmp_path).cache == tmp_path / "kept"


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("serial", "seriel", 2, "adb.seriel"),
        ("5099", "0", 3, "adb.server_port"),
        ("5099", '"5099"', 3, "adb.server_port"),
        ("cpus = 1", "cpus = 9", 6, "virtual.cpus"),
        ("cpus = 1", "memory_mb = 1", 6, "virtual.memory_mb"),
        ("cpus = 1", 'arch = "mips"', 6, "virtual.arch"),
        ("[cache]", "[cash]", 8, "cash"),
        ("[adb]", "[adb", 1, "syntax"),
    ],
)
def test_a_fault_of_the_file_says_where(tmp_path: Path, old: str, new: str, line: int, key: str) -> None:
    (tmp_path / "suite.toml").write_text(SETTINGS.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_config(env={}, folder=tmp_path)
    assert (caught.value.line, caught.value.key) == (line, key)


@pytest.mark.parametrize("port", ["adb", "0", "65536", "-1", "٣"])
def test_a_bad_port_in_the_environment_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(UsageError, match="ANDROID_ADB_SERVER_PORT is"):
        read_config(env={"ANDROID_ADB_SERVER_PORT": port}, folder=tmp_path)


def test_an_unreadable_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the settings"):
        read_config(env={}, folder=tmp_path, file=tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("env", "host", "port"),
    [
        ({"ADB_SERVER_SOCKET": "tcp:5099"}, "127.0.0.1", 5099),
        ({"ADB_SERVER_SOCKET": "tcp:lab7:5098"}, "lab7", 5098),
        ({"ADB_SERVER_SOCKET": "tcp:[::1]:5098"}, "::1", 5098),
        ({"ANDROID_ADB_SERVER_ADDRESS": "lab8"}, "lab8", 5037),
        ({"ANDROID_ADB_SERVER_ADDRESS": "lab8", "ANDROID_ADB_SERVER_PORT": "5040"}, "lab8", 5040),
        ({"ANDROID_ADB_SERVER_ADDRESS": "lab8", "ANDROID_ADB_SERVER_HOST": "lab9"}, "lab9", 5037),
        ({"ADB_SERVER_SOCKET": "tcp:lab7:5098", "ANDROID_ADB_SERVER_ADDRESS": "lab8"}, "lab7", 5098),
        ({"ADB_SERVER_SOCKET": "", "ANDROID_ADB_SERVER_ADDRESS": ""}, "127.0.0.1", 5037),
    ],
)
def test_adbs_own_names_for_its_server(tmp_path: Path, env: dict[str, str], host: str, port: int) -> None:
    config = read_config(env=env, folder=tmp_path)
    assert (config.adb_server_host, config.adb_server_port) == (host, port)


def test_a_child_process_gets_the_same_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"ANDROID_ADB_SERVER_ADDRESS": "lab8", "ANDROID_ADB_SERVER_HOST": "lab9", "ANDROID_ADB_SERVER_PORT": "5040"}
    for name, value in {**given, "ADB_SERVER_SOCKET": "tcp:lab7:5098"}.items():
        monkeypatch.setenv(name, value)
    for chosen, host, port in (
        (read_config(env=given, folder=tmp_path), "lab9", "5040"),
        (Config(), None, "5037"),  # adb would start no server at an address, also not at this machine's
    ):
        child = chosen.adb_environment()
        assert "ADB_SERVER_SOCKET" not in child  # adb itself prefers it
        assert (child.get("ANDROID_ADB_SERVER_ADDRESS"), child["ANDROID_ADB_SERVER_PORT"]) == (host, port)


@pytest.mark.parametrize(
    "text", ["localfilesystem:/run/adb", "unix:/x", "tcp:", "tcp:lab7:", "tcp:lab7:0", "lab7:5037"]
)
def test_a_server_socket_that_is_no_tcp_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"ADB_SERVER_SOCKET is .* tcp:HOST:PORT"):
        read_config(env={"ADB_SERVER_SOCKET": text}, folder=tmp_path)


def test_the_phones_name_in_fastboot_and_the_sdk(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text('[fastboot]\nserial = "tcp:192.0.2.7"\n')
    config = read_config(env={"ANDROID_SDK_ROOT": "/sdk"}, folder=tmp_path)
    assert (config.fastboot_serial, config.android_sdk) == ("tcp:192.0.2.7", Path("/sdk"))
    env = {"ANDROID_SUITE_FASTBOOT_SERIAL": "1A2B", "ANDROID_HOME": "/home", "ANDROID_SDK_ROOT": "/sdk"}
    config = read_config(env=env, folder=tmp_path)
    assert (config.fastboot_serial, config.android_sdk) == ("1A2B", Path("/home"))
