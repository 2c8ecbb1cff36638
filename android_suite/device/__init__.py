"""adb: transport, typed verbs, parsers of the replies needed to drive."""
