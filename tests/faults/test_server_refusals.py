"""Who is answered, with which headers, and how long a request may take to be said: asked of a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn
from real_server import Answer, RealServer, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from diag.ui.shell import deadlines
from diag.ui.shell.deadlines import HEADERS_SECONDS
from diag.ui.shell.headers import HEADERS
from diag.ui.shell.server import middleware

BASE = "https://gpu-box.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server that people open under another name too."""
    with served(tmp_path_factory.mktemp("refusals"), SUBRANDOM_BASE_URL=BASE) as running:
        yield running


def assert_headers(answer: Answer) -> None:
    """Every header that belongs to every answer, with its whole value."""
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_the_policy_names_no_foreign_place() -> None:
    policy = dict(part.split(maxsplit=1) for part in HEADERS["content-security-policy"].split("; "))
    assert policy["connect-src"] == "'self' data:"
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors", "default-src")} == {"'self'"}
    words = {word for sources in policy.values() for word in sources.split()}
    assert words <= {"'self'", "'none'", "data:", "blob:", "'unsafe-inline'", "'unsafe-eval'", "'wasm-unsafe-eval'"}
    assert HEADERS["cross-origin-opener-policy"] == HEADERS["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host",
    [
        *("user@127.0.0.1", "user:word@127.0.0.1:80", "@127.0.0.1", "evil.example", "127.0.0.1.evil.example"),
        *(
            "127.0.0.1:",
            "127.0.0.1:abc",
            "127.0.0.1:99999",
            "127.0.0.1/x",
            "127.0.0.1#x",
            "127.0.0.1?x",
            "127.0.0.1\\x",
        ),
        *(
            "[::1",
            "[...]",
            "::1",
            "localhost.",
            "127.1",
            "127.0.0.1, evil.example",
            "127.0.0.1 evil",
            "gpu-box.example.evil",
        ),
    ],
)
def test_a_host_that_is_not_ours_is_refused(server: RealServer, host: str) -> None:
    """For pages and websockets alike."""
    for answer in (server.ask("/", host=host), _close(server.websocket(host=host))):
        assert answer.status == 421 and "SUBRANDOM_BASE_URL" in answer.body
        assert_headers(answer)


def test_a_request_with_no_host_or_two_is_no_request(server: RealServer) -> None:
    for answer in (server.ask("/", host=None), server.ask("/", "Host: evil.example")):
        assert answer.status == 400
        assert_headers(answer)


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:1", "[::1]:8501", "gpu-box.example", "gpu-box.example:443"])
def test_our_own_hosts_are_answered(server: RealServer, host: str) -> None:
    assert server.ask("/healthz", host=host).status == 200


FOREIGN = [
    *("https://evil.example", "http://127.0.0.1:9999", "http://localhost:{port}", "null", "", "file://"),
    *("http://127.0.0.1:{port}.evil.example", "http://user@127.0.0.1:{port}", "127.0.0.1:{port}", "http://127.0.0.1"),
    *("chrome-extension://127.0.0.1:{port}", "http://gpu-box.example", "https://gpu-box.example:8443"),
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_origin_is_refused(server: RealServer, origin: str) -> None:
    """A websocket, a request that changes something, its preflight, and a plain read."""
    line = f"Origin: {origin.format(port=server.port)}"
    answers = [_close(server.websocket(line))]
    for method, path in (("GET", "/healthz"), ("GET", "/_stcore/host-config"), ("OPTIONS", "/_stcore/upload_file/a/b")):
        answers.append(server.ask(path, line, method=method))
    answers.append(server.ask("/_stcore/upload_file/a/b", line, "Content-Length: 0", method="PUT"))
    for answer in answers:
        assert answer.status == 403 and "another origin" in answer.body
        assert_headers(answer)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:{port}", ""),
        ("http://localhost:9000", "localhost:9000"),  # a tunnel
        ("https://gpu-box.example", "gpu-box.example"),  # a proxy that ends TLS
        ("https://gpu-box.example", "127.0.0.1:{port}"),  # one that gives its own name for the server
        (None, ""),  # no browser
    ],
)
def test_our_own_pages_reach_their_websocket(server: RealServer, origin: str | None, host: str) -> None:
    lines = [] if origin is None else [f"Origin: {origin.format(port=server.port)}"]
    assert _close(server.websocket(*lines, host=host.format(port=server.port))).status == 101


