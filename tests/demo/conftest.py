"""A built demo for the tests of this folder: built once, into a temporary folder."""

from pathlib import Path

import pytest

from diag.demo import build as demo


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    return demo.build_demo(Path(tmp_path_factory.mktemp("demo")))
