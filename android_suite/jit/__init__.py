"""Compiled loops: numba compiles them once; later processes load the machine code without numba."""
