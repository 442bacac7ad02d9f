"""How long until the shard page shows a verdict, and does a folder of 125 files show its progress?

    python benchmarks/page.py --dir FOLDER [--rounds 5] [--tokens 10_000_000] [--file-tokens 2_000_000]

Starts the real server and headless Chromium. Writes `--rounds` shards of --tokens u32 ids of the demo's documents, as
many of Zipf-distributed ids in no order (which cost more: their order is tried), and a folder of 125 files of
--file-tokens, picks them in the sidebar one after the other, and takes the time from the click to the status badge, as
seen in the browser, and what the server computes meanwhile, which other work on the machine changes little. Needs the
demo (`make demo`) for its checkpoint and tokenizer.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from browser_server import SETTLED, computed, start_server, stop_server  # noqa: E402

VOCAB = 4096
END = 1  # what ends a document of the demo
FILES = 125
QUERY = "shard=demo/shards/stdlib&checkpoint=demo/checkpoints/healthy"


def zipf(n: int, seed: int) -> np.ndarray:
    """u32 [n]: Zipf-distributed ids below VOCAB."""
    p = 1 / np.arange(1, VOCAB + 1)
    return np.searchsorted(np.cumsum(p / p.sum()), np.random.default_rng(seed).random(n)).astype("<u4")


def text(n: int, seed: int) -> np.ndarray:
    """u32 [n]: the demo's documents in a random order, over and over."""
    files = sorted((ROOT / "data" / "demo" / "shards" / "stdlib").glob("*.bin"))
    ids = np.concatenate([np.fromfile(file, "<u4") for file in files])
    documents = np.split(ids, np.flatnonzero(ids == END) + 1)
    rng = np.random.default_rng(seed)
    rounds = [documents[i] for _ in range(n // len(ids) + 1) for i in rng.permutation(len(documents))]
    return np.concatenate(rounds)[:n]


KINDS = {"text": text, "zipf": zipf}


def build(folder: Path, options: argparse.Namespace) -> None:
    """The shards, written once."""
    for number in range(options.rounds):
        for kind, made in KINDS.items():
            path = folder / f"shard-{kind}{number}.bin"
            if not path.exists():  # of other sizes, so that no figure of the one before is taken for it
                made(options.tokens + number, number).tofile(path)
    many = folder / "many"
    many.mkdir(exist_ok=True)
    ids = zipf(options.file_tokens, 99)
    for number in range(FILES):
        path = many / f"shard-{number:05d}.bin"
        if not path.exists():
            np.roll(ids, number).tofile(path)


def pick(page: Page, label: str) -> float:
    """Choose a shard in the sidebar; the clock starts at the click on its name."""
    page.locator(".st-key-pick-shard").get_by_role("combobox").fill(label)
    option = page.get_by_role("option", name=re.compile(rf"^{re.escape(label)} ")).first
    option.wait_for()
    started = time.perf_counter()
    option.click()
    return started


def first_verdict(page: Page, pid: int, name: str, tokens: int) -> tuple[float, float]:
    """Seconds from the pick until the number of its tokens is there, and with it the verdict above; and those that the
    server computed until the page was whole."""
    before = computed(pid)
    started = pick(page, name)
    page.get_by_text(re.compile(rf"shard corpus/{name}")).wait_for()
    page.locator("[data-testid=stMetricValue]", has_text=f"{tokens:,}").first.wait_for()
    seconds = time.perf_counter() - started
    page.locator(SETTLED).wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(500)
    return seconds, computed(pid) - before


def main() -> None:
    """Build, serve, pick, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--file-tokens", type=int, default=2_000_000)
    options = parser.parse_args()
    corpus = options.dir / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    build(corpus, options)
    server = start_server(options.dir / f"run-{time.time_ns()}" / "evidence", roots=str(corpus))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(f"{server.url}/shard?{QUERY}")
            page.locator(SETTLED).wait_for(state="attached", timeout=60_000)
            page.wait_for_timeout(3000)
            for kind in KINDS:
                found = [
                    first_verdict(page, server.pid, f"shard-{kind}{n}.bin", options.tokens + n)
                    for n in range(options.rounds)
                ]
                said = "; ".join(
                    f"{what} {statistics.median(v):.2f} s ({min(v):.2f} to {max(v):.2f})"
                    for what, v in zip(("median", "the server computes"), zip(*found, strict=True), strict=True)
                )
                print(f"first verdict of {options.tokens:,} tokens ({kind}) after the pick: {said}, n = {len(found)}")
            started, seen = pick(page, "many"), []
            total = FILES * options.file_tokens
            done = page.locator("[data-testid=stMetricValue]", has_text=f"{total:,}").first
            while not done.is_visible() and time.perf_counter() - started < 120:
                bar = page.locator("[data-testid=stProgress]")
                text = bar.first.inner_text() if bar.count() else ""
                if text and (not seen or seen[-1] != text):
                    seen.append(text)
                time.sleep(0.02)
            print(f"{FILES} files, {total:,} ids: verdict after {time.perf_counter() - started:.1f} s; progress shown "
                  f"{len(seen)} times, for instance: {seen[len(seen) // 2] if seen else 'never'}")  # fmt: skip
            browser.close()
    finally:
        stop_server(server)


if __name__ == "__main__":
    main()
