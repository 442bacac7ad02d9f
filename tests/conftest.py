"""What many tests share: the demo with its trained checkpoint, and tiny untrained models of each family."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, expect, sync_playwright
from scheduling import ByCommon

import diag  # noqa: F401  first: it sets what torch reads once, when it is loaded

CHROMIUM = "/usr/bin/chromium"
INSTALL = "apt-get install -y --no-install-recommends chromium"
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
WAIT = 60_000  # ms: two busy cores

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker a core: threads of one would take the core of another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

# No deadline for one example: on a shared machine a pause of a second says nothing about the code. The examples are the
# same in every run, so that a change is judged by itself; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("repeatable")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByCommon:
    """See there."""
    config.option.loadscopereorder = False
    return ByCommon(config, log)


def pytest_collection_finish() -> None:
    """What was imported and collected, 600,000 objects, is not looked through again by each full garbage collection: a
    fortieth of the processor time of a test of the zoo."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Libraries count at the end what was not let go."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests count is not kept in the project, and not taken from it."""
    os.environ["SUBRANDOM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["SUBRANDOM_SPARE"] = "0"  # a worker in reserve imports torch for 5 s; its own tests ask for it


@pytest.fixture(scope="session")
def demo() -> Path:
    """The demo folder, built on first use: shards/stdlib, its broken twin, and checkpoints/healthy with its copies."""
    from diag.demo.build import DEFAULT_DIR, build_demo

    return build_demo(DEFAULT_DIR).dir


@pytest.fixture(scope="session")
def healthy(demo: Path) -> Path:
    """The trained checkpoint."""
    return demo / "checkpoints" / "healthy"


@pytest.fixture(scope="session")
def shard(demo: Path) -> Path:
    """The sound corpus."""
    return demo / "shards" / "stdlib"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, the one of this process (two of Playwright's loops do not go together), or a failure that says how to
    install it."""
    if not Path(CHROMIUM).exists():
        pytest.fail(f"Chromium is missing. Install it with: {INSTALL}")
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()
