"""Keeps a device ready for measuring: booted, charged, cool, awake, quiet; and puts everything back afterwards."""
