from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from android_suite.campaign.journal import CampaignFolder, open_campaign, read_journal
from android_suite.campaign.plan_file import PlanFile
from android_suite.campaign.qualify import Collaborators, qualify
from android_suite.errors import LabError, SchemaError
from android_suite.store.run import create_run


def test_a_line_cut_by_a_kill_is_no_line(tmp_path: Path) -> None:
    with open_campaign(tmp_path, {"a": 1}) as folder:
        folder.append("start", job="x")
        whole = (tmp_path / "journal.jsonl").read_bytes()
    for cut in range(len(whole) + 1):
        (tmp_path / "journal.jsonl").write_bytes(whole[:cut])
        read_journal(tmp_path / "journal.jsonl")
        with open_campaign(tmp_path, {"a": 1}) as folder:
            folder.append("next")
            events = [event["event"] for event in folder.events()]
        assert events == (["plan", "start", "next"] if cut == len(whole) else ["plan", "next"])


def test_a_garbled_line_in_the_middle_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"event": "plan"}\nnonsense\n{"event": "start"}\n')
    with pytest.raises(SchemaError, match=r"journal.jsonl:2 is not JSON .*; run qualify with --fresh"):
        read_journal(tmp_path / "journal.jsonl")


def test_what_was_running_is_set_aside_and_kept(tmp_path: Path) -> None:
    for number in (1, 2):
        with open_campaign(tmp_path, {}) as folder:
            (folder.partial / "job").mkdir()
            (folder.partial / "job" / "evidence").write_text(str(number))
    with open_campaign(tmp_path, {}) as folder:
        assert not any(folder.partial.iterdir())
        assert [(tmp_path / "failed" / f"job.{n}" / "evidence").read_text() for n in (1, 2)] == ["1", "2"]
        asides = [event for event in folder.events() if event["event"] == "set_aside"]
    assert [(event["job"], event["kept"]) for event in asides] == [("job", "failed/job.1"), ("job", "failed/job.2")]


def test_what_a_worker_that_was_given_up_left_is_set_aside_at_the_end(tmp_path: Path) -> None:
    with open_campaign(tmp_path, {}) as folder:
        assert folder.set_aside("job@1") is None  # given up before it made its folder
        late = create_run(folder.partial / "job@1", label="a", mode="realtime")  # it lives on
        iteration = late.begin_iteration("gc_stress", seed=1, boot="b", traced=True, parameters={})
        iteration.write("ftrace/cpu0.raw", b"early")
    assert not any(folder.partial.iterdir())
    assert [(event["job"], event["kept"]) for event in folder.events()[1:]] == [("job", "failed/job.1")]
    with pytest.raises(LabError, match="record again if the run was moved away"):
        iteration.write("ftrace/cpu1.raw", b"late")
    assert not any(folder.partial.iterdir())


def test_what_was_set_aside_by_a_qualify_that_was_killed_before_it_said_so(tmp_path: Path) -> None:
    with open_campaign(tmp_path, {}) as folder:
        (folder.partial / "a-job@1").mkdir()
        folder.set_aside("a-job@1")
    for _ in range(2):
        with open_campaign(tmp_path, {}) as folder:
            asides = [event for event in folder.events() if event["event"] == "set_aside"]
        assert [(event["job"], event["kept"]) for event in asides] == [("a-job", "failed/a-job.1")]


def test_every_line_is_an_object_with_its_time(tmp_path: Path) -> None:
    with open_campaign(tmp_path, {"name": "é"}) as folder:
        folder.append("failed", text="line\nbreak")
    for line in (tmp_path / "journal.jsonl").read_text().splitlines():
        assert {"event", "at"} <= json.loads(line).keys()


def test_a_folder_that_has_nothing_finished(tmp_path: Path) -> None:
    with open_campaign(tmp_path / "new" / "deep", {}) as folder:
        assert isinstance(folder, CampaignFolder)
        assert not folder.finished("x")
        assert folder.set_aside("x") is None


def test_every_line_of_a_campaign_keeps_to_the_schema(
    tmp_path: Path, lab: Collaborators, make_plan: Callable[..., PlanFile], faults: Path, project_root: Path
) -> None:
    (faults / "lab-before-seed2").touch()
    qualify(make_plan(), tmp_path / "out", lab, workers=2, retry_after_s=(0.1, 0.1))
    schema = json.loads((project_root / "docs/schema/journal-event.json").read_text())
    events = read_journal(tmp_path / "out" / "journal.jsonl")
    for event in events:
        jsonschema.validate(event, schema | {"additionalProperties": False})
    last = [event for event in events if event["event"] == "progress"][-1]
    assert (last["done"], last["total"], last["running"], last["remaining_s"]) == (6, 6, [], 0.0)
    assert (events[0]["event"], events[-1]["event"]) == ("plan", "finished")
