"""Perfetto traces: the reader, and write/ for the export."""
