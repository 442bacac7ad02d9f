"""Every page opens, in any state, as the first request of a server; bad links say what is wrong with them."""

from __future__ import annotations

import os
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser_server import Server, Watched, start_server, stop_server
from playwright.sync_api import Page, expect

from diag.demo.build import DEFAULT_DIR
from diag.ui.shell.session import SCAN_SECONDS

QUESTIONS = {
    "case": "Is it worse than chance?",
    "shard": "Is the data real?",
    "weights": "What does the file really hold?",
    "activations": "Where does the signal break?",
    "hypotheses": "Which defect explains it?",
    "evidence": "What do we already know?",
    "triage": "Which checkpoints are broken, and what next?",
}
CASE = {
    "shard": "demo/shards/stdlib",
    "checkpoint": "demo/checkpoints/h4b-gate-column-major",
    "reference": "demo/checkpoints/healthy",
    "window": "2x2x64",
}


@pytest.mark.parametrize("name", ["case", "activations"])
def test_a_page_is_the_first_request_of_a_fresh_server(
    fresh: Server, visitor: Callable[..., Watched], name: str
) -> None:
    """With parameters: the pickers show what the link asks for, and the address keeps it. Each other page is the first
    request of its own module's fresh server."""
    page = visitor(fresh).open(f"{fresh.url}/{name}?{urlencode(CASE)}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    expect(page).to_have_title(re.compile(r"^(?!Streamlit$).+"))
    expect(page.get_by_text(f"checkpoint {CASE['checkpoint']}")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/{name}\?.*window=2x2x64"))


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_pages_fit_narrow_and_dark(shared: Server, visitor: Callable[..., Watched], width: int, scheme: str) -> None:
    """On no page does anything stick out to the side, or keep out who cannot see it or use a mouse, the wall's dialogs
    included. One visitor, whose browser reads the scripts once."""
    someone = visitor(shared, width, scheme)
    for name in QUESTIONS:
        page = someone.open(f"{shared.url}/{name}?{urlencode(CASE)}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page).to_have_title(re.compile(r"^(?!Streamlit$).+"))
        sticks_out = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - window.innerWidth")
        assert sticks_out <= 0, name
        someone.accessible()
    expect(page.locator(".sw-row").first).to_be_visible()  # the wall is the last
    for open_one in (*map(_press, "dr?f"), _compare):
        open_one(page)
        expect(page.get_by_role("dialog")).to_be_visible()
        someone.accessible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)


def _press(key: str) -> Callable[[Page], None]:
    return lambda page: page.keyboard.press(key)


def _compare(page: Page) -> None:
    for key in "xjx":
        page.keyboard.press(key)
    page.get_by_role("button", name="Compare").click()


def test_the_bare_address_leads_to_the_wall_and_a_case_in_it_to_the_case(
    shared: Server, visitor: Callable[..., Watched]
) -> None:
    someone = visitor(shared)
    page = someone.open(shared.url)
    expect(page).to_have_url(re.compile(r"/triage\?.*h4a-random-head"))
    expect(page.get_by_text("Subrandom finds out why")).to_be_visible()
    page = someone.open(f"{shared.url}/?{urlencode(CASE)}")
    expect(page).to_have_url(re.compile(r"/case\?.*h4b-gate-column-major"))
    expect(page.get_by_text("Your own files:")).to_be_visible()


BAD = (
    ("checkpoint", "nobody/has/this", "The checkpoint 'nobody/has/this' is not in the catalogue."),
    ("window", "4by4", "'4by4' is no window."),
    ("device", "<b>tpu</b>", "device is '<b>tpu</b>'."),
    ("record", "0123456789abcdef", "There is no record 0123456789abcdef here."),
    ("record", "../../etc/passwd", "is no record id."),
    ("gate_below", "nan", "gate_below is 'nan'."),
)


def test_a_bad_parameter_is_said_and_not_swallowed(shared: Server, visitor: Callable[..., Watched]) -> None:
    someone = visitor(shared)
    for key, value, sentence in BAD:
        page = someone.open(f"{shared.url}/case?{urlencode({**CASE, key: value})}")
        expect(page.get_by_text(sentence)).to_be_visible()
        # Nothing runs on another case than the one that was meant, until a person says so.
        disarmed = key != "record"
        expect(page.get_by_role("button", name="Measure the loss")).to_be_disabled() if disarmed else None
        expect(page.get_by_role("heading", name=QUESTIONS["case"])).to_be_visible()


def test_picking_another_checkpoint_changes_the_link(shared: Server, visitor: Callable[..., Watched]) -> None:
    """And the choice stays when one goes on to another page."""
    someone = visitor(shared)
    page = someone.open(f"{shared.url}/case?{urlencode(CASE)}")
    page.locator(".st-key-pick-checkpoint").get_by_role("combobox").click()
    page.get_by_role("option", name="h4c-norm-plus-one").click()
    expect(page).to_have_url(re.compile("h4c-norm-plus-one"))
    someone.settle()
    page.get_by_role("link", name=QUESTIONS["hypotheses"]).first.click()
    expect(page).to_have_url(re.compile("/hypotheses.*h4c-norm-plus-one"))
    expect(page.get_by_text("checkpoint demo/checkpoints/h4c-norm-plus-one")).to_be_visible()


@pytest.fixture
def two_of_mine(demo: None, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server with a root of its own that holds the checkpoints first and second, and that root."""
    root = tmp_path / "mine"
    for name in ("first", "second"):
        shutil.copytree(DEFAULT_DIR / "checkpoints" / "healthy", root / name)
    server = start_server(tmp_path / "evidence", roots=str(root))
    yield server, root
    stop_server(server)


def test_a_pick_stays_when_the_labels_have_changed_meanwhile(
    two_of_mine: tuple[Server, Path], visitor: Callable[..., Watched]
) -> None:
    """A label tells an age, so it changes while one looks; the browser goes on sending the one that was picked."""
    server, root = two_of_mine
    someone = visitor(server)
    page = someone.open(f"{server.url}/case?{urlencode({**CASE, 'checkpoint': 'mine/first'})}")
    for file in root.rglob("*.*"):
        os.utime(file, (0, 0))
    page.wait_for_timeout(1000 * (SCAN_SECONDS + 1))
    page.locator(".st-key-pick-checkpoint").get_by_role("combobox").click()
    page.get_by_role("option", name="second · ").click()
    expect(page).to_have_url(re.compile("mine%2Fsecond"))
    someone.settle()
    page.get_by_role("link", name=QUESTIONS["hypotheses"]).first.click()
    expect(page).to_have_url(re.compile("/hypotheses.*checkpoint="))
    expect(page.get_by_text("checkpoint mine/second")).to_be_visible()


def test_a_claim_is_held_against_the_ruler_before_anything_runs(
    shared: Server, visitor: Callable[..., Watched]
) -> None:
    page = visitor(shared).open(
        f"{shared.url}/case?{urlencode({**CASE, 'claimed_loss': '19.8', 'gate_below': '9.38'})}"
    )
    expect(page.get_by_text("The claimed 19.800 nats would be worse than chance on this case.")).to_be_visible()


def test_the_main_button_can_be_read_in_the_dark(shared: Server, visitor: Callable[..., Watched]) -> None:
    """Streamlit would write white on the light blue."""
    page = visitor(shared, scheme="dark").open(f"{shared.url}/case?{urlencode(CASE)}")
    button = page.get_by_role("button", name="Measure the loss")
    expect(button).to_have_css("color", "rgb(16, 21, 28)")
    expect(button).to_have_css("background-color", "rgb(96, 165, 250)")


def test_health_and_headers(shared: Server) -> None:
    with urllib.request.urlopen(f"{shared.url}/case") as answer:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    with urllib.request.urlopen(f"{shared.url}/healthz") as answer:
        assert b'"ok"' in answer.read()
