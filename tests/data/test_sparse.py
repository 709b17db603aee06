"""Sparse features: read from files, checked, scaled, split; never made dense."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import goralx
from goralx.data import NotCentred, as_matrix, read_sparse_npz, read_svmlight
from goralx.data.sparse import Sparse
from goralx.errors import BadInput, Incompatible
from goralx.records import inputs
from tests.problems import build


def some(n=60, d=40, density=0.15, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, d), density=density, rng=rng, format="csr", dtype=np.float64)
    return sparse.csr_array(X.astype(dtype))


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_any_sparse_matrix_is_taken_as_rows(make, dtype):
    dense = (some().toarray() * 10).astype(dtype)
    taken = Sparse.of(make(dense), "X")
    assert taken.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert taken.shape == dense.shape and len(taken) == len(dense)
    assert np.array_equal(taken[10:20].toarray(), dense[10:20])
    assert np.array_equal(taken.part(np.array([3, 1])).rows.toarray(), dense[[3, 1]])


def test_it_is_never_made_dense_in_silence():
    with pytest.raises(Incompatible, match="features are sparse"):
        np.asarray(Sparse.of(some(), "X"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_found(bad):
    X = some()
    X.data[17] = bad
    row, column = (int(axis[17]) for axis in X.nonzero())
    assert as_matrix(Sparse.of(X, "X")).first_not_finite()[:2] == (row, column)


def test_standardised_is_scaled_as_dense_features_are_and_not_centred():
    X, rows = some(), np.arange(10, 50)
    scaled = goralx.data.features.standardized(Sparse.of(X, "X"), rows, "X")
    dense = X.toarray()
    deviation = dense[rows].std(axis=0)
    deviation[deviation <= 1e-12 * np.abs(dense[rows]).max(axis=0)] = 1.0
    assert np.allclose(scaled.rows.toarray(), dense / deviation)
    assert scaled.rows.nnz == X.nnz


def test_an_instance_says_that_it_was_not_centred():
    y = np.arange(60) % 3
    with pytest.warns(NotCentred, match="not centred"):
        drawn = goralx.make_instance("s", some(), y, rng=np.random.default_rng(0))
    assert drawn.pool_X.shape[1] == 40 and not drawn.on_disk
    single = drawn.in_single()
    assert single.X.dtype == np.float32 and single.X.rows.nnz == drawn.X.rows.nnz


def test_the_fingerprint_sees_every_number_and_no_order_of_storage():
    y, rng = np.arange(60) % 3, np.random.default_rng

    def print_of(X):
        drawn = goralx.make_instance("s", X, y, rng=rng(0), standardize=False)
        return inputs({}, drawn)

    X = some()
    other = X.copy()
    other.data[0] += 1e-9
    moved = sparse.csr_array((X.data, (X.indices + 1) % 40, X.indptr), shape=X.shape)
    assert print_of(X) == print_of(sparse.csc_array(X)) == print_of(X.tocoo())
    assert len({print_of(X), print_of(other), print_of(moved)}) == 3


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_a_file_of_scipy_s(make, tmp_path):
    X = some()
    sparse.save_npz(tmp_path / "X.npz", make(X))
    assert np.array_equal(read_sparse_npz(tmp_path / "X.npz").rows.toarray(), X.toarray())
    np.save(tmp_path / "y.npy", np.repeat(["a", "b"], 30))
    dataset = build("dataset", "npz", path=str(tmp_path / "X.npz"), standardize=False)
    with pytest.raises(BadInput, match=r"dataset\.labels=y\.npy"):
        dataset.instance(np.random.default_rng(0))
    dataset = build(
        "dataset", "npz", path=str(tmp_path / "X.npz"), labels=str(tmp_path / "y.npy"),
        standardize=False,
    )  # fmt: skip
    assert dataset.instance(np.random.default_rng(0)).classes == ("a", "b")


@pytest.mark.parametrize("zero_based", [True, False])
@pytest.mark.parametrize("compressed", [False, True])
def test_svmlight_files(zero_based, compressed, tmp_path):
    import gzip

    from sklearn.datasets import dump_svmlight_file

    X, y = some(), np.arange(60) % 3 - 1
    path = tmp_path / "data.svm"
    dump_svmlight_file(X, y, str(path), zero_based=zero_based)
    if compressed:
        whole = path.read_bytes()
        path = tmp_path / "data.svm.gz"
        path.write_bytes(gzip.compress(whole))
    read, labels = read_svmlight(path)
    assert np.allclose(read.rows.toarray(), X.toarray()[:, : read.shape[1]])
    assert np.array_equal(labels, y)
    drawn = build("dataset", "svmlight", path=str(path)).instance(np.random.default_rng(0))
    assert drawn.classes == ("-1", "0", "1")


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.svm", b""),
        ("b.svm", b"1 2:x\n"),
        ("c.svm", b"hello\n"),
        ("d.svm", b"1 1:1 99999999999:1\n0 1:2\n"),
        ("e.svm.gz", b"1 1:1\n"),
        ("f.svm", b"1 3:1 2:1\n0 1:1\n"),
        ("g.svm", b"\xff\xfe1 1:1\n"),
    ],
)
def test_files_that_are_none_are_refused_in_a_line(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadInput, match=name):
        read_svmlight(path)


def test_damaged_sparse_arrays_are_refused_in_a_line(tmp_path):
    X = some()
    parts = {"format": b"csr", "shape": X.shape, "data": X.data, "indices": X.indices}
    indptr = X.indptr.copy()
    indptr[-1] += 100
    damaged = {
        "far.npz": {**parts, "indptr": X.indptr, "indices": X.indices + 1000},
        "long.npz": {**parts, "indptr": indptr},
        "kind.npz": {**parts, "indptr": X.indptr, "format": b"dok"},
        "huge.npz": {**parts, "indptr": X.indptr, "shape": (60, 1 << 40)},
        "lost.npz": parts,
    }
    for name, arrays in damaged.items():
        np.savez(tmp_path / name, **arrays)
        with pytest.raises(BadInput, match=name):
            read_sparse_npz(tmp_path / name)
