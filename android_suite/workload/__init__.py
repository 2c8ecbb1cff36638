"""The scenarios' work on the device: prepare, run_once, cleanup."""
