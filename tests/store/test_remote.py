"""A run store behind a URL; also one that somebody hostile made."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from android_suite.errors import SchemaError, SuiteError, UsageError
from android_suite.store.remote import MOST_FILES, open_store
from android_suite.store.run import create_run, open_run


def make_run(path: Path, content: str = "evidence") -> Path:
    run = create_run(path, label="a", mode="deterministic")
    iteration = run.begin_iteration("gc_stress", seed=1, boot="b", traced=True, parameters={})
    iteration.write("ftrace/cpu0.raw", content)
    iteration.seal("complete")
    run.seal()
    return path


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"file://{tmp_path}/store" if request.param == "file" else f"memory://{tmp_path}/store"


def test_a_run_comes_back_as_it_was(tmp_path: Path, url: str) -> None:
    run = make_run(tmp_path / "run")
    store = open_store(url)
    assert not store.has("job")
    assert store.publish("job", "aa", run)
    assert store.has("job")
    assert store.names() == ("job",)
    open_store(url).fetch("job", tmp_path / "back")
    files = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path / "back") for path in (tmp_path / "back").rglob("*") if path.is_file()}
    assert all((run / file).read_bytes() == (tmp_path / "back" / file).read_bytes() for file in files)
    assert open_run(tmp_path / "back").manifest.sealed


def test_a_job_done_twice_counts_once(tmp_path: Path, url: str) -> None:
    store = open_store(url)
    assert store.publish("job", "aa", make_run(tmp_path / "one", "first"))
    assert not store.publish("job", "bb", make_run(tmp_path / "two", "second"))
    store.fetch("job", tmp_path / "back")
    assert (tmp_path / "back/raw/000-gc_stress/ftrace/cpu0.raw").read_text() == "first"
    assert store.names() == ("job",)


def test_two_hosts_publish_a_job_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes have the same number; the second one is done while the first is about to give its index the name."""
    store = open_store(f"file://{tmp_path}/store")
    run = make_run(tmp_path / "run")
    link, second = os.link, list[bool]()

    def slow_link(source: Path, target: str) -> None:
        if not second:
            second.append(False)
            second[0] = store.publish("job", "second", run)
        link(source, target)

    monkeypatch.setattr(os, "link", slow_link)
    assert not store.publish("job", "first", run)
    assert second == [True]
    assert store.names() == ("job",)
    assert len(list((tmp_path / "store" / "jobs").iterdir())) == 1


def test_an_unknown_protocol_says_what_to_install() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        open_store("nonsense://bucket")


def damage(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A store whose index is changed; returns its folder."""
    store = tmp_path / "store"
    open_store(f"file://{store}").publish("job", "aa", make_run(tmp_path / "run"))
    index = store / "jobs" / "job.json"
    data = json.loads(index.read_text())
    changed = change(data)
    index.write_text(changed if isinstance(changed, str) else json.dumps(data))
    return store


def set_file(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["files"][0].__setitem__(key, value)


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "a path outside": set_file("path", "../../../outside"),
    "an absolute path": set_file("path", "/etc/passwd"),
    "script in a name": set_file("path", "<script>alert(1)</script>"),
    "a name with a line break": set_file("path", "a\nb"),
    "a huge size": set_file("bytes", 1 << 62),
    "a negative size": set_file("bytes", -1),
    "a wrong size": set_file("bytes", 3),
    "another digest": set_file("sha256", "0" * 64),
    "no digest": set_file("sha256", "x"),
    "a token outside": lambda data: data.__setitem__("token", "../../x"),
    "another job": lambda data: data.__setitem__("job", "other"),
    "a huge count": lambda data: data.__setitem__("files", data["files"][:1] * (MOST_FILES + 1)),
    "one file twice": lambda data: data.__setitem__("files", data["files"] * 2),
    "no JSON": lambda data: "{",
    "deep nesting": lambda data: "[" * 200_000,
    "another schema": lambda data: data.__setitem__("schema", "android-suite/run"),
    "a huge index": lambda data: '{"x": "' + "x" * (9 << 20) + '"}',
    "a pickle": lambda data: pickle.dumps(data, protocol=0).decode(),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_index_is_refused_and_writes_nothing(tmp_path: Path, what: str) -> None:
    store = damage(tmp_path, HOSTILE[what])
    (tmp_path / "in").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SuiteError) as caught:
        open_store(f"file://{store}").fetch("job", tmp_path / "in" / "back")
    assert isinstance(caught.value, SchemaError)
    assert caught.value.exit_code == 5
    assert sorted(tmp_path.rglob("*")) == before


def test_a_link_in_a_run_is_not_followed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "secret").write_text("secret")
    (run / "raw" / "link").symlink_to(tmp_path / "secret")
    store = open_store(f"file://{tmp_path}/store")
    store.publish("job", "aa", run)
    store.fetch("job", tmp_path / "back")
    assert not (tmp_path / "back" / "raw" / "link").exists()


def test_a_job_whose_name_leads_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot be a job"):
        open_store(f"file://{tmp_path}/store").fetch("../x", tmp_path / "back")


def test_nothing_of_the_suite_unpickles_files(project_root: Path) -> None:
    """But jit/, which loads the suite's own compiled code."""
    for file in (project_root / "android_suite").rglob("*.py"):
        text = "" if file.parent.name == "jit" else file.read_text()
        assert not any(word in text for word in ("pickle.load", "read_pickle", "allow_pickle=True", "joblib")), file
