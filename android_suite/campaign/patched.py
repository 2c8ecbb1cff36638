"""A campaign on a user's patch: the pair of kernels is built, and takes the place of a plan's kernels."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from android_suite.boot.booted import KernelCrashed
from android_suite.boot.virtual import boot_virtual
from android_suite.campaign.plan_file import PlanFile
from android_suite.config import Config
from android_suite.errors import NotReady, UsageError
from android_suite.model.identity import CrashRecord
from android_suite.model.plan import parse_plan
from android_suite.model.toml_source import parse_toml, read_toml
from android_suite.store.run import write_atomic
from android_suite.virtual.build import KernelPair, PairBuild

STANDARD = Path(__file__).parent / "standard.toml"
LABELS = ("without", "with")
_TABLE = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]+\s*(?:#.*)?$")
_NAME = re.compile(r"\s*name\s*=")
_LAST_LINES = 12  # of a console, where nothing on it tells why the kernel did not boot


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadKernel:
    """The kernel with the patch does not boot, the one without it does: a result.

    Attributes:
        line: of the console, that tells why.
        console: the console's end.
    """

    line: str
    console: str


def read_patched_plan(path: Path, build: PairBuild, *, scenarios: Collection[str]) -> PlanFile:
    """A plan whose kernels are those of a pair that is not built yet.

    Args:
        path: the plan; its kernels do not count.
        build: the pair, by its default name.
        scenarios: the scenarios that the suite knows.

    Raises:
        UsageError: the file cannot be read, or the kernels in it are not in ``[[kernel]]`` tables.
        ConfigError: the plan is invalid.
    """
    given = read_toml(path, "the plan", "give a TOML file")
    parse_plan(given, scenarios=scenarios)  # its own faults first, with its own lines
    source = parse_toml(put_pair(given.text, build.default_name), path)
    plan = parse_plan(source, scenarios=scenarios)
    if [kernel.label for kernel in plan.kernels] != list(LABELS):
        raise UsageError(f"{path}: its kernels must be in [[kernel]] tables, which --patch replaces; write them so.")
    if plan.overlay or plan.android:
        raise UsageError(f"{path}: --patch takes no plan with files of its own (overlay, android); leave them out.")
    plan = replace(plan, arch=build.arch)  # type: ignore[arg-type]
    return PlanFile(source=source, plan=plan, digests={})


def put_pair(text: str, pair: str) -> str:
    """The text of a plan with the two kernels of a pair in place of its own, and named after it."""
    kept: list[str] = []
    table = ""
    for line in text.splitlines():
        if match := _TABLE.match(line):
            table = match[1]
        if table == "plan" and _NAME.match(line):
            kept.append(f'name = "{pair}"')
        elif table != "kernel":
            kept.append(line)
    tables = [
        f'[[kernel]]\nlabel = "{label}"\nkernel = "{pair}:{side}"\nrole = "{side}"\n'
        for label, side in zip(LABELS, ("baseline", "candidate"), strict=True)
    ]
    return "\n".join([*kept, "", *tables])


def add_notes(file: PlanFile, notes: Sequence[str]) -> PlanFile:
    """The plan with notes that go into every report of it."""
    return replace(file, plan=replace(file.plan, warnings=(*file.plan.warnings, *notes)))


def try_pair(pair: KernelPair, config: Config, out: Path, *, say: Callable[[str], None]) -> DeadKernel | None:
    """Boots the kernel with the patch once, in real time; if it does not boot, the other one, to know whose fault it is.

    Args:
        pair: the kernels.
        config: the settings.
        out: where the console of a kernel that does not boot is kept, as ``console.txt``.
        say: told of what goes on.

    Raises:
        NotReady: neither boots.
    """
    say("booting the kernel with the patch")
    dead = _boot(pair.candidate.name, config)
    if dead is None:
        return None
    say(f"it does not boot ({dead.line}); booting the kernel without the patch")
    if (other := _boot(pair.baseline.name, config)) is not None:
        raise NotReady(
            f"neither kernel boots, so the patch is not the reason ({other.line}); choose another --source or --config."
        )
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "console.txt", dead.console.encode())
    return dead


def _boot(kernel: str, config: Config) -> DeadKernel | None:
    try:
        with boot_virtual(kernel, config=config):
            return None
    except KernelCrashed as error:
        return DeadKernel(line=find_line(error.crash), console=error.crash.console)
    except NotReady as error:
        console = "\n".join(getattr(error, "__notes__", ()))
        if not console:
            return DeadKernel(line=str(error), console=str(error))
        last = [line.strip() for line in console.splitlines() if line.strip()]
        shown = last[-1] if last else "its console is empty"
        return DeadKernel(line=f"it hangs; the last line of its console: {shown}", console=console or str(error))


def find_line(crash: CrashRecord) -> str:
    """The line of the console that tells why a kernel did not boot."""
    return crash.summary or next(iter(crash.console.splitlines()[-_LAST_LINES:]), "no message")
