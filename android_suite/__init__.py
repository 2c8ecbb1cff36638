"""android-suite: does this kernel patch make Android smoother, and can you prove it?"""

__version__ = "0.1.0"
