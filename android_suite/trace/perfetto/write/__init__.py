"""Writes a trace and the suite's own tracks as a Perfetto file."""
