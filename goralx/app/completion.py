"""What the Tab key asks: answered from a listing on disk, without loading a plugin or numpy.

The listing is of every component and its options; it is made anew once a plugin's file, conf/ or
what is installed has changed. This module asks only the standard library until then.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from glob import escape, glob
from pathlib import Path
from typing import Any

FLAGS = ("-sc", "--shell_completion")


def answered(words: Sequence[str]) -> bool:
    """Whether this was the question of bash's (or zsh's) Tab key, and is answered now."""
    if not (len(words) == 2 and words[0] in FLAGS and words[1] == "query=bash"):
        return False
    line = os.environ.get("COMP_LINE", "")
    line = line[: int(os.environ.get("COMP_POINT") or len(line))]
    print(" ".join(candidates(line, listing())))
    return True


def candidates(line: str, known: Mapping[str, Any]) -> list[str]:
    """What the last word of a command line may become; nothing where it is a file."""
    words = line.split()
    last = "" if line[-1:].isspace() or not words else words.pop()
    before = words[1:]
    if before and before[0] in known["commands"]:
        shows = before == ["plugins", "show"]
        names = [name for of in known["groups"].values() for name in of] if shows else []
        return sorted({name for name in names if name.startswith(last)})
    key, equals, value = last.partition("=")
    if not equals:
        offered = [*_keys(before, last, known), *(() if before else known["commands"])]
        return sorted(word for word in offered if word.startswith(last))
    if key in known["groups"]:
        done, comma, begun = value.rpartition(",")
        names = sorted(name for name in known["groups"][key] if name.startswith(begun.lstrip("[")))
        bracket = "[" if begun.startswith("[") else ""
        return [f"{key}={done}{comma}{bracket}{name}" for name in names]
    if key.rpartition(".")[2] in ("path", "labels", "data_home"):
        return [f"{key}={found}" for found in sorted(glob(f"{escape(value)}*"))]
    return []


def _keys(before: Sequence[str], last: str, known: Mapping[str, Any]) -> Iterator[str]:
    """Groups and options that may come before an equals sign, given the choices made so far."""
    chosen = {**known["chosen"], **dict(word.split("=", 1) for word in before if "=" in word)}
    for group, names in known["groups"].items():
        yield f"{group}="
        options = names.get(chosen.get(group, ""), ())
        if last.startswith(f"{group}."):
            yield from (f"{group}.{option}=" for option in options)
        elif options:
            yield f"{group}."
    yield from (f"{option}=" for option in known["options"])


def listing() -> dict[str, Any]:
    """Groups, names, options and commands, from the cache folder if they are of today."""
    stamps, path = _stamps(), _cache()
    with suppress(OSError, ValueError, KeyError, TypeError):  # none there, or a damaged one
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["stamps"] == stamps:
            return dict(kept["listing"])
    from .choices import listed
    from .commands import COMMANDS

    made = {**listed(), "commands": sorted(COMMANDS)}
    with suppress(OSError):  # a folder that cannot be written to costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(json.dumps({"stamps": stamps, "listing": made}), encoding="utf-8")
        os.replace(partial, path)
    return made


def _cache() -> Path:
    given = os.environ.get("GORALX_CACHE")
    if given:
        return Path(given).expanduser() / "completion.json"
    import platformdirs

    return Path(platformdirs.user_cache_dir("goralx")) / "completion.json"


def _stamps() -> list[list[Any]]:
    """Of whatever the listing depends on: path, time of change, size."""
    package = Path(__file__).resolve().parent.parent
    homes = [home for home in (package, package.parent) if (home / "plugins").is_dir()][:1]
    folders = [
        Path(f).expanduser() for f in os.environ.get("GORALX_PLUGINS", "").split(os.pathsep) if f
    ]
    files = [path for home in homes for path in (home / "conf").rglob("*.yaml")]
    files += [p for f in [*(home / "plugins" for home in homes), *folders] for p in f.glob("*.py")]
    installed = [Path(p) for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    places = [*sorted(files), *installed, Path(__file__)]
    stats = [(str(path), path.stat()) for path in places if path.exists()]
    return [[name, stat.st_mtime_ns, stat.st_size] for name, stat in stats]
