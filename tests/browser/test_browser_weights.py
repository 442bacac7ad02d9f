"""The weights page as a reviewer opens it: a link to a broken tied head, one tensor of it, the reference beside it."""

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
    "shard": "demo/shards/stdlib",
    "checkpoint": "demo/checkpoints/h4a-random-head",
    "reference": "demo/checkpoints/healthy",
    "window": "4x4x256",
}


def link(server: Server, **more: str) -> str:
    return f"{server.url}/weights?{urlencode({**CASE, **more})}"


def drawn(page: Page, name: str) -> None:
    expect(page.locator(f".st-key-{name} .main-svg").first).to_be_visible()


def test_a_deep_link_to_a_broken_tied_head(fresh: Server, visitor: Callable[..., Watched]) -> None:
    someone = visitor(fresh)
    page = someone.open(link(fresh))
    expect(page.get_by_text("head and embedding: tied diverged")).to_be_visible()
    expect(page.get_by_text("which of the two is used decides the loss.").first).to_be_visible()
    alerts = page.locator("[data-testid=stAlert]")
    expect(alerts.first).to_contain_text("The head is declared tied, but the file holds a different one")
    expect(alerts.first).to_contain_text("What to do:")
    for chart in ("row-norms", "row-cosines"):
        drawn(page, chart)
    expect(page.get_by_text("1 of 75 tensors differ from those of demo/checkpoints/healthy.")).to_be_visible()
    expect(page.get_by_text("74 equal").first).to_be_visible()
    expect(page.get_by_text("Pick a tensor to see its values")).to_be_visible()
    picker = page.locator(".st-key-tensor").get_by_role("combobox")
    picker.evaluate("element => element.scrollIntoView({block: 'center'})")  # a list closes when the page scrolls
    page.wait_for_timeout(1000)
    picker.click()
    page.get_by_role("option", name="lm_head.weight").click()
    expect(page).to_have_url(re.compile(r"tensor=lm_head\.weight"))
    someone.settle()
    for chart in ("tensor-values", "tensor-rows", "tensor-columns"):
        drawn(page, chart)
        expect(page.locator(f".st-key-{chart} .legend .traces")).to_have_count(2)
    expect(page.get_by_text("against the reference: only here").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"held against that: different\. Largest difference 0\.73"))).to_be_visible()


def test_a_row_of_the_table_picks_its_tensor(shared: Server, visitor: Callable[..., Watched]) -> None:
    someone = visitor(shared)
    page = someone.open(link(shared, checkpoint="demo/checkpoints/h4c-norm-plus-one", find="input_layernorm"))
    expect(page.get_by_text("6 of 74 tensors. Statistics")).to_be_visible()
    table = page.locator(".st-key-table-tensors [data-testid=stDataFrame]")
    table.evaluate("element => element.scrollIntoView({block: 'center'})")  # else the header lies over it
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 17)  # the box at the left of the first row, drawn on a canvas
    expect(page).to_have_url(re.compile(r"tensor=model\.layers\.0\.input_layernorm\.weight"))
    someone.settle()
    expect(page.get_by_text("against the reference: shifted").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"\+1 on every element here\. Largest difference"))).to_be_visible()
    with page.expect_download() as started:
        page.locator(".st-key-download-compared-CSV button").first.click()
    rows = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text())))
    assert rows[0]["verdict"] == "shifted" and rows[0]["name"] == "model.layers.{0…5}.input_layernorm.weight"
    assert [int(row["count"]) for row in rows if row["verdict"] == "shifted"] == [6, 6, 1]


def test_a_tensor_that_is_not_there_is_said(shared: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(shared).open(link(shared, reference="demo/checkpoints/h4a-random-head", tensor="../<b>x</b>"))
    expect(page.get_by_text("The link asks for the tensor '../<b>x</b>'")).to_be_visible()
    expect(page.get_by_text("The reference is this very checkpoint")).to_be_visible()


def test_the_page_fits_a_phone_with_a_tensor_open(shared: Server, visitor: Callable[..., Watched]) -> None:
    page = visitor(shared, 390, "dark").open(link(shared, tensor="model.norm.weight"))
    drawn(page, "tensor-values")
    sticks_out = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - window.innerWidth")
    assert sticks_out <= 0
