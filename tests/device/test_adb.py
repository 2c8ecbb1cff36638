"""The adb transport against a server in this process that speaks adb's protocol, and misbehaves on demand."""

from __future__ import annotations

import os
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from android_suite.config import Config
from android_suite.device.adb import AdbTransport, start_server
from android_suite.device.connect import connect, list_devices
from android_suite.device.shell_protocol import CLOSE_STDIN, EXIT, STDERR, STDIN, STDOUT, PacketReader, encode_packet
from android_suite.device.transport import Stream
from android_suite.errors import AdbError, AdbTimeout, DeviceLost, LabError, NotReady

FILES: dict[str, bytes] = {}


class Handler(socketserver.BaseRequestHandler):
    """One connection: a service of the server, or a transport and then a service of the device."""

    def handle(self) -> None:
        features = self.server.features  # type: ignore[attr-defined]
        while (service := self.take_service()) is not None:
            if service == "host:version":
                self.request.sendall(b"OKAY" + self.block("0029"))
                return
            if service == "host:devices-l":
                self.request.sendall(b"OKAY" + self.block("one  device model:m\ntwo  offline\n"))
                return
            if service.endswith(":features"):
                self.request.sendall(b"OKAY" + self.block(features))
                return
            if service == "host:transport:one":
                self.request.sendall(b"OKAY")
            elif service.startswith("host:transport:"):
                self.fail("device 'gone' not found")
                return
            elif service.startswith("shell,v2,raw:"):
                self.request.sendall(b"OKAY")
                self.run_shell(service.removeprefix("shell,v2,raw:"))
                return
            elif service.startswith("exec:"):
                self.request.sendall(b"OKAY")
                done = subprocess.run(["sh", "-c", service.removeprefix("exec:")], capture_output=True, check=False)
                self.request.sendall(done.stdout)
                return
            elif service == "sync:":
                self.request.sendall(b"OKAY")
                self.sync()
                return
            else:
                self.fail("unknown service")
                return

    def take_service(self) -> str | None:
        head = self.request.recv(4, socket.MSG_WAITALL)
        return self.request.recv(int(head, 16), socket.MSG_WAITALL).decode() if len(head) == 4 else None

    @staticmethod
    def block(text: str) -> bytes:
        return f"{len(text):04x}{text}".encode()

    def fail(self, text: str) -> None:
        self.request.sendall(b"FAIL" + self.block(text))

    def run_shell(self, line: str) -> None:
        if line == "die":
            self.request.sendall(encode_packet(STDOUT, b"half"))
            return
        if line == "hang":
            time.sleep(120)
            return
        if line == "babble":
            self.request.sendall(b"\xffnot a packet")
            return
        if line == "follow":
            for word in (b"a", b"b"):
                self.request.sendall(encode_packet(STDOUT, word))
                time.sleep(0.02)
        reader, stdin, open_ = PacketReader(), b"", True
        while open_:
            for kind, payload in reader.feed(self.request.recv(65536)):
                stdin += payload if kind == STDIN else b""
                open_ = open_ and kind != CLOSE_STDIN
        if line == "follow":
            self.request.sendall(encode_packet(EXIT, b"\0"))
            return
        done = subprocess.run(["sh", "-c", line], input=stdin, capture_output=True, check=False)
        answer = encode_packet(STDERR, done.stderr) + encode_packet(STDOUT, done.stdout)
        answer += encode_packet(EXIT, bytes([done.returncode]))
        for at in range(0, len(answer), 7000):  # packets come in whatever pieces TCP likes
            self.request.sendall(answer[at : at + 7000])

    def sync(self) -> None:
        kind, size = struct.unpack("<4sI", self.request.recv(8, socket.MSG_WAITALL))
        name = self.request.recv(size, socket.MSG_WAITALL).decode()
        if kind == b"RECV":
            if name not in FILES:
                self.request.sendall(b"FAIL" + struct.pack("<I", 7) + b"no file")
                return
            for at in range(0, len(FILES[name]), 1 << 16):
                piece = FILES[name][at : at + (1 << 16)]
                self.request.sendall(b"DATA" + struct.pack("<I", len(piece)) + piece)
            self.request.sendall(b"DONE" + struct.pack("<I", 0))
            return
        data = b""
        while True:
            kind, size = struct.unpack("<4sI", self.request.recv(8, socket.MSG_WAITALL))
            if kind == b"DONE":
                break
            data += self.request.recv(size, socket.MSG_WAITALL)
        path, _, mode = name.rpartition(",")
        if path.startswith("/full"):
            self.request.sendall(b"FAIL" + struct.pack("<I", 13) + b"no space left")
            return
        FILES[path] = data
        assert int(mode) & 0o777
        self.request.sendall(b"OKAY" + struct.pack("<I", 0))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    features = "cmd,shell_v2,stat_v2"


