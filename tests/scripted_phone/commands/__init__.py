"""The Android commands of the scripted phone. Importing this package fills :data:`~tests.scripted_phone.call.COMMANDS`."""

from tests.scripted_phone.commands import apps, log, power, system

__all__ = ["apps", "log", "power", "system"]
