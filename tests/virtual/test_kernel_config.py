from __future__ import annotations

import pytest

from android_suite.errors import MachineError, UsageError
from android_suite.virtual.kernel_config import CONFIGURATIONS, check_config, find_refused, read_options
from android_suite.virtual.kernels import ARCHES


def test_the_later_line_counts_and_what_a_source_does_not_know_is_refused() -> None:
    wanted = "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_A is not set\nCONFIG_C=20\n# CONFIG_D is not set\nCONFIG_E=y\n"
    final = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=5\n"
    assert find_refused(wanted, final) == ("CONFIG_C=20", "CONFIG_E=y")
    assert find_refused(wanted, final + "CONFIG_D=y\nCONFIG_E=y\n") == ("CONFIG_C=20", "# CONFIG_D is not set")


def test_an_option_that_a_release_renamed_is_taken_by_either_name() -> None:
    lines = [line for line in read_options("arm64").decode().splitlines() if not line.startswith("#")]
    older = "\n".join(lines)  # there PROC_SYSCTL selects SYSCTL
    newer = older.replace("CONFIG_PROC_SYSCTL=y\n", "")
    assert find_refused(older, older) == find_refused(older, newer) == ()
    assert find_refused(older, newer.replace("CONFIG_SYSCTL=y\n", "")) == ("CONFIG_PROC_SYSCTL=y", "CONFIG_SYSCTL=y")


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_a_source_that_takes_nothing_is_refused(arch: str, configuration: str) -> None:
    with pytest.raises(
        MachineError, match=r"cannot be configured with CONFIG_FTRACE_SYSCALLS=y, .*another linux-source"
    ):
        check_config(read_options(arch, configuration).decode(), "")


def test_an_unknown_configuration() -> None:
    with pytest.raises(UsageError, match="use one of lab, gki, debug"):
        read_options("arm64", "phone")
