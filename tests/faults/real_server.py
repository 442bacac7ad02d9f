"""A real server in a process of its own, and sockets that say to it what no browser would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: status, headers with lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class RealServer:
    """Where it listens, which process it is, and what it has written to its log so far."""

    port: int
    pid: int
    log: Path

    @property
    def url(self) -> str:
        """Its address on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout: float = 60) -> socket.socket:
        """A connection that nothing was said on yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, path: str, *lines: str, method: str = "GET", host: str | None = "", body: str = "") -> Answer:
        """Send a request with these header lines; `host` "" is the right one, None sends none."""
        named = [] if host is None else [f"Host: {host or f'127.0.0.1:{self.port}'}"]
        with self.connect() as connection:
            said = "\r\n".join([f"{method} {path} HTTP/1.1", *named, *lines, "Connection: close", "", body])
            connection.sendall(said.encode("latin-1"))
            return read_answer(connection)

    def websocket(self, *lines: str, host: str = "") -> tuple[Answer, socket.socket]:
        """Open the socket that Streamlit's pages open. The caller closes it."""
        connection = self.connect()
        handshake = (
            "GET /_stcore/stream HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{self.port}'}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol: streamlit",
            *lines,
            "",
            "",
        )
        connection.sendall("\r\n".join(handshake).encode("latin-1"))
        return read_answer(connection, upgraded=True), connection


def read_answer(connection: socket.socket, upgraded: bool = False) -> Answer:
    """Read until the other side closes; `upgraded`: or until the end of a 101's headers."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
        if upgraded and data.startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in data:
            break
    head, _, body = data.decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Answer(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, body)


@contextmanager
def served(folder: Path, within: Sequence[str] = (), wait: bool = True, **env: str) -> Iterator[RealServer]:
    """`subrandom app` on a free port, its records and cache under `folder`. `within` is a command that starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        "SUBRANDOM_EVIDENCE": str(folder / "evidence"),
        "SUBRANDOM_CACHE": str(folder / "cache"),
        "SUBRANDOM_CONFIG": "",
        "SUBRANDOM_ROOTS": "",
        "SUBRANDOM_SPARE": "false",
    }
    # What the tests set for themselves must not hide what the program forgets to set.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "diag", "app", "--port", str(port)],
            cwd=PROJECT,
            env={**inherited, **places, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = RealServer(port, process.pid, log)
    try:
        if wait:
            _wait(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: RealServer) -> None:
    for _ in range(240):
        with suppress(OSError), urllib.request.urlopen(f"{server.url}/healthz", timeout=1) as answer:
            if answer.status == 200:
                return
        time.sleep(0.5)
    raise AssertionError(f"The server did not answer within two minutes: {server.log.read_text()[-2000:]}")
