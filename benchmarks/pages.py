"""How long until a page shows something, until it is settled, how long a rerun takes, and one beside eight viewers.

    python benchmarks/pages.py [--rounds 5] [--planted 1000] [--viewers 8] [--seconds 60]

Starts the real server on the demo with one tested case, and on as many planted checkpoints for the wall, and a headless
Chromium with an empty cache for every visit. First content: the first heading or row that a person can read, which is
in the page as it is served. Its own: the same, drawn by Streamlit. Settled: the script has ended and nothing is stale.
Prints a table of medians with the range, what the server computed meanwhile (which other work on the machine changes
little) and the load of the machine. The viewers are those of load.py. Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from browser_server import SETTLED, Server, computed, start_server, stop_server  # noqa: E402
from planted import plant  # noqa: E402

from benchmarks.load import Viewer, phase  # noqa: E402

DEMO = ROOT / "data" / "demo"
CASE = "shard=demo/shards/stdlib&checkpoint=demo/checkpoints/h4a-random-head&reference=demo/checkpoints/healthy"
WINDOW = ("--batches", "4", "--batch-size", "4", "--seq-len", "256")
Times = tuple[float, float, float, float]
"""Seconds: to the first content, to Streamlit's own, to settled, and what the server computed."""
HEAD = "| | first content | its own | settled | the server computes |\n|---|---:|---:|---:|---:|"
CHROMIUM = {
    "executable_path": "/usr/bin/chromium",
    "args": ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--planted", type=int, default=1000)
    options.add_argument("--viewers", type=int, default=8)
    options.add_argument("--seconds", type=float, default=60)
    asked = options.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, n = {asked.rounds}; median (range), s\n\n{HEAD}")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        record = tested(folder / "evidence")
        browser = playwright.chromium.launch(**CHROMIUM)
        server = start_server(folder / "evidence")
        try:
            visits = [visit(browser, server, f"r/{record}", "h1", stay=True) for _ in range(asked.rounds)]
            show("permanent link", visits)
            for path in (
                f"case?record={record}",
                f"case?{CASE}&window=4x4x256",
                "triage",
                f"hypotheses?record={record}",
                "evidence",
            ):
                visits = [visit(browser, server, path, "h1") for _ in range(asked.rounds)]
                show(path.partition("&")[0].partition("=")[0], visits)
            firsts, again = zip(*(rerun(browser, server) for _ in range(asked.rounds)), strict=True)
            show("a visit's first table", firsts)
            show("rerun of the case", again)
            with ThreadPoolExecutor(1) as apart:  # Playwright's own loop runs in this thread
                beside = apart.submit(asyncio.run, crowd(server, asked.viewers, asked.seconds)).result()
        finally:
            stop_server(server)
        plant(folder / "runs", asked.planted)
        server = start_server(folder / "evidence", roots=str(folder / "runs"))
        try:
            visits = [visit(browser, server, "triage", ".sw-row") for _ in range(asked.rounds)]
            show(f"the wall of {asked.planted:,}", visits)
        finally:
            stop_server(server)
    told = (f"{what} p95 {beside[f'{key}_p95']:.2f} s (median {beside[f'{key}_p50']:.2f}, n = {beside[f'{key}_n']})"
            for what, key in (("rerun", "rerun"), ("change of page", "change")))  # fmt: skip
    print(f"\n{asked.viewers} viewers at once: {', '.join(told)}. Load {os.getloadavg()[0]:.1f}")


async def crowd(server: Server, viewers: int, seconds: float) -> dict[str, float]:
    """They look around, each two seconds after the last answer on average."""
    people = [Viewer(number, server, think=2.0) for number in range(viewers)]
    sockets = [await person.arrive() for person in people]
    try:
        return await phase("quiet", people, sockets, seconds, busy=0)
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))


def tested(evidence: Path) -> str:
    """The id of a record of the demo's first case."""
    paths = ("--checkpoint", DEMO / "checkpoints/h4a-random-head", "--shard", DEMO / "shards/stdlib")
    more = ("--reference", DEMO / "checkpoints/healthy", *WINDOW, "--evidence", evidence)
    subprocess.run([sys.executable, "-m", "diag", "test", *paths, *more], cwd=ROOT, check=True, capture_output=True)
    return next((evidence / "records").glob("*.json")).stem


def visit(browser: Browser, server: Server, path: str, first: str, *, stay: bool = False) -> Times:
    """A new visitor: to the first content, to settled. stay: do not follow the page where it leads on to."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    if stay:
        page.route("**/case?*", lambda route: route.abort())
    before, started = computed(server.pid), time.perf_counter()
    page.goto(f"{server.url}/{path}", wait_until="commit")
    page.locator(first).first.wait_for(timeout=60_000)
    content = own = time.perf_counter() - started
    if not stay:
        page.locator(f"#root {first}").first.wait_for(timeout=60_000)
        own = time.perf_counter() - started
        settled(page)
    took = content, own, time.perf_counter() - started, computed(server.pid) - before
    page.context.close()
    return took


def rerun(browser: Browser, server: Server) -> tuple[Times, Times]:
    """A click on a switch that shows a table, until it is there and all is settled: with everything cached but the
    table's scripts, of 1.5 MB, and then off and on again."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{server.url}/case?{CASE}&window=4x4x256")
    settled(page)
    page.get_by_text("All numbers, and the charts").first.click()
    page.get_by_text("As a table").first.wait_for(timeout=60_000)
    settled(page)
    firsts, again = switch(page, server), (switch(page, server), switch(page, server))[1]
    page.context.close()
    return firsts, again


def switch(page: Page, server: Server) -> Times:
    """One click."""
    table = page.locator("[data-testid=stDataFrame]").first
    wanted = "hidden" if table.is_visible() else "visible"
    before, started = computed(server.pid), time.perf_counter()
    page.get_by_text("As a table").first.click()
    table.wait_for(state=wanted, timeout=60_000)
    begun = time.perf_counter() - started
    settled(page)
    return begun, begun, time.perf_counter() - started, computed(server.pid) - before


def settled(page: Page) -> None:
    page.locator(SETTLED).wait_for(state="attached", timeout=60_000)


def show(name: str, times: Iterable[Times]) -> None:
    """A row of the table."""
    told = (
        f"{statistics.median(column):.2f} ({min(column):.2f} to {max(column):.2f})"
        for column in zip(*times, strict=True)
    )
    print(f"| {name} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
