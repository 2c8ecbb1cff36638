"""Scenario, sources and device to a sealed run directory."""
