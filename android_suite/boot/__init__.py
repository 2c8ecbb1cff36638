"""Provides a device that runs a given kernel: an attached or a virtual one."""
