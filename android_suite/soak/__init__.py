"""Soak: counts in the kernel for hours or days."""
