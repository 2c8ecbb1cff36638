"""Reads Perfetto traces, and exports them (write/)."""
