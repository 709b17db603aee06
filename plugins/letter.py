"""letter: 20,000 images of capital letters as 16 integers (Frey and Slate 1991), 26 classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import goralx
from goralx import BadInput, Instance
from goralx.data import fetch_openml, find, find_openml, first_line, given_path

ROWS, FEATURES, OPENML_ID = 20_000, 16, 6
WAYS_OUT = (
    "without a network, set dataset.path to UCI's letter-recognition.data "
    "(doi:10.24432/C5ZP40), to a letter.arff, or to a data_home of scikit-learn's that holds it"
)


@dataclass(frozen=True)
class Letter:
    """Letter recognition in the sizes of Table 1: pool 14,948, init 52 (2 a class), test 5,000.

    ``path``: UCI's ``letter-recognition.data``, a ``letter.arff``, a folder with one of them, or a
    ``data_home`` of scikit-learn's OpenML cache (read from a copy, never changed). None: the folder
    ``GORALX_DATA`` (``letter/`` or ``openml_home/``), else OpenML's data set 6 by way of
    scikit-learn's own cache. The files hold the same samples in different orders, so a seed draws
    other rows from another file.
    """

    path: str | None = None
    n_init: int = 52
    n_test: int = 5000
    standardize: bool = True
    C: float = 1.0

    def __post_init__(self) -> None:
        goralx.check_split(self.n_init, self.n_test, self.C)

    def instance(self, rng: np.random.Generator) -> Instance:
        X, letters, source = self._samples()
        if X.shape != (ROWS, FEATURES):
            raise BadInput(
                f"{source}: {X.shape[0]} rows of {X.shape[1]} features; letter has {ROWS} of "
                f"{FEATURES}; get the file again, or use dataset=csv for data of your own"
            )
        return goralx.make_instance(
            "letter",
            X,
            letters,
            rng=rng,
            n_init=self.n_init,
            n_test=self.n_test,
            standardize=self.standardize,
            source=source,
        )

    def _samples(self) -> tuple[np.ndarray, np.ndarray, str]:
        """Features (20000, 16), letters (20000,), and where they came from."""
        place = (
            given_path(self.path)
            if self.path is not None
            else find("letter/letter-recognition.data", "letter/letter.arff")
            or find_openml("letter", OPENML_ID)
        )
        if place is not None and place.is_dir() and not (place / "openml").is_dir():
            place = _file_in(place)
        if place is None or place.is_dir():
            bunch = fetch_openml(
                WAYS_OUT, place, data_id=OPENML_ID, as_frame=False, parser="liac-arff"
            )
            return bunch.data, bunch.target, "OpenML data set 6 (letter, version 1)"
        return *(_read_arff(place) if place.suffix == ".arff" else _read_uci(place)), place.name


def _file_in(folder: Path) -> Path:
    for name in ("letter-recognition.data", "letter.arff"):
        if (folder / name).is_file():
            return folder / name
    raise BadInput(
        f"{folder} holds neither letter-recognition.data nor letter.arff nor a folder openml; "
        "set dataset.path to one of these files or to a data_home of scikit-learn's"
    )


def _read_uci(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """No header; the letter first, then 16 integers."""
    try:
        with warnings.catch_warnings():  # of an empty file, which is refused for its size
            warnings.filterwarnings("ignore", ".*input contained no data")
            table = np.loadtxt(path, dtype=str, delimiter=",", ndmin=2)
        return table[:, 1:].astype(np.float64), table[:, 0]
    except Exception as error:  # whatever a damaged file makes numpy raise
        raise _unreadable(path, "letter,x-box,...,yegvx", error) from error


def _read_arff(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Sixteen numeric attributes and a nominal one, the letter."""
    from scipy.io import arff

    try:
        data, meta = arff.loadarff(path)
    except Exception as error:  # scipy's parser raises whatever a line makes it stumble over
        raise _unreadable(path, "16 numeric attributes and the letter", error) from error
    kinds = dict(zip(meta.names(), meta.types()))
    nominal = [name for name, kind in kinds.items() if kind == "nominal"]
    if len(nominal) != 1:
        raise BadInput(
            f"{path}: {len(nominal)} nominal attributes; letter.arff has one, the letter"
        )
    numeric = [name for name in kinds if name not in nominal]
    return np.stack([data[name] for name in numeric], axis=1), data[nominal[0]].astype(str)


def _unreadable(path: Path, expected: str, error: Exception) -> BadInput:
    return BadInput(
        f"{path} is not the letter data ({first_line(error)}); expected {expected}; {WAYS_OUT}"
    )


@goralx.hookimpl
def register_datasets(register):
    register("letter", Letter)
