"""One call of an Android command inside the phone, and the table of commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scripted_phone.phone import ScriptedPhone


@dataclass(frozen=True)
class Call:
    """The words and the descriptors of a command; ``uid`` of its caller."""

    phone: ScriptedPhone
    words: tuple[str, ...]
    uid: int
    stdin: int
    stdout: int
    stderr: int

    def out(self, text: str = "") -> None:
        """Prints a line."""
        self._write(self.stdout, text)

    def err(self, text: str) -> None:
        """Prints a line of complaint."""
        self._write(self.stderr, text)

    def _write(self, descriptor: int, text: str) -> None:
        data = text.encode(errors="surrogateescape") + b"\n"
        while data:
            data = data[os.write(descriptor, data) :]

    def word(self, index: int) -> str:
        """One word; "" if it was not given."""
        return self.words[index] if index < len(self.words) else ""

    def shift(self, count: int = 1) -> Call:
        """The same call without its first words."""
        return Call(self.phone, self.words[count:], self.uid, self.stdin, self.stdout, self.stderr)


Command = Callable[[Call], int]
COMMANDS: dict[str, Command] = {}


def command(*names: str) -> Callable[[Command], Command]:
    """Registers a function as an Android command, under each of the names."""

    def register(function: Command) -> Command:
        COMMANDS.update(dict.fromkeys(names, function))
        return function

    return register
