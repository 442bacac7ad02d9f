"""From a link to a live test, a verdict, and a permanent link that shows a reviewer the same."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from urllib.parse import urlencode

from browser_server import LONG, Server, Watched, start_server, stop_server
from playwright.sync_api import Page, expect

CASE = {
    "shard": "demo/shards/stdlib",
    "checkpoint": "demo/checkpoints/h4a-random-head",
    "reference": "demo/checkpoints/healthy",
    "window": "2x4x128",
}
LINK = f"/hypotheses?{urlencode(CASE)}"


def _own(window: str) -> str:
    """A case that no other test of the shared server has measured."""
    return urlencode({**CASE, "window": window})


def test_from_a_deep_link_to_a_permanent_link(fresh: Server, visitor: Callable[..., Watched]) -> None:
    """The first request of a fresh server is a deep link; the reviewer sees the author's numbers."""
    author = visitor(fresh)
    page = author.open(fresh.url + LINK)
    card = page.locator(".st-key-card-H4A")
    expect(card.get_by_text("signature present")).to_be_visible()
    card.get_by_role("button", name="Test H4A live").click()
    expect(page).to_have_url(re.compile("job="))
    expect(card.get_by_text("Verdict: confirmed")).to_be_visible(timeout=LONG)
    author.settle()
    expect(page).not_to_have_url(re.compile("job="))
    card.get_by_text("What was tried").click()
    expect(card.locator(".js-plotly-plot")).to_be_visible()
    card.get_by_text("Link to this result").click()
    link = card.locator("code").inner_text()
    assert link.startswith(f"{fresh.url}/r/")
    numbers = _chart_numbers(page)
    assert any("head := embedding" in number for number in numbers)
    author.accessible()

    reviewer = visitor(fresh, width=390, scheme="dark")
    there = reviewer.open(link)
    expect(there).to_have_url(re.compile(rf"/case\?record={link[-16:]}"))
    reviewer.settle()
    expect(there.get_by_text("A frozen record: exactly")).to_be_visible()
    expect(there.get_by_role("heading", name="Explained (H4A tied weights): h4a-random-head")).to_be_visible()
    expect(there.get_by_text("Worse than chance: ")).to_be_visible()
    for fold in there.locator("[data-testid=stMain] [data-testid=stExpander] summary").all():
        fold.click()
    reviewer.settle()
    reviewer.accessible()
    there = reviewer.open(f"{fresh.url}/hypotheses?record={link[-16:]}")
    expect(there.get_by_text("Verdict: confirmed")).to_be_visible()
    expect(there.get_by_role("button", name="Test H4A live")).to_have_count(0)
    assert _chart_numbers(there) == numbers
    reviewer.accessible()
    there.set_content(re.sub("<meta http-equiv[^>]*>", "", there.request.get(link).text()))
    expect(there.get_by_role("heading")).to_contain_text("H4A")
    reviewer.accessible()


def test_a_result_survives_a_closed_tab(shared: Server, visitor: Callable[..., Watched]) -> None:
    """Measure with the keyboard, close the tab, come back by the plain link: the loss is there."""
    author, before = visitor(shared), _records(shared)
    link = f"{shared.url}/case?{_own('2x4x120')}"
    page = author.open(link)
    expect(page.get_by_text("Not measured yet.")).to_be_visible()
    page.get_by_role("heading", name="Is it worse than chance?").click()
    page.keyboard.press("Control+Enter")
    expect(page).to_have_url(re.compile("job="))
    page.close()
    for _ in range(120):
        if _records(shared) > before:
            break
        time.sleep(1)
    again = visitor(shared)
    page = again.open(link)
    expect(page.get_by_role("heading", name="Worse than chance:")).to_be_visible()
    expect(page.get_by_role("heading", name="Permanent link")).to_be_visible()
    record = page.locator("code", has_text="/r/").first.inner_text()[-16:]
    page.get_by_text("Copy as Markdown").click()
    expect(page.locator("code", has_text="### ✕ Worse than chance: h4a-random-head")).to_be_visible()
    again.open(f"{shared.url}/case?record={record}")
    page.locator(".st-key-pick-checkpoint").get_by_role("combobox").click()
    page.get_by_role("option", name="h4d-zero-down-proj").click()
    expect(page).to_have_url(re.compile("h4d-zero-down-proj"))
    expect(page).not_to_have_url(re.compile("record="))
    expect(page.get_by_text("Not measured yet.")).to_be_visible()
    _read_elsewhere(shared, visitor, record)


def _read_elsewhere(server: Server, visitor: Callable[..., Watched], record: str) -> None:
    """A machine that has the record and none of its files shows the same numbers."""
    elsewhere = start_server(server.evidence, demo=server.evidence / "no-demo")
    try:
        page = visitor(elsewhere).open(f"{elsewhere.url}/r/{record}")
        expect(page.get_by_text("A frozen record: exactly")).to_be_visible()
        expect(page.get_by_role("heading", name="Worse than chance:")).to_be_visible()
        expect(page.get_by_role("button", name="Measure again")).to_have_count(0)
        page = visitor(elsewhere).open(elsewhere.url)
        expect(page.get_by_text("make demo")).to_be_visible()
    finally:
        stop_server(elsewhere)


def test_a_killed_worker_says_so_and_the_next_run_works(shared: Server, visitor: Callable[..., Watched]) -> None:
    """Nothing is recorded, nothing hangs, and one click runs it again."""
    someone, before = visitor(shared), _records(shared)
    page = someone.open(f"{shared.url}/hypotheses?{urlencode({**CASE, 'window': '8x4x256'})}")
    page.get_by_role("button", name="Test all").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_text("Measuring the checkpoint").first).to_be_visible(timeout=LONG)
    worker = shared.worker()
    assert worker
    os.kill(worker, signal.SIGKILL)
    expect(page.get_by_text("The worker process ended by signal 9")).to_be_visible()
    assert _records(shared) == before
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("Measuring the checkpoint").first).to_be_visible(timeout=LONG)
    assert shared.worker() not in (None, worker)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopped on request; nothing was recorded.")).to_be_visible()
    someone.settle()
    page.goto(f"{shared.url}/case?{_own('2x4x112')}")
    someone.settle()
    page.get_by_role("button", name="Measure the loss").click()
    expect(page.get_by_role("heading", name="Worse than chance:")).to_be_visible(timeout=LONG)


def test_a_job_of_an_earlier_server_can_be_run_again(shared: Server, visitor: Callable[..., Watched]) -> None:
    """A link with ?job= outlives the server that knew the job."""
    someone = visitor(shared)
    page = someone.open(f"{shared.url}/case?{urlencode({**CASE, 'job': '0123456789abcdef'})}")
    expect(page.get_by_text("This server does not know the job")).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("heading", name="Worse than chance:")).to_be_visible(timeout=LONG)


def _records(server: Server) -> int:
    return len(list(server.evidence.glob("records/*.json")))


def _chart_numbers(page: Page) -> list[str]:
    """The labels of every repair in the chart of H4A's card: names with their losses."""
    labels = page.locator(".st-key-card-H4A .js-plotly-plot").locator(".annotation-text, .textpoint")
    labels.first.wait_for(state="attached")
    found: list[str] = labels.all_text_contents()
    return found
