"""rt_polarity: 10,662 sentences of film reviews, positive or negative (Pang and Lee 2005)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import goralx
from goralx import BadInput, Instance
from goralx.data import (
    Encoder,
    Tfidf,
    TfidfSvd,
    TransformerCls,
    cache_folder,
    download_members,
    find,
    given_path,
    read_arrays,
    vectors,
)

URL = "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz"
FILES = {
    "rt-polarity.pos": "d79ef14009bbf87cd6be21f91c3ea1a3cbcb73b34dfb4231aef7bbcd7677abc4",
    "rt-polarity.neg": "4af43bf489620b498a0852c5a8c6a535155dec7985fdfea782b8f7756b957ccc",
}
ENCODERS = ("auto", "vectors", "tfidf", "terms", "transformer")
WAYS_OUT = (
    "without a network, set dataset.path to a folder with rt-polarity.pos and rt-polarity.neg, or "
    "to an .npz of vectors (X, y)"
)


@dataclass(frozen=True)
class RtPolarity:
    """Sentence polarity in the sizes of Table 1: pool 9,586, init 10, test 1,066 (stratified).

    ``path``: a folder with the original ``rt-polarity.pos`` and ``.neg`` (or an ``.npz``), or an
    ``.npz`` of vectors: X (N, d) and y (N,), 1 for positive. None: ``rt-polarity/`` in
    ``GORALX_DATA``, else the original archive is downloaded once into the cache folder.

    ``encoder``: "vectors" reads the ``.npz``; "tfidf" makes ``n_components`` dimensions by TF-IDF
    and SVD; "terms" is TF-IDF as it is, sparse, a feature a term; "transformer" takes [CLS] of the
    last layer of ``model``, as the paper does, of the first ``max_length`` tokens, and needs
    ``goralx[text]``; "auto" is "vectors" where there is an ``.npz``, else "tfidf". Vectors are kept
    in the cache folder. Rows: all positive sentences in the order of their file, then all negative
    ones.
    """

    path: str | None = None
    encoder: str = "auto"
    model: str = "bert-base-uncased"
    max_length: int = 128
    n_components: int = 200
    n_init: int = 10
    n_test: int = 1066
    standardize: bool = False
    C: float = 0.1

    def __post_init__(self) -> None:
        goralx.check_split(self.n_init, self.n_test, self.C)
        if self.encoder not in ENCODERS:
            raise BadInput(f"dataset.encoder={self.encoder}; allowed: {', '.join(ENCODERS)}")
        for name, least in (("max_length", 3), ("n_components", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"dataset.{name}={getattr(self, name)}; at least {least}")

    def instance(self, rng: np.random.Generator) -> Instance:
        place = given_path(self.path) if self.path is not None else find("rt-polarity")
        stored = self._stored_vectors(place)
        if stored is not None:
            X, positive = _read_vectors(stored)
            source = f"vectors of {stored.name}"
        else:
            texts, positive = _sentences(self._folder(place))
            if self.encoder == "terms":
                encoder, X = Tfidf(), Tfidf().encode(texts)
            else:
                encoder = self._encoder()
                X = vectors(texts, encoder)
            source = f"sentence polarity v1.0, {encoder}"
        return goralx.make_instance(
            "rt_polarity",
            X,
            np.where(positive, "positive", "negative"),
            rng=rng,
            n_init=self.n_init,
            n_test=self.n_test,
            standardize=self.standardize,
            source=source,
        )

    def _stored_vectors(self, place: Path | None) -> Path | None:
        """The .npz to read, or None if the sentences are to be encoded."""
        if place is not None and place.is_file():
            if self.encoder not in ("auto", "vectors"):
                raise BadInput(
                    f"dataset.encoder={self.encoder} encodes sentences, and {place} is a file of "
                    "vectors; leave the encoder out, or give the folder of the sentences"
                )
            return place
        if self.encoder not in ("auto", "vectors"):
            return None
        found = sorted(place.glob("*.npz")) if place is not None else []
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise BadInput(f"{place} holds {names}; set dataset.path to one of them")
        if not found and self.encoder == "vectors":
            raise BadInput(
                "dataset.encoder=vectors, and there is no .npz in dataset.path or in GORALX_DATA's "
                "rt-polarity/; set dataset.path to one, or use dataset.encoder=tfidf or transformer"
            )
        return found[0] if found else None

    def _folder(self, place: Path | None) -> Path:
        """The folder of the two files of sentences, downloaded if need be."""
        if place is not None and all((place / name).is_file() for name in FILES):
            return place
        if self.path is not None:
            raise BadInput(f"{place} holds no {' and '.join(FILES)}, the original archive's files")
        return download_members(URL, FILES, cache_folder("rt-polarity"), instead=WAYS_OUT)

    def _encoder(self) -> Encoder:
        if self.encoder == "transformer":
            return TransformerCls(self.model, self.max_length)
        return TfidfSvd(self.n_components)


def _sentences(folder: Path) -> tuple[list[str], np.ndarray]:
    """Sentences and whether each is positive."""
    both = [_lines(folder / name) for name in FILES]
    return both[0] + both[1], np.repeat([True, False], [len(part) for part in both])


def _lines(path: Path) -> list[str]:
    r"""Lines end in \n alone: byte 0x85 is an ellipsis, which str.splitlines would split at."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")  # a converted copy; the original is never valid UTF-8
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is neither Windows-1252 nor UTF-8 ({error})") from error
    return [line.strip() for line in text.split("\n") if line.strip()]


def _read_vectors(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (N, d) and whether each is positive."""
    X, y = read_arrays(path, "X", "y")
    if y.dtype.kind not in "biuf" or not (np.isin(y, (0, 1)).all() or np.isin(y, (-1, 1)).all()):
        raise BadInput(f"{path}: y must be 1 for positive and 0 (or -1) for negative")
    return X, y > 0


@goralx.hookimpl
def register_datasets(register):
    register("rt_polarity", RtPolarity)
