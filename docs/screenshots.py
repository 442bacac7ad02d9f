"""Take the README's screenshots from a running dashboard whose demo cases have been tested.

make app &  python docs/screenshots.py [--base http://127.0.0.1:8501]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

OUT = Path(__file__).parent / "img"
CASE = "shard=demo/shards/stdlib&checkpoint=demo/checkpoints/{}&reference=demo/checkpoints/healthy"
SHOTS = (  # name, path, colour scheme, height
    ("case-dark", "/case?" + CASE.format("h4a-h4b-two-defects") + "&gate_below=9.38", "dark", 1010),
    ("hypotheses-light", "/hypotheses?" + CASE.format("h4a-random-head"), "light", 1180),
    ("activations-light", "/activations?" + CASE.format("h4d-zero-down-proj"), "light", 760),
    ("shard-dark", "/shard?shard=demo/shards/stdlib-unk&checkpoint=demo/checkpoints/healthy", "dark", 1180),
    ("weights-light", "/weights?" + CASE.format("h4a-random-head") + "&tensor=lm_head.weight", "light", 1230),
    ("triage-light", "/triage", "light", 720),
)
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="http://127.0.0.1:8501")
    base = parser.parse_args().base
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        for name, path, scheme, height in SHOTS:
            context = browser.new_context(viewport={"width": 1280, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(base + path)
            page.wait_for_selector(SETTLED)
            page.wait_for_timeout(4000)  # charts draw after the script has ended
            page.screenshot(path=OUT / f"{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
