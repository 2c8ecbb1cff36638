"""A phone that the real adb server drives: adbd's wire protocol in front, a scripted Android behind it.

:class:`ScriptedPhone` is all that tests need. Its shell and tools are the real mksh and toybox, its kernel's tracefs
and its Android services are Python objects. Its answers have the form of public samples of a stock Android 14 phone.
"""

from tests.scripted_phone.phone import Fault, ScriptedPhone
from tests.scripted_phone.state import Package, PhoneState

__all__ = ["Fault", "Package", "PhoneState", "ScriptedPhone"]