def test_foreign_websockets_hold_nobody_up(server: RealServer) -> None:
    """Ten of them took twenty seconds in which nothing else was answered."""
    begun = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: _close(server.websocket("Origin: https://evil.example")), range(10)))
    assert server.ask("/healthz").status == 200
    assert time.monotonic() - begun < 5
    log = server.log.read_text()
    assert "external IP" not in log and "Rejecting WebSocket" not in log  # the framework never saw them


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/healthz", 200), ("/r/0123456789abcdef", 404), ("/_stcore/metrics", 404)],
)
def test_every_answer_has_the_headers(server: RealServer, path: str, status: int) -> None:
    answer = server.ask(path)
    assert answer.status == status
    assert_headers(answer)


def test_metrics_answer_when_they_are_asked_for(tmp_path: Path) -> None:
    with served(tmp_path, SUBRANDOM_METRICS="1") as running:
        answer = running.ask("/_stcore/metrics")
        assert answer.status == 200 and "# EOF" in answer.body


BEGINNINGS = {
    "nothing": b"",
    "headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "second request": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HTTP/1.1\r\n",  # on one connection
    "handshake": b"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n",
}


def test_a_request_that_is_never_said_to_the_end_is_ended(server: RealServer) -> None:
    """However slowly it goes on: a byte a second does not buy time. All at once: each takes ten seconds."""

    def seconds(beginning: bytes) -> float:
        begun = time.monotonic()
        with server.connect(timeout=1) as connection, suppress(ConnectionError):
            connection.sendall(beginning)
            while time.monotonic() - begun < 3 * HEADERS_SECONDS:
                try:
                    if not connection.recv(65536):
                        break
                except TimeoutError:
                    connection.sendall(b"a" if beginning else b"")
        return time.monotonic() - begun

    with ThreadPoolExecutor(len(BEGINNINGS)) as pool:
        took = dict(zip(BEGINNINGS, pool.map(seconds, BEGINNINGS.values()), strict=True))
    assert all(HEADERS_SECONDS - 1 < each < 2 * HEADERS_SECONDS for each in took.values()), took


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealServer]:
    """The same HTTP server and guard with deadlines of two seconds, before an app that waits for bodies and keeps
    websockets: Streamlit waits for a body only within a session."""
    monkeypatch.setattr(deadlines, "HEADERS_SECONDS", 2.0)
    monkeypatch.setattr(deadlines, "BODY_SECONDS", 2.0)

    async def reads(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    async def listens(socket: WebSocket) -> None:
        await socket.accept(subprotocol="streamlit")
        with suppress(WebSocketDisconnect):
            await socket.receive()

    routes = [WebSocketRoute("/_stcore/stream", listens), Route("/", reads, methods=["PUT"])]
    running = uvicorn.Server(uvicorn.Config(Starlette(routes=routes, middleware=middleware()), port=0))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.05)
    yield RealServer(running.servers[0].sockets[0].getsockname()[1], 0, Path())
    running.should_exit = True
    thread.join()


def test_a_body_that_never_comes_is_ended(impatient: RealServer) -> None:
    assert impatient.ask("/", "Content-Length: 3", method="PUT", body="abc").body == "abc"
    begun = time.monotonic()
    with impatient.connect(timeout=30) as connection, suppress(ConnectionError):
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc")
        while connection.recv(65536):
            pass
    assert 1.5 < time.monotonic() - begun < 10


def test_an_open_websocket_is_left_alone(impatient: RealServer) -> None:
    """The deadlines are for requests; a page that is only looked at keeps its connection beyond both."""
    answer, connection = impatient.websocket(f"Origin: {impatient.url}")
    with connection:
        assert answer.status == 101
        connection.settimeout(2 * (deadlines.HEADERS_SECONDS + deadlines.BODY_SECONDS))
        with pytest.raises(TimeoutError):
            connection.recv(65536)


def _close(opened: tuple[Answer, object]) -> Answer:
    answer, connection = opened
    connection.close()  # type: ignore[attr-defined]
    return answer
