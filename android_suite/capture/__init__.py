"""Sources of evidence, one per file: prepare, start, stop, pull."""
