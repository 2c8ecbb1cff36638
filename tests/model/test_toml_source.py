from __future__ import annotations

from pathlib import Path

import pytest

from android_suite.errors import ConfigError, UsageError
from android_suite.model.toml_source import read_toml


def read(file: Path) -> object:
    return read_toml(file, "the plan", "give a TOML file").data


def test_what_is_read_is_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes("a = 1\r\nb = 'é'\r\n".encode())
    assert read(tmp_path / "a.toml") == {"a": 1, "b": "é"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"a = '\xff'", "it is not UTF-8 text"),
        (b"#" + "é".encode() * (3 << 20), "larger than 4 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(UsageError, match=rf"cannot read the plan .*a\.toml: .*{reason}; give a TOML file"):
        read(tmp_path / "a.toml")


@pytest.mark.parametrize("file", ["/dev/zero", "/proc/self/mem", "/"])
def test_a_file_without_an_end_and_what_is_no_file_are_told(file: str) -> None:
    with pytest.raises(UsageError, match=f"cannot read the plan {file}: .*; give a TOML file"):
        read(Path(file))


def test_values_that_are_nested_too_deep_are_a_fault_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match="nested too deep"):
        read(tmp_path / "a.toml")
