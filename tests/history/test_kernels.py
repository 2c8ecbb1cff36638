"""The order of kernels, with releases as distributions and Android spell them."""

from __future__ import annotations

import random

import pytest

from android_suite.history.kernels import order_release, read_build_date, shorten_release

IN_ORDER = [
    "mykernel", "4.19.0", "5.4.42-android12-0-00544-ged21d463f856", "5.15.149-android13-8-ab1", "6.1.57-android14-9-g1",
    "6.1.57-android14-11-g1", "6.9.3", "6.16.12+deb13-cloud-arm64", "6.17.0-rc1", "6.17-rc3", "6.17.0-rc10", "6.17.0",
    "6.17.1", "6.17.13+deb13-cloud-arm64", "6.100.1",
]  # fmt: skip


def test_releases_sort_as_versions() -> None:
    shuffled = list(IN_ORDER)
    random.Random(4).shuffle(shuffled)
    assert sorted(shuffled, key=order_release) == IN_ORDER


def test_hostile_releases_sort_too() -> None:
    texts = ["", "9" * 5000, "6." + "1." * 3000, "\x00<script>", "6.1-rc" + "9" * 99, "٣.٤"]
    assert len(sorted(texts, key=order_release)) == len(texts)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("#1 SMP PREEMPT Debian 6.17.13-1~bpo13+1 (2026-01-09)", "2026-01-09"),
        ("#2 SMP PREEMPT Fri Jan  9 10:11:12 UTC 2026", "2026-01-09T10:11:12+00:00"),
        ("#1 SMP PREEMPT Thu Jan  1 00:00:00 UTC 1970", None),
        ("#1", None),
        ("#1 Fri Foo 99 10:11:12 UTC 2026", None),
    ],
)
def test_build_dates(version: str, expected: str | None) -> None:
    assert read_build_date(version) == expected


def test_short_names() -> None:
    assert shorten_release("6.17.13+deb13-cloud-arm64") == "6.17.13"
    assert shorten_release("6.17-rc3-foo") == "6.17-rc3"
    assert shorten_release("custom") == "custom"
