"""`android-suite restore`: puts back what a phone had before a plan flashed it."""

from __future__ import annotations

import click

from android_suite.boot.fastboot import restore_phone
from android_suite.boot.kept import describe_kept, list_kept
from android_suite.cli.output import print_json, print_text, say
from android_suite.cli.settings import read_settings
from android_suite.errors import UsageError


@click.command("restore")
@click.option("--serial", help="The phone (default: the only one with something to put back).")
@click.option("--list", "only_list", is_flag=True, help="Only list the phones that have something to put back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(serial: str | None, only_list: bool, as_json: bool) -> None:
    """Put back what a phone had before `qualify` booted it: partitions, slot and kernel.

    `qualify` does this itself at its end. This is for a run that was killed, or a phone that did not come up then.
    """
    config = read_settings()
    kept = list_kept(config)
    chosen = [one for one in kept if serial in (None, one.serial)]
    if not only_list and len(chosen) > 1:
        raise UsageError(f"several phones have something to put back; name one: {', '.join(k.serial for k in chosen)}.")
    done = [] if only_list else [one for one in chosen if restore_phone(config, one.serial, say=say)]
    if as_json:
        left = [describe_kept(one) for one in list_kept(config)]
        document = {"schema": "android-suite/restore", "version": 1}
        print_json({**document, "restored": [one.serial for one in done], "left": left})
    elif only_list:
        for one in chosen:
            print_text(f"{one.serial}\t{', '.join(one.changed) or 'booted from memory'}\n")
    elif not done:
        say(f"nothing is to be put back{f' on {serial}' if serial else ''}")
