"""Kernel locks: who waited for, held and stood in front of whom on mmap_lock and VMA locks, and priority inversion."""
