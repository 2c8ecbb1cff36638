"""`android-suite lab serve`: the page of a lab."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from android_suite.cli.output import say
from android_suite.cli.settings import read_settings
from android_suite.errors import LabError, SuiteError, Unsupported, UsageError

if TYPE_CHECKING:
    from android_suite.config import Config
    from android_suite.lab_page.app import Devices
    from android_suite.model.lab_page import LabDevice

_NULL_SERIES = 100  # a page should come in seconds; the command takes more
_MOST_READERS = 256  # connections; more are answered with 503, so that nobody can use up the host's
_file = click.Path(path_type=Path, dir_okay=False)


@click.command("serve")
@click.option(
    "--store", type=click.Path(path_type=Path), default=Path(), help="Folder with campaigns and runs; here by default."
)
@click.option("--lab", type=_file, help="The lab's file; lab.toml in this folder if there is one, else what adb lists.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one.")
@click.option(
    "--token-file", type=_file, help="File of the token that readers need; made if absent. Needed beyond loopback."
)
@click.option("--tls-cert", type=_file, help="Certificate (PEM), to serve over TLS.")
@click.option("--tls-key", type=_file, help="Its key (PEM).")
def serve(
    store: Path,
    lab: Path | None,
    host: str,
    port: int,
    token_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> int:
    """Serve a page of devices, campaigns, failures, reports and history. It follows what happens and changes nothing.

    On loopback everybody on this host may read it. Beyond, readers need a token.
    """
    try:
        import uvicorn

        from android_suite.lab_page.access import is_loopback, read_token
        from android_suite.lab_page.app import Hub, make_app
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"the page needs {error.name}, which is not installed; run `python -m pip install 'android-suite[lab]'`."
        ) from None
    if not store.is_dir():
        raise UsageError(
            f"{store} is not a folder; name the folder of your campaigns with --store. A run store behind a URL has no "
            "journals to follow; `android-suite history URL` reads its results."
        )
    if not is_loopback(host) and token_file is None:
        raise UsageError(
            f"{host} can be reached from other hosts, so readers need a token; add --token-file FILE (it is made if absent)."
        )
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("--tls-cert and --tls-key go together; give both or none.")
    token = read_token(token_file) if token_file is not None else None
    config = read_settings()
    devices = _choose_devices(lab, config)
    hub = Hub(store=store.absolute(), devices=devices, history=lambda by: _render_history(store, by))
    app = make_app(hub, token=token, secure=tls_cert is not None)
    listener = _listen(host, port)
    # The log has no addresses that readers asked for: one of them may hold the token.
    try:
        settings = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            limit_concurrency=_MOST_READERS,
            ssl_certfile=str(tls_cert) if tls_cert else None,
            ssl_keyfile=str(tls_key) if tls_key else None,
        )
        settings.load()
    except OSError as error:  # ssl.SSLError is one, too
        listener.close()
        raise UsageError(
            f"the certificate or its key cannot be used ({error}); give PEM files that belong together."
        ) from error
    bound = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    say(f"the lab is at {'https' if tls_cert else 'http'}://{shown}:{bound}/; Ctrl-C ends it")
    if token_file is not None:
        say(f"readers need the token in {token_file}")
    if not is_loopback(host) and tls_cert is None:
        say("anyone on the way can read the token: use --tls-cert and --tls-key, or a tunnel (docs/lab-page.md)")
    uvicorn.Server(settings).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise LabError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port or --host."
        ) from error


def _choose_devices(lab: Path | None, config: Config) -> Devices:
    """What lists the devices: the lab's file, or else the adb server.

    Raises:
        UsageError: the file cannot be read.
        ConfigError: it is invalid.
    """
    file = lab if lab is not None else Path("lab.toml")
    if lab is None and not file.is_file():
        return lambda: _list_devices(config)
    from android_suite.cli.lab_devices import LabDevices
    from android_suite.lab.inventory import list_lab, read_inventory
    from android_suite.lab.status import read_device

    inventory = read_inventory(file)
    return LabDevices(listing=lambda: list_lab(inventory, config), asking=lambda device: read_device(device, inventory))


def _list_devices(config: Config) -> tuple[tuple[LabDevice, ...], str]:
    """What adb lists; an adb that fails costs the page nothing but this list."""
    from android_suite.device.connect import list_devices
    from android_suite.model.lab_page import LabDevice

    try:
        found = list_devices(config)
    except SuiteError as error:
        return (), str(error)
    return tuple(LabDevice(serial=each.serial, state=each.state, model=each.model or "") for each in found), ""


def _render_history(store: Path, order: str) -> str:
    from android_suite.history.examine import Search, trace_history
    from android_suite.history.runs import read_stored_runs
    from android_suite.report.history import render_history_html
    from android_suite.report.phrases import show_foreign

    try:
        runs, refused = read_stored_runs(store, say=lambda _: None, analyze=False)
        found = trace_history(
            runs,
            refused,
            store=str(store),
            order="date" if order == "date" else "kernel",
            search=Search(null_series=_NULL_SERIES),
        )
    except SuiteError as error:
        from markupsafe import escape

        return f"<!doctype html><title>History</title><p><a href='/'>Lab</a></p><p>{escape(show_foreign(error))}</p>"
    return render_history_html(found, home="/")
