"""From a search to a document, a fact, a case, its verdict and the ledger; every state by link in a second browser."""

from __future__ import annotations

import re
from collections.abc import Callable

from browser_server import LONG, Server, Watched
from playwright.sync_api import expect

LOG = """\
=== Configuration ===
    Dataset: /mnt/data/stdlib
    Model: /mnt/ckpts/h4a-random-head
=== Run Result ===
  FAIL ABORTED  DIVERGENCE at epoch 0: val_loss 12.65 is > 10.0 <img src=x onerror=alert(1)>
"""
STATUS = "## Status against `some-gate-v1.yaml`\n\n| Gate | Status |\n|---|---|\n| FALSIFY-005 | {} |\n"


def test_from_a_search_to_a_case_and_the_ledger(fresh: Server, visitor: Callable[..., Watched]) -> None:
    for day, status in (("2026-05-09", "✅ PASSED"), ("2026-05-10", "RED")):
        (fresh.evidence / f"step-{day}").mkdir(parents=True)
        (fresh.evidence / f"step-{day}" / "README.md").write_text(STATUS.format(status))
    (fresh.evidence / "step-2026-05-10" / "dispatch.txt").write_text(LOG)
    author = visitor(fresh)
    page = author.open(f"{fresh.url}/evidence?q=12.65")
    page.get_by_role("link", name=re.compile(r"val_loss \(epoch 0\) = 12\.65 nats \(convention\)")).click()
    expect(page.locator(".doc .marked")).to_contain_text("val_loss 12.65 is > 10.0 <img src=x onerror=alert(1)>")
    expect(page).to_have_url(re.compile(r"doc=.*dispatch\.txt.*line=5"))
    opened = page.url

    page.get_by_role("link", name="Make a case of 12.65 nats").click()
    expect(page).to_have_url(re.compile(r"/case\?.*claimed_loss=12\.65"))
    page.get_by_role("button", name="Measure the loss").click()
    expect(page.get_by_role("heading", name=re.compile("Worse than chance:"))).to_be_visible(timeout=LONG)

    reviewer = visitor(fresh, width=390, scheme="dark")
    there = reviewer.open(opened)
    expect(there.locator(".doc .marked span")).to_have_text("5")
    there = reviewer.open(f"{fresh.url}/evidence?view=Ledger&q=FALSIFY-005")
    expect(there.get_by_role("link", name=re.compile(r"2026-05-09 +PASS +"))).to_be_visible()
    there.get_by_role("link", name=re.compile(r"2026-05-10 +RED +")).click()
    expect(there.locator(".doc .marked")).to_contain_text("| FALSIFY-005 | RED |")
    there = reviewer.open(f"{fresh.url}/evidence?view=Contradictions")
    expect(there.get_by_text(re.compile("FALSIFY-SOME-GATE-005 was PASS on 2026-05-09")).first).to_be_visible()
