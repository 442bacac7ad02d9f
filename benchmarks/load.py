"""Eight people at once: how long do the first pages and the reruns take, what does the server hold, and does anyone see
anything of another's page?

    python benchmarks/load.py [--viewers 8] [--seconds 300] [--think 2] [--busy 2] [--rounds 3] [--json]

Starts a fresh server with no cache for each round of first pages: all viewers arrive as soon as it answers. The last
one then serves `--seconds` of quiet work, and `--seconds` with `--busy` processes that keep the cores busy. A viewer is
a websocket client that speaks Streamlit's protocol, not a browser: eight Chromiums on the same two cores would measure
themselves. It fetches the page's scripts over HTTP first, as a browser with an empty cache does. An act is a rerun of
the page (a click) or a change of page, `--think` seconds on average after the last answer; its time is from the request
to the end of the script. Each viewer claims a loss of its own, which stands on its pages; another's on them is counted
as a leak. The server's computing time is printed beside the first pages: a busy machine changes it little. Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from browser_server import Server, start_server, stop_server  # noqa: E402

PAGES = ("case", "shard", "weights", "activations", "hypotheses", "evidence", "triage")
CHECKPOINTS = ("h4a-random-head", "h4b-gate-column-major", "h4c-norm-plus-one", "h4d-zero-down-proj", "healthy")
AGAIN = 0.6  # the share of acts that stay on the page
LIMIT = 120.0  # s: what takes longer is counted as that


@dataclass
class Viewer:
    """One person: the pages it opens, what each took in seconds, and what it saw that was not its own."""

    number: int
    server: Server
    think: float
    first: float = 0.0
    reruns: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    leaks: int = 0
    errors: int = 0
    missing: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.number)
        self.page = PAGES[self.number % len(PAGES)]
        self.query = urlencode(
            {
                "shard": "demo/shards/stdlib",
                "checkpoint": f"demo/checkpoints/{CHECKPOINTS[self.number % len(CHECKPOINTS)]}",
                "reference": "demo/checkpoints/healthy",
                "window": "4x4x256",
                "claimed_loss": claim(self.number),
            }
        )

    async def arrive(self) -> ClientConnection:
        """Fetch the scripts, connect and wait for the first page."""
        begun = time.perf_counter()
        await asyncio.to_thread(self._fetch)
        address = self.server.url.replace("http", "ws") + "/_stcore/stream"
        origin = self.server.url
        socket = await connect(address, origin=origin, subprotocols=["streamlit"], max_size=None, open_timeout=LIMIT)
        await self._run(socket)
        self.first = time.perf_counter() - begun
        return socket

    async def stay(self, socket: ClientConnection, until: float) -> None:
        """Look around until then."""
        while time.perf_counter() < until:
            await asyncio.sleep(self.random.uniform(0.5, 1.5) * self.think)
            again = self.random.random() < AGAIN
            if not again:
                self.page = self.random.choice(PAGES)
            begun = time.perf_counter()
            await self._run(socket)
            (self.reruns if again else self.changes).append(time.perf_counter() - begun)

    def _fetch(self) -> None:
        with urllib.request.urlopen(f"{self.server.url}/{self.page}", timeout=LIMIT) as answer:
            page = answer.read().decode()
        for path in re.findall(r'(?:src|href)="\.?/(static/[^"]+)"', page):
            with urllib.request.urlopen(f"{self.server.url}/{path}", timeout=LIMIT) as answer:
                answer.read()

    async def _run(self, socket: ClientConnection) -> None:
        """Ask for the page, and read until its script has ended, reruns that it asks for itself included."""
        ask = BackMsg()
        ask.rerun_script.query_string = self.query
        ask.rerun_script.page_name = self.page
        await socket.send(ask.SerializeToString())
        own = False
        try:
            async with asyncio.timeout(LIMIT):
                while True:
                    data = await socket.recv()
                    assert isinstance(data, bytes)
                    found = {int(n) for n in re.findall(rb"77\.31(\d)", data)}
                    own = own or self.number in found
                    self.leaks += bool(found - {self.number})
                    message = ForwardMsg.FromString(data)
                    kind = message.WhichOneof("type")
                    self.errors += kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception"
                    if kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                        break
        except TimeoutError:
            self.errors += 1
        self.missing += not own


def claim(number: int) -> str:
    """A loss that only this viewer claims."""
    return f"77.31{number}"


def rss_mb(pid: int | None) -> float:
    """Resident memory of a process, MB; Linux."""
    try:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024 / 1e6  # type: ignore[index]
    except OSError:
        return float("nan")


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far, s; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(times: list[float], q: float) -> float:
    """The q-quantile of at least one time, s."""
    return sorted(times)[min(len(times) - 1, int(q * len(times)))] if times else float("nan")


async def phase(name: str, viewers: list[Viewer], sockets: list[ClientConnection], seconds: float, busy: int) -> dict:
    """Let them work, and say what it took."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    for viewer in viewers:
        viewer.reruns, viewer.changes = [], []
    server, begun, memory = viewers[0].server, time.perf_counter(), []

    async def watch() -> None:
        while True:
            memory.append(round(rss_mb(server.pid)))
            await asyncio.sleep(max(1.0, seconds / 10))

    watching = asyncio.create_task(watch())
    try:
        await asyncio.gather(*(v.stay(s, begun + seconds) for v, s in zip(viewers, sockets, strict=True)))
    finally:
        watching.cancel()
        for burner in burners:
            burner.kill()
            burner.wait()
    reruns = [t for v in viewers for t in v.reruns]
    changes = [t for v in viewers for t in v.changes]
    return {
        "phase": name,
        **{f"{what}_{k}": v for what, t in (("rerun", reruns), ("change", changes)) for k, v in figures(t).items()},
        "server_rss_mb": memory,
        "worker_rss_mb": round(rss_mb(server.worker())),
    }


