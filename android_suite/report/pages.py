"""What every HTML page shares: the templates, and how foreign text is shown in them."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

from android_suite.report import phrases


def read_template(name: str) -> str:
    """A file of ``report/templates``."""
    return (resources.files("android_suite.report") / "templates" / name).read_text(encoding="utf-8")


def make_environment() -> jinja2.Environment:
    """An environment that escapes everything; None becomes a word, and control characters become visible."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(read_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "number": phrases.format_number,
        "value": phrases.format_value,
        "interval": phrases.format_interval,
        "percent": phrases.format_percent,
        "p": phrases.format_p,
        "ms": phrases.format_ms,
        "bytes": phrases.format_bytes,
        "foreign": phrases.show_foreign,
        "lines": phrases.show_foreign_lines,
    }
    return environment


def _finalize(value: object) -> object:
    if value is None:
        return phrases.UNKNOWN
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return phrases.show_foreign_lines(value)
    return value
