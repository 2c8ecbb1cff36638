"""The measurements of a store in KCIDB's form, the common report format of kernel CI systems.

Source: the JSON schema in the package ``kcidb-io``. Version 5.0 has all that is written here, and every later version 5
reads it. KCIDB has no null, so what is unknown has no key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from android_suite.errors import UsageError
from android_suite.history.conditions import describe_conditions, name_conditions
from android_suite.history.runs import StoredRun
from android_suite.model.identity import CrashRecord, KernelIdentity
from android_suite.model.run import IterationRecord

ORIGIN = "android_suite"
_ORIGIN = re.compile(r"[a-z0-9_]+")
_EXCERPT = 16_384  # characters of a log that the schema allows
_ARCHITECTURES = {"aarch64": "arm64"}

Json = dict[str, Any]


def render_kcidb(runs: Sequence[StoredRun], *, origin: str = ORIGIN) -> Json:
    """One test a measured value, with the status KCIDB gives performance numbers: ``DONE``.

    A value that is a lower bound or unknown has no number, because its readers would take it for one: its status is
    ``MISS``. A failed launch and a crash of the kernel or the app are ``FAIL``; an iteration that the test setup lost
    is ``MISS``. Serials of phones are left out.

    Args:
        runs: of a store.
        origin: the name of the CI system, as agreed with KCIDB.

    Raises:
        UsageError: ``origin`` has other characters than a-z, 0-9 and _.
    """
    if not _ORIGIN.fullmatch(origin):
        raise UsageError(f"{origin!r} cannot be an origin of KCIDB; use only a-z, 0-9 and _.")
    checkouts: dict[str, Json] = {}
    builds: dict[str, Json] = {}
    tests: dict[str, Json] = {}
    for run in runs:
        kernel = run.manifest.kernel
        if kernel is None:
            continue  # no device answered: no build that a test could name
        checkout, build = _describe_build(kernel, origin)
        checkouts[checkout["id"]], builds[build["id"]] = checkout, build
        for test in _describe_run(run, build["id"], origin):
            tests.setdefault(test["id"], test)
    return {
        "version": {"major": 5, "minor": 0},
        "checkouts": list(checkouts.values()),
        "builds": list(builds.values()),
        "tests": list(tests.values()),
    }


def _describe_build(kernel: KernelIdentity, origin: str) -> tuple[Json, Json]:
    checkout = {"id": f"{origin}:{_digest(kernel.release)}", "origin": origin, "comment": _clean(kernel.release)}
    told = {"build_id": kernel.build_id, "config_sha256": kernel.config_sha256, "cmdline": kernel.cmdline or None}
    machine = _ARCHITECTURES.get(kernel.machine, kernel.machine)
    build = {
        "id": f"{origin}:{_digest(kernel.release, kernel.version, kernel.build_id, kernel.config_sha256)}",
        "checkout_id": checkout["id"],
        "origin": origin,
        "comment": _clean(f"{kernel.release} {kernel.version}"),
        "misc": _known(told),
    }
    if re.fullmatch(r"[a-z0-9_]+", machine):
        build["architecture"] = machine
    return checkout, build


def _describe_run(run: StoredRun, build: str, origin: str) -> Iterator[Json]:
    manifest = run.manifest
    common = {"build_id": build, "origin": origin, "environment": _describe_environment(run)}
    if manifest.crash is not None:
        name = _digest(manifest.created_at, manifest.label, "boot", manifest.crash.summary)
        yield common | _crashed(manifest.crash) | {"id": f"{origin}:{name}", "path": "android_suite.boot"}
    rows = {int(str(i)): part for i, part in run.samples.groupby("iteration")}
    for record in manifest.iterations:
        of = common | _start(record)
        path = f"android_suite.{_part(record.scenario)}"
        identity = (record.boot, record.started_at, str(record.index), record.trace_digest)
        told = {
            "suite": manifest.suite,
            "mode": manifest.mode,
            "boot": record.boot,
            "seed": record.seed,
            "trace_sha256": record.trace_digest,
            "conditions": name_conditions(describe_conditions(run, record)),
        }
        if record.crash is not None or record.status != "complete":
            outcome = _crashed(record.crash) if record.crash else {"status": "MISS", "comment": _clean(record.reason)}
            name = _digest(*identity)
            yield of | outcome | {"id": f"{origin}:{name}", "path": path, "misc": _known(told)}
            continue
        for row in rows[record.index].to_dict("records") if record.index in rows else ():
            value, exact = float(row["value"]), row["quality"] == "exact" and not row["censored"]
            finite = value == value and abs(value) != float("inf")
            test = of | {
                "id": f"{origin}:{_digest(*identity, row['metric'], str(row['sample']))}",
                "path": f"{path}.{_part(row['metric'])}",
                "status": "FAIL" if row["censored"] else "DONE" if exact and finite else "MISS",
                "misc": _known(
                    told
                    | {
                        "quality": "at_least" if row["censored"] else row["quality"],
                        "reason": _clean(row["reason"]) or None,
                        "at_least": value if finite and not exact and row["quality"] != "unknown" else None,
                        "better": row["better"],
                    }
                ),
            }
            if exact and finite:
                test["number"] = {"value": value} | ({"unit": row["unit"]} if row["unit"] not in ("", "count") else {})
            yield test


def _describe_environment(run: StoredRun) -> Json:
    device = run.manifest.device
    if device is None:
        return {}
    told = {
        "virtual": device.virtual,
        "fingerprint": _clean(device.fingerprint) or None,
        "sdk": device.sdk,
        "cpus": device.cpus,
        "memory_kb": device.memory_kb,
        "refresh_rate_hz": device.refresh_rate_hz,
    }
    return {"comment": _clean(device.model), "misc": _known(told)}


def _crashed(crash: CrashRecord) -> Json:
    told = {"status": "FAIL", "comment": _clean(f"{crash.kind}: {crash.summary}")}
    return told | ({"log_excerpt": _clean(crash.console)[-_EXCERPT:]} if crash.console else {})


def _start(record: IterationRecord) -> Json:
    """The time of the start; left out if a manifest made elsewhere has none with its zone."""
    try:
        at = datetime.fromisoformat(record.started_at)
    except ValueError:
        return {}
    return {"start_time": at.isoformat()} if at.tzinfo is not None else {}


def _digest(*parts: str | None) -> str:
    return hashlib.sha256("\0".join(part or "" for part in parts).encode(errors="replace")).hexdigest()[:32]


def _part(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name) or "_"


def _clean(text: str) -> str:
    """No NUL, which the schema forbids, and no lone surrogate, which JSON of others cannot hold."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _known(values: Mapping[str, Any]) -> Json:
    return {key: value for key, value in values.items() if value is not None}
