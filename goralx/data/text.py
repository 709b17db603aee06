"""Texts to vectors: TF-IDF with SVD, or a transformer's [CLS]; both kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goralx.errors import BadInput

from .sources import cache_folder, first_line, read_arrays, write_atomically
from .sparse import Sparse

Vectors = NDArray[np.float32]

COMPONENTS = 200
"""Dimensions that texts are reduced to where nobody says how many."""


class Encoder(Protocol):
    """Turns texts into vectors; ``settings`` is all that determines them beside the texts."""

    @property
    def settings(self) -> dict[str, Any]: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(N, d), a row a text."""


def _weights(texts: Sequence[str]) -> Any:
    """TF-IDF of words and word pairs (N, terms), sparse; rows of length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), min_df=min(2, len(texts)), token_pattern=r"\S+"
    )
    try:
        return vectorizer.fit_transform(texts)
    except ValueError as error:  # no word is left
        raise BadInput(f"TF-IDF of {len(texts)} texts: {error}") from error


@dataclass(frozen=True)
class Tfidf:
    """TF-IDF of words and word pairs, kept sparse: a feature a term.

    Fit to all the texts it is given and to no label. Rows have length 1, times ``scale``.
    """

    scale: float = 1.0

    def encode(self, texts: Sequence[str]) -> Sparse:
        """(N, terms), a row a text; quick enough never to be cached."""
        return Sparse.of((_weights(texts) * self.scale).astype(np.float32), "TF-IDF")


@dataclass(frozen=True)
class TfidfSvd:
    """Latent semantic analysis: TF-IDF of words and word pairs, reduced by a truncated SVD.

    Fit to all the texts it is given and to no label; ``n_components`` None is 200, or as many as
    there can be. The vectors are scaled by one number so that their mean squared norm is that, as
    it would be if they were standardised: the geometry stays, and a penalty means the same for any
    number of components.
    """

    n_components: int | None = None
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        return {"encoder": "tfidf-svd", **asdict(self)}

    def encode(self, texts: Sequence[str]) -> Vectors:
        from sklearn.decomposition import TruncatedSVD

        weights = _weights(texts)
        most = min(weights.shape) - 1
        n_components = min(COMPONENTS, most) if self.n_components is None else self.n_components
        if not 1 <= n_components <= most:
            raise BadInput(
                f"dataset.n_components={n_components}; allowed: 1 to {most},"
                f" fewer than the {weights.shape[0]} texts and their {weights.shape[1]} terms"
            )
        svd = TruncatedSVD(n_components, algorithm="arpack", random_state=self.seed)
        X = svd.fit_transform(weights)
        # a singular vector's sign is arbitrary: its largest entry is made positive
        largest = np.abs(svd.components_).argmax(axis=1)
        X *= np.sign(svd.components_[np.arange(len(largest)), largest])
        X *= np.sqrt(n_components * len(X)) / np.linalg.norm(X)
        return np.asarray(X, dtype=np.float32)


@dataclass(frozen=True)
class TransformerCls:
    """Last hidden state of the first token ([CLS]) of a transformers model, before any pooler.

    ``model`` is a name on the Hugging Face hub or a folder. Files that are on this machine are used
    first; weights are read as safetensors only. Longer texts are cut at ``max_length`` tokens.
    """

    model: str = "bert-base-uncased"
    max_length: int = 128

    @property
    def settings(self) -> dict[str, Any]:
        folder = Path(self.model).expanduser()
        name = {"files": _folder_digest(folder)} if folder.is_dir() else {"model": self.model}
        return {"encoder": "transformer-cls", "max_length": self.max_length, **name}

    def encode(self, texts: Sequence[str]) -> Vectors:
        torch, transformers = _text_extra()
        from tqdm import tqdm

        tokenizer, model = self._load(transformers)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = model.to(device).eval()
        X = np.empty((len(texts), model.config.hidden_size), dtype=np.float32)
        order = np.argsort([-len(t) for t in texts], kind="stable")  # equal lengths pad little
        with torch.inference_mode(), tqdm(total=len(texts), unit="text", desc=self.model) as bar:
            for start in range(0, len(texts), BATCH):
                rows = order[start : start + BATCH]
                tokens = tokenizer(
                    [texts[i] for i in rows],
                    padding=True,
                    truncation=True,
                    max_length=self.max_length,
                    return_tensors="pt",
                ).to(device)
                X[rows] = model(**tokens).last_hidden_state[:, 0].float().cpu().numpy()
                bar.update(len(rows))
        return X

    def _load(self, transformers: Any) -> tuple[Any, Any]:
        """Tokenizer and model: from this machine, or else from the hub."""
        given = Path(self.model).expanduser()
        if given.is_dir():
            return self._pretrained(transformers, str(given))
        try:
            return self._pretrained(transformers, self.model)
        except BadInput:  # not here, or not all of it
            return self._pretrained(transformers, self._download())

    def _pretrained(self, transformers: Any, name: str) -> tuple[Any, Any]:
        """What lies on this machine under this name or in this folder."""
        try:
            return (
                transformers.AutoTokenizer.from_pretrained(name, local_files_only=True),
                transformers.AutoModel.from_pretrained(
                    name, local_files_only=True, use_safetensors=True
                ),
            )
        except Exception as error:  # a damaged file makes each of its readers fail in its own way
            raise self._unavailable(error) from error

    def _download(self) -> str:
        """The folder of the model's files, fetched at once: transformers retries each for long."""
        import huggingface_hub

        patterns = ["*.json", "*.txt", "*.model", "model*.safetensors"]
        try:
            return str(huggingface_hub.snapshot_download(self.model, allow_patterns=patterns))
        except Exception as error:  # of whichever HTTP library the hub's client was built on
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> BadInput:
        return BadInput(
            f"cannot load the model {self.model} ({first_line(error)}); give dataset.model a "
            "folder with its files (tokenizer, model.safetensors), or use dataset.encoder=tfidf"
        )


