"""Settings, read once into one frozen object. Flags override the environment, which overrides ``suite.toml``.

::

    [adb]
    serial = "127.0.0.1:5555"
    server_host = "127.0.0.1"
    server_port = 5037

    [virtual]                           # `qualify` takes these from its plan instead
    arch = "arm64"                      # used if the kernel's name does not determine it
    cpus = 2
    memory_mb = 1024
    debian_mirror = "..."               # used if apt is not configured with one

    [fastboot]
    serial = "tcp:192.0.2.7"            # the phone's name in fastboot, if that is not its serial in adb

    [cache]
    folder = "~/.cache/android-suite"   # a relative path starts at the folder of suite.toml

Analysis has no settings. A cloned repository may contain a ``suite.toml``: no setting can run a command.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import platformdirs

from android_suite.errors import UsageError
from android_suite.model.toml_source import STRICT, TomlSource, expand_home, read_toml, validate_source

FILE = "suite.toml"
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Adb:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    serial: str | None = None
    server_host: str = "127.0.0.1"
    server_port: int = 5037


@dataclass(frozen=True, slots=True, kw_only=True)
class _Virtual:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    arch: Literal["arm64", "amd64"] | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    debian_mirror: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fastboot:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    serial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cache:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT
    adb: _Adb = field(default_factory=_Adb)
    virtual: _Virtual = field(default_factory=_Virtual)
    fastboot: _Fastboot = field(default_factory=_Fastboot)
    cache: _Cache = field(default_factory=_Cache)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of the suite. None means that it is not set and the command uses its default.

    Attributes:
        file: the ``suite.toml`` that was read, if any.
        serial: serial of the attached device.
        adb_server_host: host of the adb server.
        adb_server_port: port of the adb server.
        fastboot_serial: the device's name in fastboot; None if it is its serial.
        android_sdk: folder of the Android SDK, from the environment alone.
        arch: architecture of virtual devices.
        cpus: number of CPUs of a virtual device.
        memory_mb: memory of a virtual device, in MB.
        debian_mirror: URI to fetch kernels from; None uses apt's mirror.
        cache: absolute path of the folder for kernels, images and compiled programs.
    """

    file: Path | None = None
    serial: str | None = None
    adb_server_host: str = "127.0.0.1"
    adb_server_port: int = 5037
    fastboot_serial: str | None = None
    android_sdk: Path | None = None
    arch: Literal["arm64", "amd64"] | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    debian_mirror: str | None = None
    cache: Path = field(default_factory=lambda: Path(platformdirs.user_cache_dir("android-suite")))

    def adb_environment(self) -> dict[str, str]:
        """The environment for an ``adb`` process: that of this process, with the chosen server under every name for it."""
        names = ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS")  # which adb prefers
        local = self.adb_server_host in ("127.0.0.1", "localhost", "::1")
        return {
            **{name: value for name, value in os.environ.items() if name not in names},
            # adb takes every address, also this machine's, for another machine, on which it starts no server
            **({} if local else {"ANDROID_ADB_SERVER_ADDRESS": self.adb_server_host}),
            "ANDROID_ADB_SERVER_HOST": self.adb_server_host,
            "ANDROID_ADB_SERVER_PORT": str(self.adb_server_port),
        }


def read_config(
    *, env: Mapping[str, str], folder: Path, file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> Config:
    """Reads the settings.

    Args:
        env: the environment.
        folder: the current folder. The nearest ``suite.toml`` in it or above it is read.
        file: a settings file to read instead.
        flags: fields of `Config` by name, from the command line. None means not given.

    Raises:
        ConfigError: the file is invalid; names the line, the key, and what was expected and found.
        UsageError: an environment variable is invalid, or ``file`` cannot be read.
    """
    found = file or next((path for at in (folder, *folder.parents) if (path := at / FILE).is_file()), None)
    settings = _read_file(found) if found else _File()
    server = _read_adb_server(env)
    config = Config(
        file=found,
        serial=env.get("ANDROID_SERIAL") or settings.adb.serial,
        adb_server_host=server[0] or settings.adb.server_host,
        adb_server_port=server[1] or settings.adb.server_port,
        fastboot_serial=env.get("ANDROID_SUITE_FASTBOOT_SERIAL") or settings.fastboot.serial,
        android_sdk=Path(sdk) if (sdk := env.get("ANDROID_HOME") or env.get("ANDROID_SDK_ROOT")) else None,
        arch=settings.virtual.arch,
        cpus=settings.virtual.cpus,
        memory_mb=settings.virtual.memory_mb,
        debian_mirror=env.get("ANDROID_SUITE_DEBIAN_MIRROR") or settings.virtual.debian_mirror,
        cache=_choose_cache(env, folder.absolute(), settings, found),
    )
    known = {each.name for each in fields(Config)}
    given = {name: value for name, value in (flags or {}).items() if value is not None and name in known}
    return replace(config, **given)


def _read_file(file: Path) -> _File:
    source = read_toml(file, "the settings", "fix or remove it")
    settings = validate_source(source, _File)
    _check(source, ("adb", "server_port"), settings.adb.server_port, "a port, 1 to 65535", lambda port: port in _PORTS)
    _check(source, ("virtual", "cpus"), settings.virtual.cpus, "1 to 8", lambda cpus: 1 <= cpus <= 8)
    _check(source, ("virtual", "memory_mb"), settings.virtual.memory_mb, "256 or more", lambda size: size >= 256)
    return settings


def _check(
    source: TomlSource, path: tuple[str, ...], value: int | None, expected: str, good: Callable[[int], bool]
) -> None:
    if value is not None and not good(value):
        raise source.fault(path, expected, value)


def _read_adb_server(env: Mapping[str, str]) -> tuple[str | None, int | None]:
    """Host and port of the adb server from the environment; None for each that is not set.

    ``ADB_SERVER_SOCKET`` overrides the others, as in adb itself. For the host, ``ANDROID_ADB_SERVER_HOST`` (used by
    adbutils) overrides ``ANDROID_ADB_SERVER_ADDRESS`` (used by adb).

    Raises:
        UsageError: a variable is invalid, or names a socket that is not TCP.
    """
    if not (text := env.get("ADB_SERVER_SOCKET", "").strip()):
        return env.get("ANDROID_ADB_SERVER_HOST") or env.get("ANDROID_ADB_SERVER_ADDRESS") or None, _read_port(env)
    kind, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not _is_port(port):
        raise UsageError(
            f"ADB_SERVER_SOCKET is {text!r}; the suite connects over TCP: set it to tcp:PORT or tcp:HOST:PORT."
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) in _PORTS


def _read_port(env: Mapping[str, str]) -> int | None:
    text = env.get("ANDROID_ADB_SERVER_PORT", "").strip()
    if not text:
        return None
    if not _is_port(text):
        raise UsageError(f"ANDROID_ADB_SERVER_PORT is {text!r}; set it to a port from 1 to 65535, or unset it.")
    return int(text)


def _choose_cache(env: Mapping[str, str], folder: Path, settings: _File, file: Path | None) -> Path:
    if named := env.get("ANDROID_SUITE_CACHE"):
        return folder / expand_home(named)
    if settings.cache.folder and file:
        return file.parent.absolute() / expand_home(settings.cache.folder)
    return Path(platformdirs.user_cache_dir("android-suite"))
