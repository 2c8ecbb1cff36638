"""The QEMU command: which binary, which accelerator, which arguments."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from android_suite.errors import MachineError
from android_suite.virtual import serial_port
from android_suite.virtual.cache import Cache
from android_suite.virtual.kernels import KernelImage

BINARIES = {"arm64": "qemu-system-aarch64", "amd64": "qemu-system-x86_64"}
CONSOLES = {"arm64": "ttyAMA0", "amd64": "ttyS0"}
# The kernel argument for a console from the first instructions on; on arm64 the device tree says where it is.
EARLY_CONSOLES = {"arm64": "earlycon", "amd64": "earlycon=uart8250,io,0x3f8"}
HOST_ARCH = {"aarch64": "arm64", "x86_64": "amd64"}
# The deterministic mode was verified with 10.0.2; older versions may not repeat exactly.
MIN_VERSION = 10
PROBE_TIMEOUT_S = 15.0


def read_qemu_version(arch: str) -> str:
    """Version of the QEMU for an architecture.

    Raises:
        MachineError: it is missing or too old.
    """
    binary = BINARIES[arch]
    if not shutil.which(binary):
        raise MachineError(f"{binary} not found; run make setup, or install QEMU {MIN_VERSION} or newer")
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"version (\d+)(\.[\d.]+)?", done.stdout)
    if not found:
        raise MachineError(f"{binary} --version gives no version; run make setup")
    if int(found[1]) < MIN_VERSION:
        raise MachineError(f"{binary} is version {found[1]}{found[2] or ''}, older than {MIN_VERSION}; run make setup")
    return found[1] + (found[2] or "")


def choose_accel(kernel: KernelImage, *, cache: Cache, version: str) -> str:
    """``kvm`` if a guest runs under it, else ``tcg``; found by booting once, then cached.

    On some hosts /dev/kvm exists but guests die in their first instructions, so its presence is not enough.
    """
    host = platform.machine()
    if HOST_ARCH.get(host) != kernel.arch or not Path("/dev/kvm").exists():
        return "tcg"
    key = hashlib.sha256(f"{platform.release()} {platform.version()} {host} {version}".encode()).hexdigest()[:32]
    with cache.lock("kvm"):
        entry = cache.read_entry("kvm", key)
        if entry is None:
            entry = cache.write_entry("kvm", key, {}, {"usable": probe_kvm(kernel), "host": platform.release()})
    return "kvm" if entry.meta["usable"] else "tcg"


def probe_kvm(kernel: KernelImage) -> bool:
    """Whether a kernel boots under KVM up to the message that it lacks a root file system."""
    with tempfile.TemporaryDirectory(prefix="android-suite-") as folder:
        console = Path(folder) / "console"
        argv = [
            *_machine_argv(kernel.arch, "kvm", deterministic=False),
            *("-m", "256", "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}"),
            *("-kernel", str(kernel.path), "-append", f"console={CONSOLES[kernel.arch]} panic=-1"),
        ]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as probe:
            try:
                deadline = time.monotonic() + PROBE_TIMEOUT_S
                while time.monotonic() < deadline:
                    ended = probe.poll() is not None
                    if console.exists() and b"Unable to mount root fs" in console.read_bytes():
                        return True
                    if ended:
                        return False
                    time.sleep(0.05)
                return False
            finally:
                probe.kill()


def read_early_console(argv: Sequence[str]) -> str:
    """What a kernel prints that resets the machine before its console exists: it is booted once more, and asked to.

    Args:
        argv: of :func:`render_argv`, with the kernel argument of ``EARLY_CONSOLES``.

    Returns:
        Its output; empty if it cannot print so early, or does not end this time.
    """
    with tempfile.TemporaryDirectory(prefix="android-suite-") as folder:
        quiet = subprocess.DEVNULL
        with (
            subprocess.Popen(argv, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet) as qemu,
            contextlib.suppress(subprocess.TimeoutExpired),
        ):
            try:
                qemu.wait(PROBE_TIMEOUT_S)
                return (Path(folder) / "console.log").read_text("utf-8", "replace")
            finally:
                qemu.kill()
    return ""


def render_argv(
    *,
    kernel: KernelImage,
    initrd: Path,
    accel: str,
    cpus: int,
    memory_mb: int,
    port: int,
    deterministic: bool,
    seed: int,
    kernel_args: Sequence[str] = (),
) -> list[str]:
    """The command that runs a device in its folder, where console.log and qmp appear.

    Args:
        kernel: the kernel to boot.
        initrd: the complete initramfs.
        accel: ``tcg`` or ``kvm``; a deterministic device is always TCG.
        cpus: virtual CPUs; in deterministic mode they run in turns.
        memory_mb: guest memory.
        port: host port for adbd; 0 lets QEMU take a free one.
        deterministic: virtual time counts instructions; the network card (or the serial card) is added later, by QMP.
        seed: seed of all randomness that QEMU provides to the guest, in deterministic mode.
        kernel_args: additional kernel arguments.
    """
    append = [f"console={CONSOLES[kernel.arch]}", "quiet", "panic=-1", "oops=panic", "transparent_hugepage=never"]
    # The self-tests of the kernel's ciphers take half of its boot under TCG and do not affect the measurement.
    append += ["cryptomgr.notests"]
    argv = [
        *_machine_argv(kernel.arch, accel, deterministic=deterministic),
        *("-smp", str(cpus), "-m", str(memory_mb), "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
        *("-serial", "file:console.log", "-qmp", "unix:qmp,server=on,wait=off"),
        *("-kernel", str(kernel.path), "-initrd", str(initrd)),
    ]
    if deterministic:
        append += ["nokaslr", "norandmaps", "nmi_watchdog=0"]
        # The guest's clock and randomness depend only on the seed and the instruction count.
        argv += ["-icount", "shift=0,sleep=off", "-seed", str(seed), "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
        argv += ["-device", "pcie-root-port,id=slot0,chassis=1,power_controller_present=off"]
    elif kernel.serial:
        argv += serial_port.render_options(port)
    else:
        argv += ["-netdev", f"user,id=net0,hostfwd={render_forward(port)}"]
        argv += ["-device", "virtio-net-pci,netdev=net0,romfile="]
    return [*argv, "-append", " ".join([*append, *kernel_args])]


def render_forward(port: int) -> str:
    """The forwarding of a host port to the guest's adbd; 0 takes a free port."""
    return f"tcp:127.0.0.1:{port}-:5555"


def _machine_argv(arch: str, accel: str, *, deterministic: bool) -> list[str]:
    if accel == "kvm":
        cpu, accelerator = "host", "kvm"
    else:
        # pauth-impdef: the architected pointer authentication algorithm is slow to emulate.
        cpu = "max,pauth-impdef=on" if arch == "arm64" else "max"
        accelerator = "tcg" if deterministic else "tcg,thread=multi"
    machine = "virt" if arch == "arm64" else "q35"
    return [BINARIES[arch], "-M", machine, "-cpu", cpu, "-accel", accelerator]
