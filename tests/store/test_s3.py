"""A run store in an object store that speaks S3, on loopback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from android_suite.store.remote import open_store
from tests.store.test_remote import make_run

pytestmark = pytest.mark.slow  # its libraries load in seconds


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir("runs")
    yield "s3://runs/tonight"
    server.stop()


def test_a_run_comes_back_and_a_job_done_twice_counts_once(tmp_path: Path, bucket: str) -> None:
    run = make_run(tmp_path / "one", "first")
    store = open_store(bucket)
    assert store.publish("job", "aa", run)
    assert not open_store(bucket).publish("job", "bb", make_run(tmp_path / "two", "second"))
    assert open_store(bucket).names() == ("job",)
    open_store(bucket).fetch("job", tmp_path / "back")
    files = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    assert all((run / file).read_bytes() == (tmp_path / "back" / file).read_bytes() for file in files)
