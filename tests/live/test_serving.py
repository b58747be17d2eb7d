"""The command on a real port: its first line, what only raw sockets can send, and the end by Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from covey.errors import InvalidValueError
from covey.gallery.live import Server, bind_socket
from covey.store import Project

SECONDS = 60


class Running(NamedTuple):
    """A server that was started by the command."""

    process: subprocess.Popen[str]
    url: str
    port: int

    @property
    def prefix(self) -> str:
        return urlsplit(self.url).path

    def ask(self, request: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            connection.sendall(request)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


def start(root: Path, *options: str) -> Running:
    command = [sys.executable, "-m", "covey", "serve", str(root), "--port", "0", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    running = Running(process, told["url"], told["port"])
    # Nothing to wait for: the port listens before the line is printed.
    assert status_of(running.ask(request(running, "about"))) == 200
    return running


def request(running: Running, path: str, *headers: str, host: str = "") -> bytes:
    lines = [f"GET {running.prefix}{path} HTTP/1.1", host or f"Host: 127.0.0.1:{running.port}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


@pytest.fixture(scope="module")
def running(template: Path) -> Iterator[Running]:
    running = start(template / "trip.covey")
    yield running
    running.process.kill()
    running.process.communicate()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_raw_requests(running: Running) -> None:
    good, evil = f"Host: 127.0.0.1:{running.port}", f"Host: evil.example:{running.port}"
    assert status_of(running.ask(request(running, "", host=good))) == 200
    assert status_of(running.ask(request(running, "", host=evil))) == 421
    assert status_of(running.ask(request(running, "", evil, host=good))) in (400, 421)
    assert status_of(running.ask(request(running, "", good, host=good))) in (400, 421)
    assert status_of(running.ask(request(running, "", host="X: y"))) in (400, 421)
    for path in (
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "pictures/%2e%2e/x",
        "pictures//etc/passwd",
        "%00",
        "\\..\\x",
    ):
        assert status_of(running.ask(request(running, path))) in (400, 404), path
    absolute = (
        f"GET http://evil.example{running.prefix} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode()
    )
    assert status_of(running.ask(absolute)) in (400, 404, 421)
    assert b"trip" not in running.ask(absolute)


def test_raw_bodies(running: Running) -> None:
    def post(length: str, body: bytes) -> int:
        head = f"POST {running.prefix}edits HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nConnection: close\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        return status_of(running.ask((head + kind).encode() + body))

    assert post("99999999999", b"{}") == 413
    assert post("-1", b"{}") == 400
    assert post("2", b"{}") == 400
    # Two lengths, a way to smuggle a second request in.
    twice = f"POST {running.prefix}edits HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nContent-Length: 2\r\n"
    assert status_of(running.ask((twice + "Content-Length: 40\r\n\r\n{}").encode())) == 400
    upgrade = request(running, "", "Upgrade: websocket", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13")
    assert b" 101 " not in running.ask(upgrade).partition(b"\r\n")[0]


def test_only_this_machine_can_connect(running: Running) -> None:
    names = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in names - {"127.0.0.1"}:
        if address.startswith("127."):
            continue
        with pytest.raises(OSError, match=r".*"):
            socket.create_connection((address, running.port), timeout=2)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(template: Path, number: signal.Signals) -> None:
    running = start(template / "trip.covey", "--read-only")
    assert b'name="uuid"' not in running.ask(request(running, "clusters/0"))
    running.process.send_signal(number)
    out, err = running.process.communicate(timeout=SECONDS)
    assert (running.process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken() -> None:
    with bind_socket(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InvalidValueError, match=rf"Port {port} is not free"):
            bind_socket(port)
        assert first.getsockname()[0] == "127.0.0.1"


def test_the_redirect_file_is_for_its_owner(template: Path) -> None:
    with bind_socket(0) as listener, Server(template / "trip.covey", listener).redirect_file() as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert "url=http://127.0.0.1:" in path.read_text(encoding="utf-8")
    assert not path.exists()


def test_a_project_without_a_run(tmp_path: Path) -> None:
    with Project.open(tmp_path / "empty.covey", create=True):
        pass
    command = [sys.executable, "-m", "covey", "serve", str(tmp_path / "empty.covey")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 1
    assert "no run" in done.stderr or "partition" in done.stderr


def test_torch_stays_out() -> None:
    script = "import sys, covey.gallery.live; print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
