"""The routes beside the pages, asked as a browser would, without starting a server."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from diag.case import Case, Window
from diag.errors import InputError
from diag.evidence.records import Record, make_record, write_record
from diag.results.baseline import BaselineResult, Check, Measurement
from diag.results.diagnosis import Conclusion, Diagnosis
from diag.results.ruler import Ruler
from diag.settings import load_settings
from diag.ui.shell import assets, knowledge, server
from diag.ui.shell.first import First

EVIL = '"><script>alert(1)</script>'


def in_a_thread(coroutine):  # type: ignore[no-untyped-def]
    """Run a coroutine where no loop runs yet: the browser tests leave one behind in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def ask(path: str, host: str = "127.0.0.1:8501", raw: bool = False, **more: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of a GET through the middleware and the routes."""
    app = Starlette(routes=server.routes(), middleware=[*server.middleware(), Middleware(First)])
    path, _, query = path.partition("?")
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()  # a GET has no body, and this client stays
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", host.encode()), *((k.replace("_", "-").encode(), v.encode()) for k, v in more.items())],
        "scheme": "http",
        "server": ("127.0.0.1", 8501),
    }
    in_a_thread(app(scope, receive, send))
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    body = b"".join(m.get("body", b"") for m in sent[1:])
    return sent[0]["status"], headers, body if raw else body.decode()


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A test record whose conclusion tries to break out of the page."""
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(tmp_path))
    monkeypatch.setenv("SUBRANDOM_BASE_URL", "https://gpu-box.example:8501")
    baseline = BaselineResult(
        measurement=Measurement(12.6, 0.06, 4096, 16, "cpu", "fp32"),
        reference=None,
        ruler=Ruler(8.318, 6.8, 3.16),
        zone="worse_than_chance",
        gate=None,
        null_models_nats=(),
        data=Check("ok", ""),
        tie=Check("tied_absent", ""),
        tokens=4096,
        sequences=16,
    )
    conclusion = Conclusion("explained", ("H4A",), f"H4A explains it {EVIL}")
    diagnosis = Diagnosis(baseline, findings=(), joint=None, conclusion=conclusion)
    made = make_record(
        "test",
        Case("demo/shards/stdlib", "demo/checkpoints/x", window=Window(4, 4, 256)),
        {"shard": {"name": "s"}, "checkpoint": {"name": "c"}},
        diagnosis,
        environment={"device": "cpu", "dtype": "fp32", "versions": {}},
        thresholds={},
        created="2026-01-02T03:04:05+00:00",
    )
    write_record(tmp_path, made)
    return made


def test_a_permanent_link_previews_and_leads_on(record: Record) -> None:
    status, headers, body = ask(f"/r/{record.id}")
    assert status == 200 and "default-src 'self'" in headers["content-security-policy"]
    assert f'content="0; url=../case?record={record.id}"' in body
    assert '<meta property="og:title" content="Explained (H4A tied weights): x on stdlib"' in body
    assert '<meta property="og:description" content="H4A explains it ' in body
    assert f'og:image" content="https://gpu-box.example:8501/pictures/{record.id}.png"' in body
    assert "12.600 ± 0.060 nats a token (n = 4,096)" in body
    assert f'content="https://gpu-box.example:8501/r/{record.id}"' in body
    assert "<script" not in body


