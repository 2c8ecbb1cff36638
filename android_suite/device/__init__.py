"""adb: the transport, typed operations on a device, and parsers of its replies."""
