"""Nothing leaves the machine: the app and the command line where there is no way out, and under a proxy that listens.

A child that ignores the proxy variables would be missed by the second test and caught by the first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect
from real_server import PROJECT, RealServer, served

from diag.ui.shell.pages import PAGES

CASE = "shard=demo/shards/stdlib&checkpoint=demo/checkpoints/h4d-zero-down-proj&window=2x2x64"
TEST = (
    *("test", "--shard", "data/demo/shards/stdlib", "--checkpoint", "data/demo/checkpoints/h4d-zero-down-proj"),
    *("--batches", "2", "--batch-size", "2", "--seq-len", "64"),
)
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
# A namespace of its own with the loopback up and no route: `unshare` needs no root where user namespaces are allowed.
ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


def _no_namespace() -> str:
    """Why there is none here; empty when there is."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare or ip is not installed"
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"network namespaces are not permitted: {tried.stderr.strip()}"


# Runs inside the namespace: nobody outside can reach a server there.
ASK = """
import signal, socket, subprocess, sys, time, urllib.request
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
    sys.exit("there is a way out")
except OSError:
    pass
app = subprocess.Popen([sys.executable, "-m", "diag", "app", "--port", "8599"])
try:
    for _ in range(240):
        try:
            health = urllib.request.urlopen("http://127.0.0.1:8599/healthz", timeout=1).read()
            break
        except OSError:
            time.sleep(0.5)
    page = urllib.request.urlopen("http://127.0.0.1:8599/case", timeout=30).read().decode()
    foreign = socket.create_connection(("127.0.0.1", 8599))
    foreign.sendall(b"GET /_stcore/stream HTTP/1.1\\r\\nHost: 127.0.0.1:8599\\r\\nOrigin: http://evil.example\\r\\n\\r\\n")
    print(health.decode(), "<title>" in page, foreign.recv(12).decode())
finally:
    app.send_signal(signal.SIGTERM)
    app.wait(20)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Without the switches that the tests set for themselves."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
    return {**kept, "SUBRANDOM_EVIDENCE": str(tmp_path / "evidence"), "SUBRANDOM_CACHE": str(tmp_path / "cache")}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([sys.executable, "-c", ASK], ['"status":"ok"', "True HTTP/1.1 403"]),
        pytest.param([sys.executable, "-m", "diag", *TEST], ["H4D"], marks=pytest.mark.thorough),
    ],
    ids=["app", "command line"],
)
def test_no_way_out_is_needed(demo: Path, environment: dict[str, str], command: list[str], says: list[str]) -> None:
    reason = _no_namespace()
    if reason:
        pytest.skip(reason)
    done = subprocess.run(
        [*ALONE, *command], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert all(text in done.stdout for text in says), done.stdout + done.stderr


class _Listener(BaseHTTPRequestHandler):
    """A proxy that refuses and remembers."""

    def _remember(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")  # type: ignore[attr-defined]
        self.send_error(502)

    do_GET = do_POST = do_HEAD = do_PUT = do_CONNECT = do_OPTIONS = _remember  # noqa: N815  the names are http.server's

    def log_message(self, format: str, *args: object) -> None:
        """Not on the terminal."""


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the requests that it was asked for."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    proxy.asked = []  # type: ignore[attr-defined]
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}", proxy.asked  # type: ignore[attr-defined]
    finally:
        proxy.shutdown()


def _through(proxy: str) -> dict[str, str]:
    """Everything but this machine goes through the proxy."""
    both = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy)
    return {**both, **{k.lower(): v for k, v in both.items()}, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def test_the_listening_proxy_hears() -> None:
    """What the next test relies on."""
    with listening() as (proxy, asked):
        ask = "import requests; requests.get('http://checkip.amazonaws.com'); requests.get('https://x.example')"
        subprocess.run(
            [sys.executable, "-c", ask], env={**os.environ, **_through(proxy)}, capture_output=True, check=False
        )
        assert asked[0] == "GET http://checkip.amazonaws.com/"


@pytest.fixture(scope="module")
def behind(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealServer, list[str]]]:
    """A server behind the proxy, and what the proxy was asked for by all tests so far."""
    folder = tmp_path_factory.mktemp("offline")
    with listening() as (proxy, asked), served(folder, **_through(proxy)) as server:
        yield server, asked


@pytest.fixture
def visited(
    browser: Browser, behind: tuple[RealServer, list[str]]
) -> Iterator[tuple[RealServer, Page, list[str], list[str]]]:
    """The server and a browser: what the proxy was asked for, and what the page asked of others.

    The browser is not behind it: it asks its maker about forms, which no page can make it do or not do.
    """
    server, asked = behind
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    foreign: list[str] = []
    ours = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(ours) else foreign.append(r.url))
    page.on("websocket", lambda w: None if w.url.startswith(ours) else foreign.append(w.url))
    yield server, page, asked, foreign
    context.close()


def _settle(page: Page) -> None:
    page.locator(SETTLED).wait_for(state="attached")


def test_pages_and_a_job_ask_nobody(visited: tuple[RealServer, Page, list[str], list[str]]) -> None:
    """Every page in a browser, and a whole test run in the worker."""
    server, page, asked, foreign = visited
    for name in PAGES:
        page.goto(f"{server.url}/{name}?{CASE}")
        _settle(page)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{server.url}/hypotheses?{CASE}")
    card = page.locator(".st-key-card-H4D")
    card.get_by_role("button", name="Test H4D live").click()
    expect(card.get_by_text("What was tried: repairs")).to_be_visible(timeout=100_000)
    assert (asked, foreign) == ([], [])


def test_a_page_of_ours_can_only_speak_to_us(visited: tuple[RealServer, Page, list[str], list[str]]) -> None:
    """Chromium takes `connect-src 'self'` to cover the page's own websocket and no other: what markup that got into a
    page could do. The listener is on another port of this machine, so only the policy is in the way."""
    server, page, asked, _ = visited
    page.goto(f"{server.url}/case?{CASE}")
    _settle(page)
    with listening() as (other, heard):
        blocked = page.evaluate(
            """async (other) => {
                const blocked = [];
                document.addEventListener('securitypolicyviolation', e => blocked.push(e.effectiveDirective));
                try { new WebSocket(other.replace('http', 'ws') + '/ws') } catch (e) { }
                try { await fetch(other + '/fetch') } catch (e) { }
                new Image().src = other + '/image';
                document.head.append(Object.assign(document.createElement('base'), {href: other}));
                const form = Object.assign(document.createElement('form'), {action: other + '/form', method: 'post'});
                document.body.append(form);
                form.submit();
                await new Promise(done => setTimeout(done, 1000));
                return blocked.sort();
            }""",
            other,
        )
        assert blocked == ["base-uri", "connect-src", "connect-src", "form-action", "img-src"]
        assert heard == [] and asked == []


def test_a_page_elsewhere_gets_nothing(visited: tuple[RealServer, Page, list[str], list[str]]) -> None:
    """A web page on another port of this machine opens our websocket ten times, reads, posts and shows an image: all
    refused, at once, and nobody is asked for this machine's address."""
    server, page, asked, _ = visited
    with listening() as (other, _):
        page.goto(f"{other}/page")
        got = page.evaluate(
            """async (ours) => {
                const socket = () => new Promise(done => {
                    const s = new WebSocket(ours.replace('http', 'ws') + '/_stcore/stream', ['streamlit']);
                    s.onopen = () => done('open'); s.onerror = () => done('refused');
                });
                const read = (path, how) => fetch(ours + path, how).then(a => a.status + a.type, () => 'refused');
                const image = new Promise(done => {
                    const i = new Image(); i.onload = () => done('shown'); i.onerror = () => done('refused');
                    i.src = ours + '/favicon.png';
                });
                return [
                    ...await Promise.all([...Array(10)].map(socket)),
                    await read('/healthz'), await read('/healthz', {mode: 'no-cors'}),
                    await read('/_stcore/upload_file/a/b', {method: 'POST', mode: 'no-cors', body: 'x'}),
                    await image,
                ];
            }""",
            server.url,
        )
    assert got == ["refused"] * 14
    begun = time.monotonic()
    assert json.loads(server.ask("/healthz").body)["status"] == "ok"
    assert time.monotonic() - begun < 2 and asked == []
