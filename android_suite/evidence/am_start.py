"""``am start -W``: answers of any Android, one after another."""

from __future__ import annotations

import re

import pandas as pd

from android_suite.evidence.rows import frame_of, whole_number
from android_suite.tables.evidence import AM_STARTS

_START = re.compile(r"^Starting: Intent \{(.*)\}\s*$", re.MULTILINE)
_COMPONENT = re.compile(r"\bcmp=(\S+)")
_FIELD = re.compile(r"^(Status|LaunchState|Activity|ThisTime|TotalTime|WaitTime): *(.*?)\s*$", re.MULTILINE)
_COMPLAINT = re.compile(r"^(?:Warning: |Error: |Error type |java\.|Exception )(.*)$", re.MULTILINE)


def parse_am_starts(text: str) -> pd.DataFrame:
    """Reads every answer in ``text`` (AM_STARTS); what an answer does not say is -1 or ''."""
    rows: list[dict[str, object]] = []
    starts = list(_START.finditer(text))
    for index, start in enumerate(starts):
        body = text[start.end() : starts[index + 1].start() if index + 1 < len(starts) else len(text)]
        said = dict(_FIELD.findall(body))
        component = _COMPONENT.search(start[1])
        complaint = _COMPLAINT.search(body)
        rows.append(
            {
                "intent": component[1] if component else "",
                "status": said.get("Status", ""),
                "launch_state": said.get("LaunchState", "").partition(" ")[0],
                "activity": said.get("Activity", ""),
                "this_ms": whole_number(said.get("ThisTime")),
                "total_ms": whole_number(said.get("TotalTime")),
                "wait_ms": whole_number(said.get("WaitTime")),
                "complaint": complaint[0].strip() if complaint else "",
            }
        )
    return frame_of(AM_STARTS, rows)
