"""The role of a source of evidence, and what it is given."""

from __future__ import annotations

from typing import Protocol

from android_suite.store.run import IterationWriter


class Source(Protocol):
    """One source of evidence during one iteration.

    Called in this order: ``prepare`` (look, refuse, remember what was found), ``start``, ``stop``, ``pull`` (evidence
    that is fetched afterwards), and in every case, also after a failure of any of them, ``restore``.
    """

    @property
    def name(self) -> str:
        """As the run's notes name it."""
        ...

    def prepare(self, out: IterationWriter) -> None:
        """Looks whether the device can do it.

        Raises:
            Unsupported: it cannot.
        """
        ...

    def start(self) -> None:
        """From here on evidence is collected."""
        ...

    def stop(self) -> None:
        """From here on none is."""
        ...

    def pull(self) -> None:
        """Fetches what was left on the device."""
        ...

    def restore(self) -> None:
        """Puts the device back as it was found; may be called after any step, and more than once."""
        ...
