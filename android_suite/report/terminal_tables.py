"""Tables that several parts of the terminal report share."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from android_suite.report.phrases import format_number, show_foreign
from android_suite.report.summary import PathRow


def make_table(title: str, *columns: tuple[str, str]) -> Table:
    """An empty table; each column is a name and an alignment (``left`` or ``right``)."""
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def print_paths(rows: list[PathRow], console: Console, *, of: str = "kernel") -> None:
    """Prints HeapTaskDaemon's madvise calls by path; ``of`` is what a row stands for, a kernel or a thread."""
    table = make_table(
        "HeapTaskDaemon: madvise calls by path",
        (of, "left"),
        ("per-VMA path", "right"),
        ("mmap_lock path", "right"),
        ("unknown", "right"),
        ("per-VMA share", "right"),
        ("fallback reasons", "left"),
    )
    for row in rows:
        counts = (row.paths.per_vma, row.paths.mmap_lock, row.paths.unknown)
        reasons = Text(show_foreign(row.reasons))
        table.add_row(Text(row.kernel), *(format_number(count) for count in counts), row.share, reasons)
    console.print(table)
