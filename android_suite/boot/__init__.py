"""A device that runs a given kernel: attached, virtual, and later emulator, cuttlefish, fastboot."""
