"""Where Subrandom looks and writes: defaults, then `subrandom.toml`, then the environment; the later one wins.

The file and the defaults are a checkout's own when Subrandom runs from one, and the user's when it is installed
(diag/installation.py).
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from diag import installation
from diag.errors import InputError
from diag.limits import LIMITS, Limit

CONFIG_NAME = "subrandom.toml"
MAX_CONFIG_BYTES = 1024 * 1024
DEMO_ROOT = "demo"
MOST_WORKERS = 64
_RAY_ADDRESS = re.compile(r"ray://[A-Za-z0-9.\[\]:_-]+:[0-9]{1,5}", re.ASCII)

# One row per setting: the key in subrandom.toml, the environment variable that overrides it.
VARIABLES = {
    "roots": "SUBRANDOM_ROOTS",
    "base_url": "SUBRANDOM_BASE_URL",
    "evidence_dir": "SUBRANDOM_EVIDENCE",
    "demo_dir": "SUBRANDOM_DEMO",
    "cache_dir": "SUBRANDOM_CACHE",
    "metrics": "SUBRANDOM_METRICS",
    "status": "SUBRANDOM_STATUS",
    "workers": "SUBRANDOM_WORKERS",
    "spare": "SUBRANDOM_SPARE",
    "engine": "SUBRANDOM_ENGINE",
    "public_url": "SUBRANDOM_PUBLIC_URL",
    "name": "SUBRANDOM_NAME",
    "name_header": "SUBRANDOM_NAME_HEADER",
    "runners": "SUBRANDOM_RUNNERS",
    **{row.key: row.variable for row in LIMITS},
}
DEFAULT_DIRS = installation.default_dirs()


@dataclass(frozen=True)
class Root:
    """A folder whose shards and checkpoints may be used. `name` is a slug: the first part of every id under it."""

    name: str
    path: Path


@dataclass(frozen=True)
class Settings:
    """What this installation may read, and where it writes. `problems` are sentences for the person who set it up.

    The demo folder is always the root named "demo", whether it is built yet or not. `base_url` has no slash at the
    end; it is None when links work on this machine only. What lies in `cache_dir` can be deleted at any time.
    `metrics`: whether /_stcore/metrics and /metrics answer; they tell counts and sizes to whoever asks. `status`:
    whether the operator's page /status and /status.json do. `workers`: how many, None for one a GPU or else one.
    `spare`: whether one more is kept ready for the place of one that dies, where memory allows it.
    `engine`: "local", "ray" or "ray://HOST:PORT" (diag/jobs/engine.py).
    name: who signs decisions; name_header: the header in which a proxy says it, of people it has let in; runners: who
    may start work and decide, by that name (nobody named: everybody).
    """

    roots: tuple[Root, ...]
    evidence_dir: Path
    demo_dir: Path
    cache_dir: Path = DEFAULT_DIRS["cache_dir"]
    base_url: str | None = None
    metrics: bool = False
    status: bool = False
    workers: int | None = None
    spare: bool = True
    engine: str = "local"
    name: str = ""
    name_header: str = ""
    runners: tuple[str, ...] = ()
    config_file: Path | None = None
    problems: tuple[str, ...] = ()


def slug(text: str) -> str:
    """`text` with everything outside [A-Za-z0-9._-] replaced by '-', so that it is safe in a URL and in a shell."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def short_hash(text: str) -> str:
    """8 hex digits that tell equal slugs apart."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def load_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings anew; a few file-system checks, no scan.

    A missing root or an unknown key is a problem in the result, because the rest still works. A file that cannot be
    read, a value of the wrong type or a base_url that is no http(s) address is an InputError.
    """
    config_file, config = _read_config(env)
    problems = [
        f"{CONFIG_NAME}: unknown key '{slug(key)}'. Known keys: {', '.join(VARIABLES)}."
        for key in config
        if key not in VARIABLES
    ]
    here = config_file.parent if config_file else Path.cwd()  # without a file nothing is relative to one
    dirs = {key: _folder(key, env, config, here) for key in DEFAULT_DIRS}
    wanted = _split_roots(env["SUBRANDOM_ROOTS"]) if env.get("SUBRANDOM_ROOTS", "").strip() else None
    if wanted is None:
        wanted = [here / Path(text).expanduser() for text in _strings(config, "roots")]
    return Settings(
        roots=_name_roots(dirs["demo_dir"], wanted, problems),
        evidence_dir=dirs["evidence_dir"],
        demo_dir=dirs["demo_dir"],
        cache_dir=dirs["cache_dir"],
        base_url=_base_url(_first(env, config, "public_url") or _first(env, config, "base_url")),
        metrics=_switch("metrics", _stated("metrics", env, config, False)),
        status=_switch("status", _stated("status", env, config, False)),
        workers=_workers(_stated("workers", env, config, "auto")),
        spare=_switch("spare", _stated("spare", env, config, True)),
        engine=engine_of(_stated("engine", env, config, "local")),
        name=_text(env, config, "name"),
        name_header=_text(env, config, "name_header"),
        runners=tuple(_names(env, config, "runners")),
        config_file=config_file,
        problems=tuple(problems),
    )


