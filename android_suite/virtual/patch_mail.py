"""Takes patches out of mails: as `git format-patch` writes them, as mail readers save them, many in one mbox. No I/O."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

DIFF = re.compile(rb"^(?:diff --(?:git|cc|combined) |--- \S[^\n]*\n\+\+\+ \S[^\n]*\n@@ -)", re.MULTILINE)
# The line before each mail of an mbox, as git knows it by its time and year: "From " can begin a line of text, too.
_FROM = re.compile(rb"From .* \d\d?:\d\d(?::\d\d)? (?:.* )?[+-]?\d{4}\s*$")
_HEADER = re.compile(rb"[!-9;-~]+:")
_ENCODED = re.compile(
    rb"^(?:Content-Transfer-Encoding:\s*(?:quoted-printable|base64)|Content-Type:\s*multipart/)",
    re.MULTILINE | re.IGNORECASE,
)
_TAGS = re.compile(r"^(?:\s*(?:re|fwd):)*\s*(?:\[[^\]]*\]\s*)*", re.IGNORECASE)
_NUMBER = re.compile(r"\[[^\]]*?\b0{0,8}(\d{1,4})/0{0,8}(\d{1,4})\b[^\]]*\]")
_LONGEST = 120  # characters of a title


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail.

    Attributes:
        title: of its subject, without tags; empty if it has none.
        number: n of ``[PATCH n/m]``; 0 is a cover letter, None is a mail without a number.
        diff: what is to be applied; empty if it has no patch.
    """

    title: str
    number: int | None
    diff: bytes


def is_mail(content: bytes) -> bool:
    """Whether a file holds mails: it begins as an mbox, or with headers that say that the text is encoded."""
    first = content.split(b"\n", 1)[0].rstrip(b"\r")
    if _FROM.match(first):
        return True
    return bool(_HEADER.match(first) and _ENCODED.search(_head(content)))


def read_mails(content: bytes) -> list[Mail]:
    """The mails of a file for which `is_mail` is true, in its order.

    Raises:
        ValueError: the parts of a mail are nested too deeply.
    """
    try:
        return [_read_mail(message_from_bytes(each)) for each in _split(content)]
    except RecursionError:
        raise ValueError("the parts of a mail are nested too deeply") from None


def find_title(content: bytes) -> str:
    """The title of a patch that is no mail and may have a subject before its diff; empty if it has none."""
    found = DIFF.search(content)
    head = content[: found.start()] if found else content
    subject = re.search(rb"^Subject:((?:.*)(?:\r?\n[ \t].*)*)", head, re.MULTILINE)
    return _clean(_decode(subject[1].decode(errors="replace"))) if subject else ""


def is_cover_letter(content: bytes) -> bool:
    """Whether a file is the mail ``[PATCH 0/m]``, which has nothing to apply."""
    mails = read_mails(content) if is_mail(content) else []
    return len(mails) == 1 and mails[0].number == 0 and not mails[0].diff


def sort_mails(mails: Sequence[Mail]) -> list[Mail]:
    """The patches among mails, in the order of their numbers; as they come if they have none.

    Raises:
        ValueError: a number is there twice (another version of the series, or an answer with a patch), one between two
            others is missing, or some have numbers and others none: then nobody knows what is meant.
    """
    patches = [mail for mail in mails if mail.diff]
    numbers = [mail.number for mail in patches if mail.number is not None]
    if not numbers:
        return patches
    if len(numbers) < len(patches):
        odd = next(mail for mail in patches if mail.number is None)
        raise ValueError(f"{odd.title!r} has no number [PATCH n/m] and others have one")
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise ValueError(f"patch {twice[0]} is there more than once: keep one version, without answers to it")
    if missing := set(range(min(numbers), max(numbers))) - set(numbers):
        raise ValueError(f"patch {min(missing)} is missing")
    return sorted(patches, key=lambda mail: mail.number or 0)


def _head(content: bytes) -> bytes:
    return re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]


def _split(content: bytes) -> list[bytes]:
    """The mails of an mbox without the lines before them. Any other text is one mail."""
    mails: list[list[bytes]] = []
    for line in content.splitlines(keepends=True):
        if _FROM.match(line.rstrip(b"\r\n")):
            mails.append([])
        elif mails:
            mails[-1].append(line)
        else:
            mails.append([line])
    return [
        b"".join(lines[:-1] if lines and not lines[-1].strip() else lines) for lines in mails
    ]  # a blank line ends one


def _read_mail(message: Message) -> Mail:
    subject = _decode(str(message["subject"] or ""))
    number = _NUMBER.search(subject)
    # Some mailers attach the patch, of whatever type; a copy in HTML is none.
    parts = [part for part in message.walk() if not part.is_multipart() and part.get_content_type() != "text/html"]
    texts = [text for part in parts if isinstance(text := part.get_payload(decode=True), bytes)]
    texts = [text.replace(b"\r\n", b"\n") for text in texts]
    return Mail(
        title=_clean(subject),
        number=int(number[1]) if number else None,
        diff=b"\n".join(text for text in texts if DIFF.search(text)),
    )


def _decode(subject: str) -> str:
    try:
        return str(make_header(decode_header(subject)))
    except (LookupError, HeaderParseError, Base64Error, ValueError):
        return subject  # an encoding that does not exist, or a damaged one


def _clean(subject: str) -> str:
    words = " ".join(_TAGS.sub("", " ".join(subject.split())).split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:_LONGEST]
