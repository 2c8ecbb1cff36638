"""A launch: what ``am start -W`` and the log report, and whether it is a sample of the requested state.

The recorder judges a launch when it drives it, the analysis when it reads the evidence. Both use this parser and this
judge. Android's ActivityManagerShellCommand and ActivityMetricsLogger print the texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Outcome = Literal["ok", "timeout", "crash", "elsewhere", "wrong_state"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("ok", "timeout", "crash", "elsewhere", "wrong_state")
FAILED: Final[tuple[Outcome, ...]] = ("timeout", "crash", "elsewhere")
"""Failures of the app or the kernel. ``wrong_state`` is not one: the requested launch did not take place."""
STATES: Final = ("cold", "warm", "hot")

_START = re.compile(r"^Starting: Intent \{(.*)\}\s*$", re.MULTILINE)
_COMPONENT = re.compile(r"\bcmp=(\S+)")
_FIELD = re.compile(r"^(Status|LaunchState|Activity|ThisTime|TotalTime|WaitTime): *(.*?)\s*$", re.MULTILINE)
_ERROR = re.compile(
    r"^\s*(?:Error(?: type \d+)?\s*$|Error: .*|Exception occurred while .*|(?:java|android)\.[\w.$]*(?:Exception|Error)\b.*)",
    re.MULTILINE,
)
_WARNING = re.compile(r"^Warning: (.+?)\s*$", re.MULTILINE)
_TO_FRONT = "brought to the front"
_DRAWN = re.compile(
    r"(?P<what>Displayed|Fully drawn) (?P<component>[^\s/]+/[^\s:]+)(?: for user (?P<user>\d{1,9}))?: "
    r"\+(?P<span>\d[\ddhms]{1,24})"
)
_SPAN = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmStart:
    """One reply of ``am start -W``. Times in ms; None if absent."""

    intent: str | None  # requested component, as printed
    status: str | None  # "ok", "timeout"
    launch_state: str | None  # "COLD", "WARM", "HOT", "RELAUNCH", "UNKNOWN (0)"; absent before Android 10
    activity: str | None  # the activity that drew
    this_ms: int | None
    total_ms: int | None
    wait_ms: int | None
    warnings: tuple[str, ...]
    error: str | None  # "Error: Activity class {...} does not exist."

    @property
    def state(self) -> str:
        """``cold``, ``warm``, ``hot``, ``relaunch`` or ``unknown``; empty if Android does not report it."""
        return (self.launch_state or "").partition(" ")[0].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A ``Displayed`` or ``Fully drawn`` line of the log."""

    fully: bool
    component: str  # short form, see :func:`shorten_component`
    user: int | None
    duration_ms: int | None  # None: beyond 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchVerdict:
    """The outcome of a launch; ``reason`` is empty if it is a sample of the requested state."""

    outcome: Outcome
    reason: str = ""


def shorten_component(name: str) -> str:
    """Any spelling of a component as ``package/.Activity``. Like Android, shortens the class name if it can."""
    package, slash, activity = name.partition("/")
    if slash and activity.startswith(f"{package}."):
        activity = activity[len(package) :]
    return f"{package}{slash}{activity}"


def parse_am_starts(text: str) -> tuple[AmStart, ...]:
    """Reads the replies of ``am start -W`` in ``text``, of any Android version, in order (``-R`` gives several)."""
    starts = list(_START.finditer(text))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return tuple(_read_answer(start[1], text[start.end() : end]) for start, end in zip(starts, ends, strict=False))


def parse_am_start(text: str) -> AmStart:
    """Reads the last reply in ``text``, even if its first line is missing."""
    return (parse_am_starts(text) or (_read_answer("", text),))[-1]


def _read_answer(intent: str, body: str) -> AmStart:
    said = dict(_FIELD.findall(body))
    component = _COMPONENT.search(intent)
    errors = [found.group(0).strip() for found in _ERROR.finditer(body)]
    return AmStart(
        intent=component[1] if component else None,
        status=said.get("Status"),
        launch_state=said.get("LaunchState"),
        activity=said.get("Activity"),
        this_ms=_number(said.get("ThisTime")),
        total_ms=_number(said.get("TotalTime")),
        wait_ms=_number(said.get("WaitTime")),
        warnings=tuple(_WARNING.findall(body)),
        # "Error type 3" alone explains nothing; the line below it does
        error=next((line for line in errors if not line.startswith("Error type")), errors[0] if errors else None),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 15 else None


def judge_launch(
    asked: str, started: AmStart, *, component: str = "", crash: str = "", no_answer_ms: int | None = None
) -> LaunchVerdict:
    """Judges the outcome of a launch.

    Args:
        asked: the requested state (cold, warm, hot); empty for any.
        started: the reply of am.
        component: the requested component; empty takes the one that am reports.
        crash: how the app died during the launch; empty if it did not.
        no_answer_ms: how long the recorder waited for am in vain; None if am replied.
    """
    wanted, drew = component or started.intent or "", started.activity or ""
    if crash:
        return LaunchVerdict(outcome="crash", reason=crash)
    if no_answer_ms is not None:
        return LaunchVerdict(outcome="timeout", reason=f"am start did not reply within {no_answer_ms} ms")
    if started.error:
        return LaunchVerdict(outcome="wrong_state", reason=started.error)
    if started.status == "timeout":
        waited = "" if started.wait_ms is None else f" after {started.wait_ms} ms"
        return LaunchVerdict(outcome="timeout", reason=f"am start reported a timeout{waited}")
    if started.status != "ok":
        return LaunchVerdict(outcome="wrong_state", reason=f"am start reported {started.status or 'no status'}")
    # Another activity of the same package is a trampoline or an alias: the app chose what to show.
    if wanted and drew and wanted.partition("/")[0] != drew.partition("/")[0]:
        return LaunchVerdict(outcome="elsewhere", reason=f"{drew} drew instead of {wanted}")
    if others := [said for said in started.warnings if _TO_FRONT not in said]:
        return LaunchVerdict(outcome="wrong_state", reason=others[0])
    # Before Android 10 am prints no state. A task brought to the front is a hot launch, never a warm one.
    got = started.state or ("hot" if started.warnings and asked == "warm" else "")
    if asked and got and got != asked:
        return LaunchVerdict(outcome="wrong_state", reason=f"asked {asked}, got {started.launch_state or got.upper()}")
    # Before Android 10 the time may be missing if an activity was only resumed.
    if got == "unknown" or (got and started.total_ms is None):
        return LaunchVerdict(outcome="wrong_state", reason="am start reported no time: nothing was drawn")
    if started.total_ms == 0:  # of an activity that was on the screen already
        return LaunchVerdict(outcome="wrong_state", reason="am start reported 0 ms: the activity was shown already")
    return LaunchVerdict(outcome="ok")


def parse_drawn(message: str) -> Drawn | None:
    """Reads a ``Displayed`` or ``Fully drawn`` message of any Android version; None for any other message.

    Any text may precede the message, such as the prefix of a log line.
    """
    said = _DRAWN.search(message)
    span = _SPAN.match(said["span"]) if said else None
    if said is None or span is None:
        return None
    d, h, m, s, ms = (int(part or 0) for part in span.groups())
    duration = (((d * 24 + h) * 60 + m) * 60 + s) * 1000 + ms
    return Drawn(
        fully=said["what"] == "Fully drawn",
        component=shorten_component(said["component"]),
        user=int(said["user"]) if said["user"] else None,
        duration_ms=duration if duration < 2**63 - 1 else None,
    )