def test_the_picture_of_a_record_is_a_png_kept_beside_it(record: Record, tmp_path: Path) -> None:
    status, headers, body = ask(f"/pictures/{record.id}.png", raw=True)
    assert (status, headers["content-type"], body[:8]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", body[16:24]) == (1200, 630)
    (kept,) = (tmp_path / "records").glob("*.png")
    assert kept.read_bytes() == body and ask("/pictures/0123456789abcdef.png")[0] == 404


@pytest.mark.parametrize(
    "path", ["/r/0123456789abcdef", "/r/<b>", "/r/..%2f..%2fetc", "/records/0123456789abcdef.json"]
)
def test_an_unknown_record_is_404_with_a_sentence(record: Record, path: str) -> None:
    status, _, body = ask(path)
    assert status == 404
    assert "record" in body.lower() and "<b>" not in body


def test_the_record_file_comes_back_byte_for_byte(record: Record, tmp_path: Path) -> None:
    status, headers, body = ask(f"/records/{record.id}.json")
    assert status == 200 and "attachment" in headers["content-disposition"]
    assert json.loads(body)["id"] == record.id
    assert body == (tmp_path / "records" / f"{record.id}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8501", 200),
        ("[::1]:8501", 200),
        ("gpu-box.example", 200),
        ("evil.example", 421),
        ("", 421),
        ("[", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
def test_only_our_own_host_names_are_answered(record: Record, host: str, status: int) -> None:
    assert ask("/healthz", host)[0] == status


def test_there_is_one_queue() -> None:
    assert server.job_queue() is server.job_queue()


def test_a_record_that_is_changed_after_it_was_shown_is_refused_at_the_next_click(
    record: Record, tmp_path: Path
) -> None:
    settings = load_settings({"SUBRANDOM_EVIDENCE": str(tmp_path), "SUBRANDOM_CONFIG": ""})
    assert knowledge.record(settings, record.id) is knowledge.record(settings, record.id)
    path = tmp_path / "records" / f"{record.id}.json"
    text = path.read_text()
    path.chmod(0o644)
    path.write_text(text.replace("12.6", "10.6"))
    with pytest.raises(InputError, match="changed after it was written"):
        knowledge.record(settings, record.id)


def test_a_page_names_the_scripts_that_it_will_need_and_they_are_the_files_of_the_framework() -> None:
    status, headers, page = ask("/triage")
    assert status == 200 and "set-cookie" in headers and headers["cache-control"] == "no-cache"
    named = [name for name in assets.preloads("triage") if f'href="./{name}"' in page]
    (wall,) = (name for name in named if "BidiComponent" in name)
    assert len(named) > 10 and wall not in ask("/case")[2]
    status, headers, body = ask(f"/{wall}", raw=True, accept_encoding="gzip, br")
    assert status == 200 and headers["content-type"].startswith(("application/javascript", "text/javascript"))
    assert gzip.decompress(body) == (assets.STATIC / wall).read_bytes()


def test_a_page_as_served_holds_the_answer_before_the_frameworks_root(record: Record) -> None:
    """As text; what a record says cannot leave it."""
    first, root, _ = ask(f"/case?record={record.id}")[2].partition('<div id="root">')
    assert root and "&#40;H4A tied weights&#41;</span>: x on stdlib</h1>" in first and ">12.600 nats<" in first
    assert EVIL not in first and "<script>alert" not in first and "H4A explains it &#34;&#62;&#60;script" in first
    assert gzip.decompress(ask(f"/case?record={record.id}", raw=True, accept_encoding="gzip")[2]).count(b"<h1>") == 1
    tested = ask(f"/hypotheses?record={record.id}")[2].partition('<div id="root">')[0]
    assert "<h2>H4A explains it &#34;&#62;&#60;script" in tested and "<b>12&#46;600" in tested and EVIL not in tested
    listed = ask("/evidence")[2].partition('<div id="root">')[0]
    assert f'<a href="./r/{record.id}">' in listed and "12&#46;600 nats" in listed and EVIL not in listed
    for other in (
        "evidence?q=12.6",
        "case?record=0123456789abcdef",
        "case?checkpoint=nobody/has",
        "case",
        "shard",
        f"case?x={'y' * 5000}",
    ):
        assert '<div id="first"' not in ask(f"/{other}")[2]


@pytest.mark.parametrize("path", ["/static/js/../../index.html", "/static/js/absent.js", "/static", "/triage/x", "/r"])
def test_only_listed_files_of_the_framework_are_answered_from_memory(path: str) -> None:
    assert ask(path, accept_encoding="gzip")[0] == 404  # what Streamlit would answer is not in this test


def test_a_part_of_a_file_and_one_without_compression_are_left_to_the_framework() -> None:
    name = f"/{assets.preloads('triage')[-1]}"
    assert [ask(name, accept_encoding="gzip", range="bytes=0-1")[0], ask(name)[0]] == [404, 404]
