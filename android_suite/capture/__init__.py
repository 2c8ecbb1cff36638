"""One file a source of evidence: prepare, start, stop, pull."""
