"""Kernel ring-buffer pages to tables: scan, merge, fill, losses, the suite's own capture folder."""
