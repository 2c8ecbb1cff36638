"""Parsers for the identity of a kernel and a device. No I/O."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import zlib
from collections.abc import Mapping

from android_suite.device.numbers import read_count

_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*?)\]$", re.MULTILINE | re.DOTALL)
_DEVICE = "DisplayDeviceInfo{"
_RATE = r"(\d+(?:\.\d+)?)"
_MODE = re.compile(rf"\bid=(\d+), [^{{}}]*?\bfps={_RATE}")
_ACTIVE = re.compile(r"\bmActiveModeId=(\d+)")
_ACTIVE_IN_INFO = re.compile(r"[ ,]modeId (\d+)")
_ACTIVE_SF = re.compile(rf"\bmActiveSfDisplayMode=[^\n]*?(?:refreshRate|peakRefreshRate)={_RATE}")
_REFRESH = re.compile(rf"(?:refreshRate|renderFrameRate)[= ]+{_RATE}")
_OLD = re.compile(rf'DisplayDeviceInfo{{"[^\n]*? {_RATE} fps')
_NT_GNU_BUILD_ID = 3
_MAX_CONFIG_BYTES = 16 << 20


def parse_properties(text: str) -> Mapping[str, str]:
    """``getprop`` without arguments: ``[name]: [value]`` lines; a value may span lines."""
    return dict(_PROPERTY.findall(text.replace("\r\n", "\n")))


def parse_build_id(notes: bytes) -> str | None:
    """The GNU build id in ``/sys/kernel/notes``, hexadecimal; None if the notes are cut or have none."""
    for order in ("<", ">"):
        at = 0
        while at + 12 <= len(notes):
            name_size, size, kind = struct.unpack_from(f"{order}III", notes, at)
            name_at = at + 12
            value_at = name_at + (name_size + 3) // 4 * 4
            if value_at + size > len(notes):
                break
            if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0" and size:
                return notes[value_at : value_at + size].hex()
            at = value_at + (size + 3) // 4 * 4
    return None


def measure_config_sha256(packed: bytes) -> str | None:
    """SHA-256 of the decompressed ``/proc/config.gz``; None if it is not gzip or is too large."""
    try:
        text = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, _MAX_CONFIG_BYTES + 1)
    except (zlib.error, gzip.BadGzipFile):
        return None
    return hashlib.sha256(text).hexdigest() if 0 < len(text) <= _MAX_CONFIG_BYTES else None


def parse_refresh_rate(dumpsys_display: str) -> float | None:
    """Refresh rate of the display's active mode from ``dumpsys display``, in Hz; None if absent.

    The list of modes has every rate of the panel; the active mode's number selects one. With several displays, the
    first that is built in and switched on counts.
    """
    devices = dumpsys_display.split(_DEVICE)[1:]
    on = [each for each in devices if "state OFF" not in each.partition("\n")[0]] or devices
    built_in = [each for each in on if '"local:' in each.partition("\n")[0]] or on
    for section in (*built_in, dumpsys_display):
        rates = dict(_MODE.findall(section))
        active = _ACTIVE.search(section) or _ACTIVE_IN_INFO.search(section)
        if active and active[1] in rates:
            return _sane_rate(rates[active[1]])
    # Android 5 and older have no modes; Android 12 and later print SurfaceFlinger's active mode on a separate line.
    if found := _ACTIVE_SF.search(dumpsys_display) or _REFRESH.search(dumpsys_display) or _OLD.search(dumpsys_display):
        return _sane_rate(found[1])
    rates = dict(_MODE.findall(dumpsys_display))
    return _sane_rate(next(iter(rates.values()))) if len(set(rates.values())) == 1 else None


def _sane_rate(word: str) -> float | None:
    return float(word) if 1 <= float(word) <= 1000 else None


def parse_memory_kb(meminfo: str) -> int:
    """``MemTotal`` of ``/proc/meminfo``; 0 if absent."""
    found = re.search(r"^MemTotal:\s+(\d{1,15}) kB", meminfo, re.MULTILINE)
    return int(found.group(1)) if found else 0


def parse_cpu_list(text: str) -> int:
    """Number of CPUs in a kernel list such as ``0-3,6``; 0 if it is empty or invalid."""
    count = 0
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        low, high = read_count(first), read_count(last if dash else first)
        if low is None or high is None or high < low:
            return 0
        count += high - low + 1
    return count
