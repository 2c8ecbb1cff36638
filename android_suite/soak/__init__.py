"""Soak: counts in the kernel for hours or days, at next to no cost."""
