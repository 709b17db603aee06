"""Where data lies: the user's own path, ``GORALX_DATA``, the cache folder, checked downloads.

A data set looks in this order: the option ``dataset.path``; the folder ``GORALX_DATA``; what an
earlier run downloaded; the network. Whatever cannot be had is told in one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from goralx.errors import BadInput

from .unpacking import check_archive


def data_folder() -> Path | None:
    """The folder that ``GORALX_DATA`` names, or None if it is not set."""
    given = os.environ.get("GORALX_DATA")
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise BadInput(f"GORALX_DATA={given} is not a folder; name one that exists, or unset it")
    return folder


def find(*names: str) -> Path | None:
    """The first of these paths that exists under ``GORALX_DATA``, or None."""
    folder = data_folder()
    if folder is None:
        return None
    return next((folder / name for name in names if (folder / name).exists()), None)


def given_path(path: str, option: str = "dataset.path") -> Path:
    """What the user named, which must exist."""
    found = Path(path).expanduser()
    if not found.exists():
        raise BadInput(
            f"{option}={path}: no such file or folder; a relative path starts at {Path.cwd()}"
        )
    return found


def cache_folder(name: str = "") -> Path:
    """A folder to keep derived and downloaded files in: ``GORALX_CACHE``, or the user's cache."""
    import pooch

    folder = Path(os.environ.get("GORALX_CACHE") or pooch.os_cache("goralx")).expanduser() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BadInput(
            f"cannot write to the cache folder {folder} ({error.strerror}); "
            "set GORALX_CACHE to a folder you can write to"
        ) from error
    return folder


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """These arrays of an ``.npz``; Python objects in it are refused, never unpickled."""
    try:
        check_archive(path, *names)  # first: numpy tries to unpickle what is not a zip file
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in names if name not in stored]
            if missing:
                there = ", ".join(stored) or "none"
                raise BadInput(
                    f"{path} has no array {', '.join(missing)}; it has {there}; "
                    f"needed: {', '.join(names)}"
                )
            return [_plain(stored, name, path) for name in names]
    except BadInput:
        raise
    except Exception as error:  # numpy, zipfile and tokenize raise a dozen kinds
        raise BadInput(f"{path} is not a readable .npz ({first_line(error)})") from error


def _plain(stored: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    try:
        return stored[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        kind = "str" if name == "y" else "float"
        raise BadInput(
            f"{path}: array {name} holds Python objects, which are never unpickled; save it anew "
            f"as plain {'texts' if name == 'y' else 'numbers'}: {name}={name}.astype({kind})"
        ) from None


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Give ``path`` what ``write`` writes: all of it or nothing, whatever happens meanwhile."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def first_line(error: BaseException) -> str:
    """An error's type and the first line of what it says."""
    said = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def find_openml(name: str | None, data_id: int | None) -> Path | None:
    """``openml_home`` in ``GORALX_DATA``, a cache of scikit-learn's, if it holds this data set."""
    home = find("openml_home")
    wanted = f"data_name/{name}" if data_id is None else f"json/data/{data_id}.gz"
    return home if home is not None and any(home.glob(f"openml/**/{wanted}")) else None


def fetch_openml(instead: str, home: Path | None, **query: Any) -> Any:
    """What `sklearn.datasets.fetch_openml` returns for the query, or `BadInput` in one line.

    ``home`` None is scikit-learn's own cache, filled as needed. Any other is read from a copy,
    because scikit-learn deletes files that it cannot use. ``instead`` tells what else to do.
    """
    import sklearn.datasets

    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {**query, "n_retries": 1}
        if home is not None:
            options["data_home"] = stack.enter_context(tempfile.TemporaryDirectory())
            shutil.copytree(home / "openml", Path(options["data_home"]) / "openml")
        stack.enter_context(warnings.catch_warnings())
        for retry in ("A network error", "Invalid cache", "Downloaded file"):
            warnings.filterwarnings("ignore", message=retry)
        try:
            return sklearn.datasets.fetch_openml(**options)
        except (OSError, ImportError, ValueError, KeyError) as error:
            asked = ", ".join(f"{k}={v}" for k, v in query.items() if k in QUERY)
            raise BadInput(f"OpenML, {asked}: {first_line(error)}; {instead}") from error


QUERY = ("name", "version", "data_id", "target_column")


def download_members(
    url: str, members: Mapping[str, str], folder: Path, *, instead: str, timeout: float = 30
) -> Path:
    """The folder with these files of a tar archive, fetched unless they are there already.

    ``members`` maps base names to SHA-256. A file that differs is refused and nothing is kept.
    ``instead`` tells the user what to do without a network.
    """
    if all(_is_intact(folder / name, digest) for name, digest in members.items()):
        return folder
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        archive = Path(temporary) / "archive"
        _fetch(url, archive, instead, timeout)
        contents = _members(archive, members, url)
    for name, digest in members.items():
        if sha256(contents[name]) != digest:
            raise BadInput(
                f"{url}: {name} has SHA-256 {sha256(contents[name])}, expected {digest}; "
                f"the download is not what it was and was not kept; {instead}"
            )
    for name, content in contents.items():
        write_atomically(folder / name, partial(_write, content))
    return folder


def _is_intact(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path.read_bytes()) == digest


def _fetch(url: str, target: Path, instead: str, timeout: float) -> None:
    import pooch

    try:
        pooch.HTTPDownloader(progressbar=True, timeout=timeout)(url, str(target), None)
    except OSError as error:  # every error of requests is one
        response = getattr(error, "response", None)
        reason = type(error).__name__ if response is None else f"status {response.status_code}"
        raise BadInput(f"cannot download {url} ({reason}); {instead}") from error


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _members(archive: Path, names: Mapping[str, str], url: str) -> dict[str, bytes]:
    """Contents by base name; paths inside the archive are read, never written."""
    try:
        with tarfile.open(archive) as tar:
            found = {
                Path(m.name).name: stream.read()
                for m in tar
                if Path(m.name).name in names and (stream := tar.extractfile(m)) is not None
            }
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BadInput(f"{url}: not a readable tar archive ({first_line(error)})") from error
    missing = sorted(set(names) - set(found))
    if missing:
        raise BadInput(f"{url}: the archive has no {', '.join(missing)}")
    return found
