"""The files for Kubernetes, as far as they can be checked without one."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import yaml

from android_suite.campaign.cluster import await_scheduler
from android_suite.cli.main import run


@pytest.fixture
def cluster(project_root: Path) -> dict:  # type: ignore[type-arg]
    [document] = yaml.safe_load_all((project_root / "deploy/dask-cluster.yaml").read_text())
    return document


def test_it_is_a_dask_cluster(cluster: dict) -> None:  # type: ignore[type-arg]
    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    spec = cluster["spec"]
    # What the operator's custom resource requires.
    assert {"spec", "replicas"} <= spec["worker"].keys()
    assert {"spec", "service"} <= spec["scheduler"].keys()
    assert {"type", "selector", "ports"} <= spec["scheduler"]["service"].keys()
    assert spec["scheduler"]["service"]["selector"]["dask.org/component"] == "scheduler"
    for part in (spec["worker"], spec["scheduler"]):
        [container] = part["spec"]["containers"]
        volumes = {volume["name"] for volume in part["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_everything_speaks_tls(cluster: dict, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[type-arg]
    [worker] = cluster["spec"]["worker"]["spec"]["containers"]
    [scheduler] = cluster["spec"]["scheduler"]["spec"]["containers"]
    assert scheduler["args"][2:4] == ["--protocol", "tls"]
    assert "tcp://" not in str(cluster)
    assert worker["args"][0] == "android-suite"
    assert run([*worker["args"][1:], "--dry-run"]) == 0
    line = capsys.readouterr().out
    assert "tls://android-suite-scheduler:8786" in line
    assert "'core=2'" in line or "core=2" in line


def test_no_host_of_a_registry_is_named(project_root: Path) -> None:
    for file in (project_root / "deploy").iterdir():
        images = re.findall(r"(?:image:|FROM|BASE=)\s*(\S+)", file.read_text())
        assert images
        assert all("/" not in image for image in images), file


def test_a_worker_whose_scheduler_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(await_scheduler, "__kwdefaults__", {"timeout": 0.0})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        assert run(["lab", "worker", f"tcp://127.0.0.1:{taken.getsockname()[1]}"]) == 4
    assert "no Dask scheduler answers at tcp://127.0.0.1" in capsys.readouterr().err


def test_a_worker_without_tls_beyond_loopback_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "worker", "tcp://10.0.0.1:8786", "--dry-run"]) == 2
    assert "beyond loopback and has no TLS" in capsys.readouterr().err
    assert run(["lab", "worker", "tcp://127.0.0.1:8786", "--host", "0.0.0.0", "--dry-run"]) == 2
    assert "tcp://0.0.0.0:1 is beyond loopback" in capsys.readouterr().err
    # The scheduler hands on what anybody sends to it, wherever the worker itself listens.
    assert run(["lab", "worker", "tcp://10.0.0.1:8786", "--host", "127.0.0.1", "--dry-run"]) == 2
    assert "tcp://10.0.0.1:8786 is beyond loopback" in capsys.readouterr().err
    assert run(["lab", "worker", "tcp://127.0.0.1:8786", "--cores", "3", "--dry-run"]) == 0
    line = capsys.readouterr().out
    assert "--host 127.0.0.1" in line
    assert "core=3" in line
