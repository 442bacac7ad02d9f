"""Which tests go to the same worker of pytest-xdist: a server or a trained model that they have in common is made once.

Not by its marks (`--dist loadgroup`): version 3.8 keeps the group in an attribute that pytest 9.2 does not read.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

SLOW_BROWSER = ("test_browser_journey", "test_browser_repair", "test_browser_weights")  # as long together as the others
SHARING = ("test_zoo_run", "test_zoo_full", "test_h0_ids")  # modules of the zoo whose tests share what is trained


class ByCommon(LoadScopeScheduling):
    """Groups in the order in which they are collected, so that the browser's, the longest, begin."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        match path.parts[:2]:
            case ("tests", "browser"):
                # Two workers at most: a third Chromium beside them leaves the servers' own workers, which step back for
                # pages, no time to start.
                return f"browser {path.stem in SLOW_BROWSER}"
            case ("tests", "jobs"):  # workers are forked from one reserve
                return "jobs"
            case ("tests", "zoo") if path.stem not in SHARING:
                return nodeid  # the longest module would be waited for
            case _:
                return str(path)