@dataclass(frozen=True)
class TextEncoder:
    """Which encoder texts are given to, by ``name``, and the options of all of them.

    "tfidf" is `TfidfSvd`, "terms" is `Tfidf` (sparse), "transformer" is `TransformerCls`.
    """

    name: str = "tfidf"
    model: str = "bert-base-uncased"
    max_length: int = 128
    n_components: int | None = None

    def __post_init__(self) -> None:
        if self.name not in ENCODERS:
            raise BadInput(f"dataset.encoder={self.name}; allowed: {', '.join(ENCODERS)}")
        for name, least in (("max_length", 3), ("n_components", 1)):
            given = getattr(self, name)
            if given is not None and given < least:
                raise BadInput(f"dataset.{name}={given}; at least {least}")

    def vectors(self, texts: Sequence[str]) -> Vectors | Sparse:
        """(N, d), a row a text; from the cache where that saves time."""
        if self.name == "terms":
            return Tfidf().encode(texts)
        if self.name == "transformer":
            return vectors(texts, TransformerCls(self.model, self.max_length))
        return vectors(texts, TfidfSvd(self.n_components))

    def __str__(self) -> str:
        return f"{self.name} of {self.model}" if self.name == "transformer" else self.name


ENCODERS = ("tfidf", "terms", "transformer")

BATCH = 64
"""Texts encoded at a time: 64 of 128 tokens fit into 1 GB with a base-size model."""


def vectors(texts: Sequence[str], encoder: Encoder) -> Vectors:
    """The texts encoded, (N, d): from the cache if these very texts and settings were met before.

    Cached as ``vectors/<hash>.npz`` in `goralx.data.cache_folder`; a damaged file is replaced.
    """
    folder = cache_folder("vectors")
    path = folder / f"{_key(texts, encoder.settings)}.npz"
    cached = _read(path, len(texts)) if path.is_file() else None
    if cached is not None:
        return cached
    X = encoder.encode(texts)
    write_atomically(path, lambda stream: np.savez(stream, X=X))
    return X


def _key(texts: Sequence[str], settings: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for text in texts:
        encoded = text.encode()
        digest.update(b"%d:" % len(encoded) + encoded)
    return digest.hexdigest()


def _read(path: Path, n: int) -> Vectors | None:
    """The cached vectors, or None where the file is damaged and they must be made again."""
    try:
        (X,) = read_arrays(path, "X")
    except BadInput:
        return None
    return X if X.ndim == 2 and len(X) == n else None


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        with path.open("rb") as stream:
            digest.update(path.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _text_extra() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise BadInput(
            f"dataset.encoder=transformer needs torch and transformers ({error}); "
            "pip install 'goralx[text]', or use dataset.encoder=tfidf"
        ) from error
    return torch, transformers
