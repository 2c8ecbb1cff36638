"""Provides a device that runs a given kernel: attached, virtual, through fastboot, an AVD or Cuttlefish."""
