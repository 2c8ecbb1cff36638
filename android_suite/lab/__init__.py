"""A lab of many devices: inventory, leases, quarantine, status."""
