"""Records scenarios with their sources on a device into a sealed run directory."""
