"""The workloads of the scenarios on the device: prepare, run_once, cleanup."""
