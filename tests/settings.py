"""The settings of this machine, for tests that boot devices or fetch kernels."""

from __future__ import annotations

import os
from pathlib import Path

from android_suite.config import read_config

CONFIG = read_config(env=os.environ, folder=Path(__file__).resolve().parent)
