"""The page of a lab: devices, campaigns, failures, reports, history. It reads files and adb's list; it changes nothing."""
