"""The scripts for many files, run by this machine's own shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_suite.device.files import (
    Write,
    parse_read_lines_output,
    parse_read_output,
    parse_write_output,
    render_read_lines_script,
    render_read_script,
    render_write_script,
)


def sh(script: str) -> bytes:
    return subprocess.run(["sh", "-c", script], check=True, capture_output=True).stdout


def test_bytes_of_every_kind_come_back(tmp_path: Path) -> None:
    files = {"plain": b"one\ntwo\n", "no end": b"x", "empty": b"", "binary": bytes(range(256)), "it's $HOME": b"y\n"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in [*files, "absent"]]
    found = parse_read_output(paths, sh(render_read_script(paths)))
    assert found == {**{str(tmp_path / name): data for name, data in files.items()}, paths[-1]: None}


def test_a_cut_output_is_told() -> None:
    with pytest.raises(ValueError, match="ends before /b"):
        parse_read_output(["/a", "/b"], b"x\n=android-suite-end-of-file= 0\n")


def test_text_files_by_one_process(tmp_path: Path) -> None:
    texts = {"a": "one\n\ntwo: three\n", "b": "", "c": "last line without end", "d e": "x\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in [*texts, "absent"]]
    found = parse_read_lines_output(paths, sh(render_read_lines_script(paths)).decode())
    assert found[paths[0]] == texts["a"]
    assert found[paths[1]] == ""
    assert found[paths[2]] == texts["c"] + "\n"
    assert found[paths[3]] == "x\n"
    assert found[paths[4]] is None


def test_a_single_text_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "only").write_text("1\n2\n")
    path = str(tmp_path / "only")
    assert parse_read_lines_output([path], sh(render_read_lines_script([path])).decode()) == {path: "1\n2\n"}


def test_writes_are_done_in_order_and_refusals_named(tmp_path: Path) -> None:
    target = tmp_path / "with space"
    writes = (
        Write(path=str(target), value="it's $(reboot); `id`"),
        Write(path=str(tmp_path / "no" / "such"), value="1"),
        Write(path=str(target), value="second", append=True),
    )
    refused = parse_write_output(writes, sh(render_write_script(writes)).decode())
    assert list(refused) == [1]
    assert "such" in refused[1]
    assert target.read_text() == "it's $(reboot); `id`second"


def test_a_write_that_the_kernel_refuses_is_seen() -> None:
    # /dev/full takes the open and refuses the write, as tracefs does with a bad value
    writes = (Write(path="/dev/null", value="1"), Write(path="/dev/full", value="bogus"))
    assert list(parse_write_output(writes, sh(render_write_script(writes)).decode())) == [1]


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60))
def test_no_value_leaves_its_quotes(value: str) -> None:
    script = render_write_script([Write(path="/dev/stderr", value=value)])
    done = subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    assert done.stdout.decode() == value  # the script sends its stderr there
