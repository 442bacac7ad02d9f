"""Settings: the later source wins, and what is wrong is said without stopping the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diag.errors import InputError
from diag.installation import CHECKOUT
from diag.settings import load_settings


def _toml(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "subrandom.toml"
    path.write_text(text)
    return {"SUBRANDOM_CONFIG": str(path)}


def _folders(tmp_path: Path, *names: str) -> list[Path]:
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.mkdir(parents=True)
    return paths


def test_the_defaults_are_the_demo_and_the_projects_own_folders() -> None:
    settings = load_settings({"SUBRANDOM_ROOTS": "  "})
    assert [root.name for root in settings.roots] == ["demo"]
    assert Path(__file__).resolve().parents[1] == CHECKOUT
    assert settings.demo_dir == CHECKOUT / "data" / "demo" and settings.evidence_dir == CHECKOUT / "evidence"
    assert settings.base_url is None and settings.problems == ()


def test_the_file_is_read_relative_to_itself(tmp_path: Path) -> None:
    _folders(tmp_path, "ckpts")
    env = _toml(tmp_path, 'roots = ["ckpts"]\nbase_url = "https://box.example/"\nevidence_dir = "mine"\n')
    settings = load_settings(env)
    assert [(root.name, root.path) for root in settings.roots[1:]] == [("ckpts", tmp_path / "ckpts")]
    assert settings.base_url == "https://box.example" and settings.evidence_dir == tmp_path / "mine"
    assert settings.config_file == tmp_path / "subrandom.toml"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    _folders(tmp_path, "a", "b")
    env = _toml(tmp_path, f'roots = ["{tmp_path / "a"}"]\nbase_url = "https://a.example"\nevidence_dir = "a"\n')
    env |= {"SUBRANDOM_ROOTS": str(tmp_path / "b"), "SUBRANDOM_BASE_URL": "http://b.example:8501"}
    env |= {"SUBRANDOM_EVIDENCE": str(tmp_path / "e"), "SUBRANDOM_DEMO": str(tmp_path / "d")}
    settings = load_settings(env)
    assert [root.name for root in settings.roots] == ["demo", "b"]
    assert settings.base_url == "http://b.example:8501"
    assert settings.evidence_dir == tmp_path / "e" and settings.roots[0].path == tmp_path / "d"


@pytest.mark.parametrize("separator", [os.pathsep, " ", "\n", f" {os.pathsep} "])
def test_roots_may_be_separated_either_way(tmp_path: Path, separator: str) -> None:
    a, b = _folders(tmp_path, "a", "b")
    settings = load_settings({"SUBRANDOM_ROOTS": f"{a}{separator}{b}"})
    assert [root.path for root in settings.roots[1:]] == [a, b]


def test_names_are_slugs_and_the_first_keeps_its_name(tmp_path: Path) -> None:
    one, two, odd = _folders(tmp_path, "1/ckpts", "2/ckpts", "my data é")
    settings = load_settings({"SUBRANDOM_ROOTS": os.pathsep.join(map(str, [one, two, odd, one]))})
    names = [root.name for root in settings.roots]
    assert names[:2] == ["demo", "ckpts"] and names[2].startswith("ckpts-") and names[3] == "my-data--"
    assert len(names) == 4, "the same folder twice is one root"
    alone = load_settings({"SUBRANDOM_ROOTS": str(one)})
    assert alone.roots[1] == settings.roots[1]


def test_a_missing_root_and_an_unknown_key_are_problems_not_errors(tmp_path: Path) -> None:
    _folders(tmp_path, "here")
    settings = load_settings(_toml(tmp_path, 'roots = ["here", "gone"]\nrotos = 1\n'))
    assert [root.name for root in settings.roots] == ["demo", "here"]
    assert any("gone" in p and "Create it" in p for p in settings.problems)
    assert any("rotos" in p and "Known keys" in p for p in settings.problems)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "javascript:alert(1)",
        "box.example",
        "http://",
        "https://u:p@x",
        "https://x/?a=1",
        "https://x#y",
        "https://x y",
        'https://x/"><b>',
        "http://[x",
        "http://x:99999",
    ],
)
def test_a_base_url_is_an_http_address(url: str) -> None:
    with pytest.raises(InputError, match="base_url"):
        load_settings({"SUBRANDOM_BASE_URL": url})


@pytest.mark.parametrize(
    "text", ["roots = ", 'roots = "a"', "roots = [1]", "base_url = 5", "evidence_dir = []", "a = " + "[" * 5000, "\x00"]
)
def test_a_bad_file_is_an_input_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        load_settings(_toml(tmp_path, text))


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_settings({"SUBRANDOM_CONFIG": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(("text", "is_open"), [("metrics = true", True), ("metrics = false", False), ("", False)])
def test_metrics_are_closed_unless_asked_for(tmp_path: Path, text: str, is_open: bool) -> None:
    """The environment wins; what is neither true nor false is said."""
    env = _toml(tmp_path, text)
    assert load_settings(env).metrics is is_open
    assert load_settings({**env, "SUBRANDOM_METRICS": "0"}).metrics is False
    assert load_settings({**env, "SUBRANDOM_METRICS": "1"}).metrics is True
    with pytest.raises(InputError, match="metrics is 'perhaps'"):
        load_settings({**env, "SUBRANDOM_METRICS": "perhaps"})
    with pytest.raises(InputError, match="metrics is '1'"):
        load_settings(_toml(tmp_path, "metrics = 1"))
