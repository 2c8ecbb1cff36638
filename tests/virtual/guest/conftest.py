from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from android_suite.virtual.image import GUEST
from android_suite.virtual.kernels import fetch_kernel
from android_suite.virtual.machine import VirtualDevice
from tests.settings import CONFIG
from tests.virtual.guest.guests import PACKAGE, DeviceGuest, Guest, NamespaceGuest, build_programs

NAMESPACE = """set -e
mount -t proc proc $1/proc
mount -t tmpfs tmpfs $1/data
mount -t tmpfs tmpfs $1/dev
mknod $1/dev/null c 1 3
chmod 666 $1/dev/null
chroot $1 /system/bin/toolbox install
echo ready
exec sleep 100000
"""


@pytest.fixture(scope="module")
def namespace_guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    root = tmp_path_factory.mktemp("guest")
    build_programs(root / "system/bin", "gcc")
    shutil.copy(GUEST / "rootfs/system/build.prop", root / "system/build.prop")
    for name in ("proc", "data", "dev", "tmp"):
        (root / name).mkdir()
    holder = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", NAMESPACE, "sh", root],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    said = holder.stdout.readline()
    if said != "ready\n":
        holder.wait(10)
        pytest.skip(
            f"no namespaces of our own here ({said.strip()}); the virtual device's run of these tests covers it"
        )
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
    yield NamespaceGuest(root, int(children[0]))
    holder.kill()
    holder.wait(10)
    holder.stdout.close()


@pytest.fixture(scope="module")
def device_guest() -> Iterator[Guest]:
    with VirtualDevice(kernel=fetch_kernel("6.17.13", config=CONFIG), config=CONFIG) as device:
        device.start()
        yield DeviceGuest(device.serial)


@pytest.fixture(params=["namespace_guest", pytest.param("device_guest", marks=pytest.mark.vdev)])
def guest(request: pytest.FixtureRequest) -> Guest:
    found: Guest = request.getfixturevalue(request.param)
    found.run("am", "force-stop", PACKAGE)
    found.run("logcat", "-c")
    return found
