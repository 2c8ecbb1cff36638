"""What the page answers, and what it refuses: hostile names, paths that lead elsewhere, readers without the token."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from android_suite.errors import UsageError
from android_suite.lab_page.access import COOKIE, is_loopback, read_token
from android_suite.lab_page.app import Hub, make_app
from android_suite.lab_page.campaigns import CampaignReader, is_locked
from android_suite.model.lab_page import LabDevice
from android_suite.report.lab import describe_left

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e"
TOKEN = "correct-horse-battery-staple"
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "schema" / "lab-state.json"


def journal(*events: dict[str, Any]) -> str:
    return "".join(
        json.dumps({"at": f"2026-11-01T10:00:{n:02d}+00:00", **event}) + "\n" for n, event in enumerate(events)
    )


EVENTS = (
    {"event": "plan", "plan": {"name": HOSTILE, "mode": "deterministic"}, "suite": "0.1.0"},
    {"event": "start", "job": "000-a", "attempt": 1},
    {"event": "analyzed", "job": "000-a"},
    {
        "event": "failed",
        "job": "001-b",
        "error": "DeviceLost",
        "fault": "lab",
        "text": HOSTILE,
        "kept": "failed/001-b.1",
    },
    {"event": "start", "job": "001-b", "attempt": 2},
    {"event": "progress", "done": 1, "total": 4, "running": ["001-b"], "remaining_s": 200.0},
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    campaign = tmp_path / "store" / "nightly"
    (campaign / "failed" / "001-b.1").mkdir(parents=True)
    (campaign / "failed" / "001-b.1" / "console.log").write_text(HOSTILE)
    (campaign / "jobs" / "000-a").mkdir(parents=True)
    crash = {"kind": "panic", "summary": "Kernel panic - not syncing", "console": "..."}
    (campaign / "jobs" / "000-a" / "manifest.json").write_text(
        json.dumps({"iterations": [{"crash": crash}, 3], "crash": None})
    )
    (campaign / "journal.jsonl").write_text(journal(*EVENTS) + '{"event": "fini')
    (campaign / "report.html").write_text("<script>alert(1)</script>")
    (campaign / "raw.bin").write_bytes(b"\0\1")
    (tmp_path / "secret.txt").write_text("secret")
    (campaign / "link.txt").symlink_to(tmp_path / "secret.txt")
    (campaign / "out").symlink_to(tmp_path)
    (campaign / ".hidden").write_text("secret")
    os.mkfifo(campaign / "pipe.txt")
    return tmp_path / "store"


def client(store: Path, *, token: str | None = None, host: str = "localhost") -> TestClient:
    hub = Hub(
        store=store,
        devices=lambda: ((LabDevice(serial=HOSTILE, state="device", model=HOSTILE),), ""),
        history=lambda order: f"<!doctype html><p>{order}</p>",
    )
    return TestClient(make_app(hub, token=token), base_url=f"http://{host}:8765", follow_redirects=False)


def key_of(store: Path) -> str:
    return CampaignReader(store).read()[0].key


def test_the_state_is_read_from_the_journal(store: Path) -> None:
    (one,) = CampaignReader(store).read()
    assert (one.folder, one.done, one.total, one.retries, one.trouble) == ("nightly", 1, 4, 1, "")
    assert (one.status, one.running, one.remaining_s) == ("stopped", (), None), "nobody works on it"
    assert [(f.kind, f.fault, f.evidence) for f in one.failures] == [
        ("panic", "kernel", "jobs/000-a/manifest.json"), ("DeviceLost", "lab", "failed/001-b.1"),
    ]  # fmt: skip
    told = client(store).get("/api/state").json()
    jsonschema.validate(told, json.loads(SCHEMA.read_text()))


def test_a_campaign_whose_lock_is_held_is_running(store: Path) -> None:
    lock = store / "nightly" / ".lock"
    with lock.open("w") as file:
        assert not is_locked(lock)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_locked(lock)
        reader = CampaignReader(store)
        (one,) = reader.read()
        assert (one.status, one.running, one.remaining_s) == ("running", ("001-b",), 200.0)
        # It goes on while the page looks.
        with (store / "nightly" / "journal.jsonl").open("a") as out:
            out.write('shed", "exit_code": 1}\n')
        (one,) = reader.read()
        assert (one.status, one.exit_code) == ("finished", 1)


def test_a_damaged_journal_is_told_and_shown_as_far_as_it_goes(store: Path) -> None:
    (store / "nightly" / "journal.jsonl").write_text(
        journal(EVENTS[0]) + "[" * 50_000 + "\nnonsense\n" + journal({"event": "progress", "done": "x", "total": 1e300})
    )
    (one,) = CampaignReader(store).read()
    assert one.trouble == "2 lines of the journal are damaged"
    assert (one.done, one.total) == (0, None)


def test_names_that_are_no_unicode_are_shown_and_a_pipe_hangs_nobody(store: Path) -> None:
    events = EVENTS[0], EVENTS[2], {"event": "failed", "job": "001-b", "text": "\ud800"}
    (store / "nightly" / "journal.jsonl").write_text(journal(*events))
    manifest = store / "nightly/jobs/000-a/manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    (store / "nightly").rename(os.fsdecode(os.fsencode(str(store)) + b"/night\xff"))
    (told,) = client(store).get("/api/state").json()["campaigns"]
    assert (told["folder"], told["failures"][0]["text"]) == ("night\udcff", "\ud800")
    assert client(store).get(f"/campaign/{told['key']}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/campaign/{key}", "/campaign/{key}/file/", "/campaign/{key}/file/failed/001-b.1"]
)
def test_pages_escape_everything(store: Path, path: str) -> None:
    answer = client(store).get(path.format(key=key_of(store)))
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert "\u202e" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_first_page_shows_devices_and_campaigns(store: Path) -> None:
    text = client(store).get("/").text
    assert "1 of 4 jobs" in text
    assert "&lt;script&gt;alert(1)" in text
    text = client(store).get(f"/campaign/{key_of(store)}").text
    assert "DeviceLost" in text
    assert f"/campaign/{key_of(store)}/file/failed/001-b.1" in text
    assert "report.html" in text


def test_files_of_a_store_run_nothing(store: Path) -> None:
    base = f"/campaign/{key_of(store)}/file"
    report = client(store).get(f"{base}/report.html")
    assert report.text == "<script>alert(1)</script>"
    assert report.headers["content-security-policy"].endswith("sandbox")
    log = client(store).get(f"{base}/failed/001-b.1/console.log")
    assert log.headers["content-type"].startswith("text/plain")
    assert log.text == HOSTILE
    raw = client(store).get(f"{base}/raw.bin")
    assert (raw.content, raw.headers["content-disposition"]) == (b"\0\1", "attachment")


@pytest.mark.parametrize(
    "name",
    [
        "../../secret.txt", "..%2f..%2fsecret.txt", "%2e%2e/%2e%2e/secret.txt", "link.txt", "out/secret.txt", ".hidden",
        "pipe.txt", "//etc/passwd", "%2fetc%2fpasswd", "jobs/../../secret.txt", "absent", "a%00b", "x" * 2000,
        "report.html/x", "..\\secret.txt",
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(store: Path, name: str) -> None:
    answer = client(store).get(f"/campaign/{key_of(store)}/file/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_unknown_pages_and_other_methods(store: Path) -> None:
    page = client(store)
    assert page.get("/campaign/ffff").status_code == 404
    assert page.get("/static/../app.py").status_code == 404
    assert page.get("/static/lab.js").headers["content-type"].startswith("text/javascript")
    assert page.post("/").status_code == 405
    assert page.delete("/history").status_code == 405


def test_on_loopback_another_name_is_not_answered(store: Path) -> None:
    """A page elsewhere whose name was made to lead here has another Host."""
    assert client(store, host="evil.example").get("/api/state").status_code == 421
    assert client(store, host="127.0.0.1").get("/api/state").status_code == 200
    assert client(store, host="[::1]").get("/api/state").status_code == 200


def test_the_token_opens_and_a_cookie_keeps_open(store: Path) -> None:
    page = client(store, token=TOKEN, host="lab.example")
    assert page.get("/").status_code == 401
    for path in ("/api/state", "/events", "/history", f"/campaign/{key_of(store)}/file/report.html"):
        assert page.get(path).status_code == 401
    assert page.get("/api/state", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert page.get("/api/state", headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert page.post("/login", data={"token": "wrong"}).status_code == 401
    answer = page.post("/login", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert page.get("/").status_code == 200
    again = client(store, token=TOKEN, host="lab.example")
    again.cookies.set(COOKIE, page.cookies[COOKIE])
    assert again.get("/").status_code == 200, "a restart of the server keeps readers"
    other = client(store, token=TOKEN + "2", host="lab.example")
    other.cookies.set(COOKIE, page.cookies[COOKIE])
    assert other.get("/").status_code == 401, "another token ends all sessions"
    assert client(store, token=TOKEN).post("/login", content=b"token=" + b"x" * 9000).status_code == 413


def test_token_files(tmp_path: Path) -> None:
    file = tmp_path / "made" / "token"
    token = read_token(file)
    assert len(token) >= 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_token(file) == token
    file.chmod(0o644)
    with pytest.raises(UsageError, match="others may read the token"):
        read_token(file)
    file.chmod(0o600)
    file.write_text("short\n")
    with pytest.raises(UsageError, match="shorter than 20"):
        read_token(file)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("lab", False),
    ],
)
def test_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, ""), (40.2, "about 40 s left"), (200, "about 3 min left"), (9000, "about 2.5 h left")]
)
def test_estimates_in_words(seconds: float | None, words: str) -> None:
    assert describe_left(seconds) == words
