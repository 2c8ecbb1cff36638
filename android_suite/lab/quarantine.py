"""Devices that are put aside, one file for each in the lab's state folder, which the hosts of a lab share."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

from android_suite.errors import LabError, UsageError
from android_suite.store.run import now_iso, write_json

_MOST_BYTES = 65536


def put_aside(state: Path, serial: str, reason: str) -> None:
    """Puts a device into quarantine.

    Raises:
        LabError: the state folder cannot be written.
    """
    value = {"device": serial, "reason": reason[:2000], "since": now_iso(), "by": socket.gethostname()}
    write_json(_file(state, serial), value)


def why_aside(state: Path, serial: str) -> str | None:
    """Why a device is in quarantine and since when; None if it is not."""
    file = _file(state, serial)
    try:
        # The folder is shared: a pipe in it must not hang who looks.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as data:
            found = json.loads(data.read(_MOST_BYTES))
        return f"{found['reason']} (since {found['since']}, by {found['by']})"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return f"its file {file} cannot be read"


def take_back(state: Path, serial: str) -> bool:
    """Ends the quarantine of a device; False if it was in none.

    Raises:
        LabError: its file cannot be removed.
    """
    try:
        _file(state, serial).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LabError(f"cannot remove {_file(state, serial)}: {error.strerror}; remove it by hand.") from error
    return True


def _file(state: Path, serial: str) -> Path:
    if not serial.strip():
        raise UsageError("a device without a serial cannot be put into quarantine; name it by its USB path.")
    return state / "quarantine" / (re.sub(r"[^0-9A-Za-z_.-]", "_", serial) + ".json")
