"""Decodes pages of the kernel's ring buffer to tables: scan, merge, fill, lost events, the suite's capture folder."""