@pytest.fixture
def server() -> Iterator[Server]:
    FILES.clear()
    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


def settings_of(server: Server) -> Config:
    return Config(adb_server_port=server.server_address[1])


@pytest.fixture
def transport(server: Server) -> AdbTransport:
    return connect(settings_of(server), "one")


def test_streams_and_status_are_kept_apart(transport: AdbTransport) -> None:
    done = transport.run("cat; echo err >&2; exit 3", stdin=b"x" * 100_000)
    assert (len(done.stdout), done.stderr, done.status) == (100_000, b"err\n", 3)
    assert transport.run(["printf", "%s", "a b", "c'd"]).stdout == b"a bc'd"


def test_a_device_without_shell_v2_still_tells_its_status(server: Server) -> None:
    server.features = "cmd"
    transport = connect(settings_of(server), "one")
    assert transport.run("echo out; exit 7").status == 7
    assert transport.run(["printf", "no newline"]).stdout == b"no newline"
    with pytest.raises(AdbError, match="no shell_v2"):
        transport.stream("x")


def test_a_command_that_does_not_end_is_a_timeout_and_nothing_worse(transport: AdbTransport) -> None:
    began = time.monotonic()
    with pytest.raises(AdbTimeout, match=r"`hang` did not end in 0.2 s"):
        transport.run("hang", timeout=0.2)
    assert time.monotonic() - began < 60
    assert transport.run("echo on").stdout == b"on\n"


@pytest.mark.parametrize("line", ["die", "babble"])
def test_a_loss_is_sticky(transport: AdbTransport, line: str) -> None:
    with pytest.raises(DeviceLost, match="one went away"):
        transport.run(line)
    with pytest.raises(DeviceLost):
        transport.run("echo never sent")
    with pytest.raises(DeviceLost):
        transport.pull("/x")


def test_an_unknown_device_is_lost(server: Server) -> None:
    with pytest.raises(DeviceLost, match="not found"):
        AdbTransport(start_server(settings_of(server)), "gone", features=frozenset({"shell_v2"})).run("id")


def test_files_of_any_size(transport: AdbTransport) -> None:
    data = os.urandom(200_001)
    transport.push(data, "/data/x", mode=0o755)
    assert transport.pull("/data/x") == data
    with pytest.raises(AdbError, match=r"pull /absent was refused \(no file\)"):
        transport.pull("/absent")
    with pytest.raises(AdbError, match="no space left"):
        transport.push(b"x", "/full/x")


def read_all(stream: Stream, size: int) -> bytes:
    """So many bytes, in whatever pieces they come."""
    data = b""
    while len(data) < size:
        data += stream.read(timeout=60)
    return data


def test_a_stream_comes_as_it_is_written_and_ends_on_request(transport: AdbTransport) -> None:
    with transport.stream("follow") as stream:
        assert read_all(stream, 2) == b"ab"
        with pytest.raises(AdbTimeout):
            stream.read(timeout=0.05)
        assert stream.status is None
        stream.close_stdin()
        assert stream.read(timeout=60) == b""
        assert stream.status == 0


def test_closing_a_stream_ends_its_reader_without_a_loss(transport: AdbTransport) -> None:
    with transport.stream("follow") as stream:
        assert read_all(stream, 2) == b"ab"
        closer = threading.Timer(0.05, stream.close)
        closer.start()
        assert stream.read(timeout=60) == b""
        closer.join()
    assert transport.run("echo alive").stdout == b"alive\n"


def test_a_command_too_long_for_adb_is_told(transport: AdbTransport) -> None:
    with pytest.raises(AdbError, match="does not fit"):
        transport.run("x" * 70_000)


def test_who_is_there(server: Server) -> None:
    assert [(device.serial, device.state) for device in list_devices(settings_of(server))] == [
        ("one", "device"),
        ("two", "offline"),
    ]
    assert connect(settings_of(server)).serial == "one"
    with pytest.raises(NotReady, match=r"two is offline; .*adb reconnect"):
        connect(settings_of(server), "two", timeout=0)
    with pytest.raises(NotReady, match="three is absent"):
        connect(settings_of(server), "three")


def test_a_server_elsewhere_is_not_started_from_here() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.2", 0))
        config = Config(adb_server_host="127.0.0.2", adb_server_port=closed.getsockname()[1])
        with pytest.raises(LabError, match=r"no adb server answers at 127\.0\.0\.2"):
            list_devices(config)


def test_no_adb_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        config = Config(adb_server_port=closed.getsockname()[1])
        monkeypatch.setenv("PATH", "/nonexistent")
        with pytest.raises(LabError, match="make setup"):
            list_devices(config)
