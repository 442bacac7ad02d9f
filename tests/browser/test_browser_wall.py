"""The wall of a team with 1,000 checkpoints, by keyboard: filter, group, decide, present; another browser sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from browser_server import Server, Watched, start_server, stop_server
from planted import plant
from playwright.sync_api import Page, expect

ROWS = ".sw-row"


def test_a_meeting_by_keyboard(demo: None, visitor: Callable[..., Watched], tmp_path: Path) -> None:
    plant(tmp_path / "runs", 1_000)
    server = start_server(tmp_path / "evidence", roots=str(tmp_path / "runs"), name="ann")
    try:
        ann = visitor(server, width=1280)
        page = ann.open(f"{server.url}/")
        _find_and_decide(page, server)
        other = visitor(server, width=390, scheme="dark")
        there = other.open(f"{server.url}/triage?find=step-0100")
        expect(there.locator(ROWS)).to_contain_text("<b>after the merge</b>")
        _group_and_present(ann)
    finally:
        stop_server(server)


def _find_and_decide(page: Page, server: Server) -> None:
    expect(page).to_have_url(re.compile("/triage"))
    expect(page.locator(ROWS)).to_have_count(1_006)
    expect(page.locator(".sw-wall [role=status]")).to_contain_text("1,006 of 1,006 shown")
    page.keyboard.press("/")
    page.keyboard.type("step-0100")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page).to_have_url(re.compile("find=step-0100"))
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    form = page.get_by_role("dialog", name="Decide: step-0100")
    expect(form).to_be_visible()
    form.get_by_label("Decision", exact=True).select_option("needs_run")
    form.get_by_label("Owner", exact=True).fill("bob")
    form.get_by_label("Note", exact=True).fill("=1+1 <b>after the merge</b>")
    form.get_by_label("Note", exact=True).press("Control+Enter")
    expect(page.locator(ROWS)).to_contain_text("needs a run, 20")
    expect(page.locator(ROWS)).to_contain_text("owner: bob")
    assert '"by": "ann"' in (server.evidence / "decisions.jsonl").read_text()


def _group_and_present(ann: Watched) -> None:
    page = ann.page
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Search the wall").fill("run-09")
    page.get_by_label("Group").select_option("folder")
    expect(page.locator(".sw-group")).to_have_text("97 cases: runs / run-09")
    expect(page).to_have_url(re.compile("group=folder"))
    page.locator(".sw-row").first.focus()
    page.keyboard.press("j")
    page.keyboard.press("f")
    show = page.get_by_role("dialog", name="Present")
    expect(show.locator(".sw-title")).to_have_text("step-0900")
    expect(page).to_have_url(re.compile("present=file"))
    first = page.url
    page.keyboard.press("j")
    expect(show.locator(".sw-title")).to_have_text("step-0901")
    expect(page).not_to_have_url(first)  # the address follows by way of the server
    page.reload()
    ann.settle()
    expect(page.get_by_role("dialog", name="Present").locator(".sw-title")).to_have_text("step-0901")
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("present="))
    page.get_by_role("button", name="Checkpoint", exact=True).click()
    page.get_by_role("button", name="Checkpoint ↑").click()
    expect(page.locator(".sw-name").first).to_have_text("step-0996")
