"""Frozen dataclasses and enums: device, kernel, plan, run, metric catalogue, verdict. No I/O, no pandas."""
