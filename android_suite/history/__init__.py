"""Metrics over kernels, builds and dates: reads the runs of a store, orders them, finds change points."""
