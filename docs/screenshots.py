"""Take the README's screenshots from a running dashboard whose demo cases have been tested.

make app &  python docs/screenshots.py [--base http://127.0.0.1:8501] [--only wall]
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).parent / "img"
COLOURS = 256  # of a palette: half of the bytes, and the same to the eye
CASE = "shard=demo/shards/stdlib&checkpoint=demo/checkpoints/{}&reference=demo/checkpoints/healthy&window=4x4x256"
SHOTS = (  # name, path, colour scheme, width, height, keys to press
    ("wall-light", "/triage?group=cause", "light", 1280, 800, ""),
    ("wall-phone", "/triage", "dark", 390, 844, ""),
    ("wall-wide", "/triage", "dark", 1920, 1000, ""),
    ("present-dark", "/triage?find=two-defects", "dark", 1280, 720, "f"),
    ("case-dark", "/case?" + CASE.format("h4a-h4b-two-defects"), "dark", 1280, 800, ""),
    ("hypotheses-light", "/hypotheses?" + CASE.format("h4a-random-head"), "light", 1280, 800, ""),
    ("activations-light", "/activations?" + CASE.format("h4d-zero-down-proj"), "light", 1280, 760, ""),
    ("shard-dark", "/shard?shard=demo/shards/stdlib-unk&checkpoint=demo/checkpoints/healthy", "dark", 1280, 1000, ""),
    ("weights-light", "/weights?" + CASE.format("h4a-random-head") + "&tensor=lm_head.weight", "light", 1280, 1000, ""),
)
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
# GitHub's own measures for a comment, near enough to see what wraps.
GITHUB = """body { font: 14px/1.5 -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; margin: 24px;
  width: 760px; color: #1f2328 } table { border-collapse: collapse }
  td, th { border: 1px solid #d1d9e0; padding: 6px 13px }
  pre { background: #f6f8fa; padding: 16px; font: 12px/1.45 monospace; overflow: auto } h3, h4 { margin: 16px 0 }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="http://127.0.0.1:8501")
    parser.add_argument("--only", default="")
    parser.add_argument("--report", type=Path, help="a report as Markdown, drawn as GitHub would")
    asked = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for name, path, scheme, width, height, keys in SHOTS:
            if asked.only not in name:
                continue
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(asked.base + path)
            page.wait_for_selector(SETTLED, timeout=120_000)
            page.wait_for_timeout(5000)  # charts draw after the script has ended
            for key in keys:
                page.keyboard.press(key)
                page.wait_for_timeout(500)
            _keep(page, name)
            context.close()
        if asked.report:
            page = browser.new_context(viewport={"width": 820, "height": 900}).new_page()
            page.set_content(_as_github(asked.report.read_text(encoding="utf-8")))
            _keep(page, "report-github")
        browser.close()


def _keep(page: Page, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)


def _as_github(text: str) -> str:
    """Through a CommonMark renderer with GitHub's tables; raw HTML is let through as GitHub lets <details> through."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)
    return f"<!doctype html><meta charset='utf-8'><style>{GITHUB}</style>{body}"


if __name__ == "__main__":
    main()
