"""Makes the writers beside these tests importable as ``tests.trace.*``, as ``python -m tests.fuzz`` sees them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
