"""Reads and writes trace.dat, the format of trace-cmd."""
