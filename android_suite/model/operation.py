"""Words for what a thread did when it took a lock, for reports: the tables have short codes."""

from __future__ import annotations

UNTRACED = "untraced"  # the code for a lock taken outside every recorded call, in a trace without all calls
_WORDS = {UNTRACED: "a page fault or an unrecorded call"}


def describe_operation(operation: str) -> str:
    """The operation as a reader understands it; every code but ``untraced`` stands for itself."""
    return _WORDS.get(operation, operation)