def limit(row: Limit, env: Mapping[str, str] = os.environ) -> int:
    """What holds for a limit now. Cost: reads the settings file, if there is one. Errors: as `load_settings`."""
    return row.stated(env, _read_config(env)[1])


def _read_config(env: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    named = env.get("SUBRANDOM_CONFIG", "").strip()
    candidates = (Path(named).expanduser().absolute(),) if named else installation.config_files(CONFIG_NAME)
    path = next((path for path in candidates if named or path.exists()), None)
    if path is None:
        return None, {}
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InputError("The file is larger than 1 MiB.", where=str(path), fix="Name the right settings file.")
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The settings cannot be read: {error.strerror}.", where=str(path), fix="Create the file or name another."
        ) from None
    except (ValueError, RecursionError) as error:  # TOML and UTF-8 errors are both ValueErrors
        raise InputError(f"This is no valid TOML: {error}.", where=str(path), fix="Correct the line.") from None


def _strings(config: Mapping[str, Any], key: str) -> list[str]:
    value = config.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{key} is no list of texts.", where=CONFIG_NAME, fix=f'Write {key} = ["…", "…"].')
    return value


def _first(env: Mapping[str, str], config: Mapping[str, Any], key: str) -> object:
    return env.get(VARIABLES[key], "").strip() or config.get(key)


def _text(env: Mapping[str, str], config: Mapping[str, Any], key: str) -> str:
    """A short line of text."""
    value = _first(env, config, key) or ""
    if not isinstance(value, str) or len(value) > 120 or not value.isprintable():
        raise InputError(f"{key} is no short line of text.", where=CONFIG_NAME, fix=f'Write {key} = "…".')
    return value


def _names(env: Mapping[str, str], config: Mapping[str, Any], key: str) -> list[str]:
    """A list in the file, names between commas in the environment."""
    given = env.get(VARIABLES[key], "").strip()
    return [part.strip() for part in given.split(",") if part.strip()] if given else _strings(config, key)


def _folder(key: str, env: Mapping[str, str], config: Mapping[str, Any], here: Path) -> Path:
    named = env.get(VARIABLES[key], "").strip()
    if named:
        return Path(named).expanduser().absolute()
    value = config.get(key)
    if value is None:
        return DEFAULT_DIRS[key]
    if not isinstance(value, str) or not value:
        raise InputError(f"{key} is no folder.", where=CONFIG_NAME, fix=f'Write {key} = "path/to/folder".')
    return (here / Path(value).expanduser()).absolute()


def _stated(key: str, env: Mapping[str, str], config: Mapping[str, Any], default: object) -> object:
    return env.get(VARIABLES[key], "").strip().lower() or config.get(key, default)


def _workers(value: object) -> int | None:
    if value == "auto":
        return None
    count = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_WORKERS:
        raise InputError(f"workers is '{value}'.", fix=f'Write workers = "auto", or a number from 1 to {MOST_WORKERS}.')
    return count


def engine_of(value: object) -> str:
    """The name of an engine, checked; InputError for any other."""
    if isinstance(value, str) and (value in ("local", "ray") or _RAY_ADDRESS.fullmatch(value)):
        return value
    raise InputError(f"engine is '{value}'.", fix="Use local, ray, or ray://HOST:PORT.")


def _switch(key: str, value: object) -> bool:
    """TOML's true and false; 1, true, 0 and false in the environment."""
    known: dict[object, bool] = {True: True, False: False, "1": True, "true": True, "0": False, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise InputError(f"{key} is '{value}'.", where=CONFIG_NAME, fix=f"Write {key} = true or {key} = false.")
    return known[value]


def _split_roots(text: str) -> list[Path]:
    """Split at os.pathsep or white space; a piece that exists as it stands keeps its spaces."""
    found: list[Path] = []
    for piece in text.split(os.pathsep):
        names = [piece] if Path(piece.strip()).expanduser().is_dir() else piece.split()
        found += [Path(name.strip()).expanduser().absolute() for name in names if name.strip()]
    return found


def _name_roots(demo_dir: Path, wanted: Iterable[Path], problems: list[str]) -> tuple[Root, ...]:
    """The demo first, then each existing folder once. An earlier root keeps its name when a later one has the same."""
    roots = {demo_dir.resolve(): Root(DEMO_ROOT, demo_dir)}
    for path in wanted:
        real = path.resolve()
        if not real.is_dir():
            problems.append(
                f"The root {path} is not there or is no folder; nothing under it is listed. "
                f"Create it, or correct {CONFIG_NAME} or SUBRANDOM_ROOTS."
            )
        elif real not in roots:
            name = slug(real.name).strip(".") or "root"
            taken = {root.name for root in roots.values()}
            roots[real] = Root(name if name not in taken else f"{name}-{short_hash(str(real))}", real)
    return tuple(roots.values())


def _base_url(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isprintable() and not re.search(r"[\s<>\"'`\\]", value):
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
            if good and parts.username is None and parts.port != 0:
                return value.rstrip("/")
        except ValueError:
            pass
    raise InputError(
        f"base_url is '{value}'.", fix="Give the address people open, for example https://gpu-box.example:8501."
    )