def figures(times: list[float]) -> dict[str, float]:
    """n, p50, p95 and the longest, s."""
    return {
        "n": len(times),
        "p50": round(quantile(times, 0.5), 3),
        "p95": round(quantile(times, 0.95), 3),
        "max": round(max(times, default=float("nan")), 3),
    }


async def main(options: argparse.Namespace) -> None:
    """Rounds of first pages, then the two phases."""
    report: list[dict] = [{"load_average_before": os.getloadavg()[0], "cores": os.cpu_count()}]
    for round_ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            server = start_server(Path(folder) / "evidence")
            try:
                viewers = [Viewer(i, server, options.think) for i in range(options.viewers)]
                before = cpu_seconds(server.pid)
                sockets = await asyncio.gather(*(viewer.arrive() for viewer in viewers))
                firsts = [v.first for v in viewers]
                cpu = round(cpu_seconds(server.pid) - before, 2)  # what a busy machine does not change
                firsts_s = [round(t, 2) for t in firsts]
                report.append({"first_pages_s": firsts_s, "slowest": max(firsts_s), "server_cpu_s": cpu})
                print(report[-1], flush=True)
                if round_ == options.rounds - 1 and options.seconds:
                    for name, busy in {"quiet": 0, "loaded": options.busy}.items():
                        if name == "loaded" and not busy:
                            continue
                        report.append(await phase(name, viewers, sockets, options.seconds, busy))
                        print(report[-1], flush=True)
                report.append({k: sum(getattr(v, k) for v in viewers) for k in ("leaks", "errors", "missing")})
                print(report[-1], flush=True)
                await asyncio.gather(*(socket.close() for socket in sockets))
            finally:
                stop_server(server)
    slowest = [line["slowest"] for line in report if "slowest" in line]
    print(f"slowest first page: median {statistics.median(slowest):.2f} s of {len(slowest)} rounds {slowest}")
    if options.json:
        print(json.dumps(report))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--think", type=float, default=2)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asyncio.run(main(parser.parse_args()))
