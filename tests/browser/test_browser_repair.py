"""From a broken case to the repaired checkpoint on disk, its loss, and the two side by side."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from browser_server import LONG, Watched, start_server, stop_server
from playwright.sync_api import expect

from diag.demo.build import DEFAULT_DIR

CASE = {
    "shard": "demo/shards/stdlib",
    "checkpoint": "demo/checkpoints/h4a-random-head",
    "reference": "demo/checkpoints/healthy",
    "window": "1x2x32",
}


def test_the_repaired_checkpoint_is_written_measured_and_compared(
    demo: None, tmp_path: Path, visitor: Callable[..., Watched]
) -> None:
    copy = tmp_path / "demo"
    for name in ("shards/stdlib", "checkpoints/h4a-random-head", "checkpoints/healthy"):
        shutil.copytree(DEFAULT_DIR / name, copy / name)
    server = start_server(tmp_path / "evidence", demo=copy)
    try:
        author = visitor(server)
        page = author.open(f"{server.url}/hypotheses?{urlencode(CASE)}")
        page.get_by_role("button", name="Test all").click()
        write = page.get_by_role("button", name="Write the repaired checkpoint")
        expect(write).to_be_visible(timeout=LONG)
        author.settle()
        expect(page.get_by_text("The same in Python, to copy")).to_be_visible()
        write.click()
        expect(page.get_by_text("The repaired checkpoint is written:")).to_be_visible(timeout=LONG)
        author.settle()
        [written] = (copy / "checkpoints").glob("h4a-random-head-repaired-*")
        patch = json.loads((written / "repair.json").read_text())
        assert abs(patch["after_nats"] - patch["reference_nats"]) < 0.01 < patch["before_nats"] - 1
        page.get_by_role("link", name="Its loss on the ruler").click()
        expect(page).to_have_url(re.compile(f"checkpoint=demo%2Fcheckpoints%2F{written.name}"))
        expect(page.get_by_text(f"{patch['after_nats']:.3f}").first).to_be_visible()
        author.settle()
        page.go_back()
        page.get_by_role("link", name="Compare it with the original").click()
        expect(page).to_have_url(re.compile(f"weights.*{written.name}"))
        expect(page.get_by_text("First: lm_head.weight is copied")).to_be_visible()  # cells of a table are hidden text
        author.settle()
    finally:
        stop_server(server)
