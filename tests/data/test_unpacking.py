"""What unpacks to more than there is memory for is refused before it is unpacked."""

from __future__ import annotations

import bz2
import gzip
import zipfile

import numpy as np
import pytest
from scipy.sparse import csr_array, save_npz

from goralx.data import unpacking
from goralx.errors import BadInput
from tests.runs import build

TABLE = ("u,k\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(4000))).encode()


def written(path, content: bytes) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("d.csv", content)
    else:
        path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress}[path.suffix](content))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zip"])
def test_a_table(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"d.csv{suffix}"
    written(path, TABLE)
    data = build("dataset", "csv", path=str(path), n_init=4, n_test=10)
    assert len(data.instance(np.random.default_rng(0)).pool) > 100
    monkeypatch.setattr(unpacking, "memory", lambda: len(TABLE) - 1)
    with pytest.raises(BadInput, match=f"d.csv{suffix}: it unpacks to more than the .* GiB"):
        data.instance(np.random.default_rng(0))


def test_arrays(tmp_path, monkeypatch):
    X, y = np.arange(80.0).reshape(40, 2) % 7, np.arange(40) % 2
    np.savez_compressed(tmp_path / "d.npz", X=X, y=y, unused=np.zeros(10_000))
    save_npz(tmp_path / "s.npz", csr_array(X))
    np.save(tmp_path / "y.npy", y)
    dense = build("dataset", "npz", path=str(tmp_path / "d.npz"), n_init=4, n_test=10)
    monkeypatch.setattr(unpacking, "memory", lambda: 1000)  # what is not asked for may be larger
    assert len(dense.instance(np.random.default_rng(0)).pool) == 26
    monkeypatch.setattr(unpacking, "memory", lambda: 100)
    with pytest.raises(BadInput, match=r"d\.npz: X\.npy unpacks to more than"):
        dense.instance(np.random.default_rng(0))
    sparse = build(
        "dataset", "npz", path=str(tmp_path / "s.npz"), labels=str(tmp_path / "y.npy"),
        n_init=4, n_test=10,
    )  # fmt: skip
    with pytest.raises(BadInput, match=r"s\.npz: .*npy unpacks to more than"):
        sparse.instance(np.random.default_rng(0))


def test_labels_that_are_not_text_are_named(tmp_path):
    X = np.arange(80.0).reshape(40, 2) % 7
    for labels, says in (
        (np.array([b"\xff", b"b"]), "the label of row 0 is b'.xff', bytes that are not UTF-8"),
        (np.array(["\ud800", "b"]), "the label of row 0 is '.ud800', which is not text"),
    ):
        np.savez(tmp_path / "d.npz", X=X, y=labels[np.arange(40) % 2])
        data = build("dataset", "npz", path=str(tmp_path / "d.npz"), n_init=4, n_test=10)
        with pytest.raises(BadInput, match=says):
            data.instance(np.random.default_rng(0))
