"""The shard page as a reviewer opens it: a link that compares two shards and reads a span of one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from browser_server import Server, Watched
from playwright.sync_api import Page, expect

CASE = {
    "shard": "demo/shards/stdlib-unk",
    "checkpoint": "demo/checkpoints/healthy",
    "window": "4x4x256",
    "gate_below": "9.38",
}


def link(server: Server, **more: str) -> str:
    return f"{server.url}/shard?{urlencode({**CASE, **more})}"


def pane(page: Page) -> str:
    return page.locator("[data-testid=stCode]").first.inner_text()


def test_a_deep_link_compares_two_shards_and_reads_a_span(fresh: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(fresh).open(link(fresh, compare="demo/shards/stdlib", read="1000"))
    expect(page.get_by_text("degenerate", exact=False).first).to_be_visible()
    expect(page.get_by_text("gate VOID")).to_be_visible()
    expect(page.get_by_text("Whole shard against whole shard")).to_be_visible()
    expect(page.get_by_text(re.compile(r"The two differ by 0\.99\d\d bits"))).to_be_visible()
    for chart in ("rank-frequency", "coverage", "document-lengths"):
        expect(page.locator(f".st-key-{chart} .legend .traces")).to_have_count(2)
    expect(page.get_by_text("Tokens 1,000 to 1,255 of 2,674,931")).to_be_visible()
    assert "⟦<unk>⟧" in pane(page)
    with page.expect_download() as started:
        page.locator(".st-key-download-comparison-CSV button").first.click()
    rows = list(csv.reader(io.StringIO(Path(started.value.path()).read_text())))
    table = {row[0]: row[1:] for row in rows}
    assert rows[0] == ["", "stdlib-unk", "stdlib"]
    assert table["Distinct tokens"] == ["2", "3,824"]
    assert table["Unk ratio"] == ["99.99%", "0.00%"]
    expect(page).to_have_url(re.compile(r"compare=demo%2Fshards%2Fstdlib.*"))


def test_reading_on_changes_the_link_and_the_text(shared: Server, visitor: Callable[..., Watched]) -> None:
    someone = visitor(shared)
    page = someone.open(link(shared, shard="demo/shards/stdlib", read="1000"))
    before = pane(page)
    page.get_by_role("button", name="On", exact=True).click()
    expect(page.get_by_text("Tokens 1,256 to 1,511 of")).to_be_visible()
    expect(page).to_have_url(re.compile("read=1256"))
    assert pane(page) != before
    page.get_by_role("button", name="Longest run").click()
    expect(page.get_by_text(re.compile(r"Tokens 502,407 to"))).to_be_visible()
    assert re.findall(r"\d+", pane(page).split("\n")[1])[:5] == ["778"] * 5


def test_a_bad_position_and_a_strange_shard_are_said(shared: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(shared).open(link(shared, compare="../etc/passwd", read="99999999999"))
    expect(page.get_by_text("The link compares with '../etc/passwd'")).to_be_visible()
    expect(page.get_by_text("The link asks for token '99999999999'.")).to_be_visible()
    expect(page.get_by_text("Tokens 0 to 255 of")).to_be_visible()
