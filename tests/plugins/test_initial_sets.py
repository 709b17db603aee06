"""Initial sets against loops over their definitions, and what a run makes of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import goralx
from goralx import BadInput, Beginning, Incompatible, PluginError
from goralx.contracts import begun
from goralx.data import View, as_features
from tests.problems import blobs, build, instance
from tests.program import SHORT, call, launch

NAMES = ("random", "stratified", "kmeans", "kcenter", "density", "one_class")


def beginning(size=5, *, seed=0, N=40, K=3, d=2, X=None, y=None):
    rng = np.random.default_rng(seed)
    samples, labels = blobs(rng, N, d, K, spread=3.0)
    X, y = samples if X is None else X, labels if y is None else np.asarray(y)
    generator, classes = np.random.default_rng(seed), tuple("abcdefgh"[:K])
    return Beginning(X, size, generator, np.arange(size), classes, y)


def chosen(name, size=5, *, options=(), **how):
    rows = build("initial", name, **dict(options)).choose(beginning(size, **how))
    assert len(np.unique(rows)) == size
    return np.asarray(rows)


# --- what each chooses -------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(1, 12))
def test_kcenter_takes_the_farthest_from_those_it_has(seed, size):
    rows, X = chosen("kcenter", size, seed=seed), beginning(seed=seed).X
    for i in range(1, size):
        far = [min(np.linalg.norm(x - X[r]) for r in rows[:i]) for x in X]
        assert far[rows[i]] == pytest.approx(max(far))


def test_kmeans_takes_the_nearest_to_each_mean_and_nobody_for_two():
    from sklearn.cluster import KMeans

    asked = beginning(6, seed=3)
    seed = int(np.random.default_rng(3).integers(2**31 - 1))
    means = KMeans(6, n_init=1, random_state=seed).fit(asked.X).cluster_centers_
    free = list(range(len(asked)))
    expected = []
    for mean in means:
        nearest = min(free, key=lambda i: np.linalg.norm(asked.X[i] - mean))
        free.remove(nearest)
        expected.append(nearest)
    assert chosen("kmeans", 6, seed=3).tolist() == expected
    alike = np.ones((40, 2))
    assert len(set(chosen("kmeans", 6, X=alike).tolist())) == 6


def test_density_takes_the_densest_of_each_neighbourhood():
    asked, k = beginning(4, seed=1), 5
    far = {}
    near = {}
    for i, x in enumerate(asked.X):
        by_distance = sorted((np.linalg.norm(x - z), j) for j, z in enumerate(asked.X) if j != i)
        far[i] = sum(distance for distance, _ in by_distance[:k]) / k
        near[i] = {j for _, j in by_distance[:k]}
    expected, passed_over = [], set()
    for i in sorted(far, key=far.get):
        if i not in passed_over and len(expected) < 4:
            expected.append(i)
            passed_over |= near[i]
    assert set(chosen("density", 4, seed=1, options={"neighbours": k})) == set(expected)
    assert len(chosen("density", 39, options={"neighbours": 100})) == 39  # all are neighbours


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5), st.data())
def test_stratified_gives_every_class_its_share_or_as_many_as_the_others(sizes, data):
    y = np.repeat(np.arange(len(sizes)), sizes)
    if len(y) < 2:
        return
    size = data.draw(st.integers(1, len(y) - 1))
    X, K = np.zeros((len(y), 1)), len(sizes)
    rows = chosen("stratified", size, X=X, y=y, K=K)
    counts, share = np.bincount(y[rows], minlength=K), np.array(sizes) * size / len(y)
    assert (np.abs(counts - share) < 1).all()
    rows = chosen("stratified", size, X=X, y=y, K=K, options={"balanced": True})
    counts = np.bincount(y[rows], minlength=K)
    short = counts < sizes  # whoever has samples left has no fewer than anybody, but for one
    assert counts[short].min(initial=size) >= counts.max() - 1


def test_one_class_is_the_class_that_is_named_or_one_that_is_drawn():
    y = np.repeat([0, 1, 2], [3, 10, 20])
    X = np.zeros((33, 1))
    assert set(y[chosen("one_class", X=X, y=y, options={"label": "b"})]) == {1}
    drawn = {tuple(set(y[chosen("one_class", seed=s, X=X, y=y)])) for s in range(20)}
    assert drawn == {(1,), (2,)}  # there are not enough of the other
    with pytest.raises(BadInput, match=r"initial.size=5; class 'a' has 3 samples"):
        chosen("one_class", X=X, y=y, options={"label": "a"})
    with pytest.raises(BadInput, match=r"initial.label=z; the classes: a, b, c"):
        chosen("one_class", X=X, y=y, options={"label": "z"})


def test_random_is_uniform_and_looks_at_no_label():
    counts = np.zeros(40)
    for seed in range(600):
        counts[chosen("random", seed=seed, X=np.zeros((40, 1)))] += 1
    assert abs(counts / 600 - 5 / 40).max() < 0.06


@pytest.mark.parametrize("name", NAMES)
def test_only_those_that_say_so_are_shown_labels(name):
    part = build("initial", name)
    assert part.needs_labels == (name in ("stratified", "one_class"))
    assert ("looks at labels" in type(part).__doc__) == part.needs_labels


@pytest.mark.parametrize("name", ["random", "kmeans", "kcenter", "density"])
def test_sparse_features_are_chosen_from_as_dense_ones(name):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6)) * (rng.random((40, 6)) < 0.4)
    there = as_features(sparse.csr_array(X), "X")
    np.testing.assert_array_equal(chosen(name, X=X), chosen(name, X=there))


@pytest.mark.parametrize("name", NAMES)
def test_features_on_disk_are_chosen_from_as_in_memory_or_refused_by_name(name, tmp_path):
    X = beginning().X
    np.save(tmp_path / "X.npy", X)
    on_disk = View(tmp_path / "X.npy")
    if name in ("kmeans", "density"):
        with pytest.raises(Incompatible, match=rf"initial={name} .* initial=kcenter"):
            chosen(name, X=on_disk)
    else:
        np.testing.assert_array_equal(chosen(name, X=X), chosen(name, X=on_disk))


# --- what becomes of the instance ----------------------------------------------------------------


def test_given_is_the_instance_as_it_came():
    data = instance(dev=None)
    data = replace(data, init=data.init[::-1], pool=data.pool[::-1])
    assert begun(build("initial", "given"), data, np.random.default_rng(0)) is data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [None, 1, 20])
def test_init_and_pool_are_dealt_out_anew_and_the_test_set_stays(name, size):
    data, part = instance(dev=None), build("initial", name, size=size)
    new = begun(part, data, np.random.default_rng(1))
    assert len(new.init) == (size or len(data.init))
    assert not set(new.init) & set(new.pool)
    assert {*new.init, *new.pool} == {*data.init, *data.pool}
    np.testing.assert_array_equal(new.test, data.test)
    again = begun(part, data, np.random.default_rng(1))
    np.testing.assert_array_equal(new.init, again.init)


def test_a_dev_set_that_the_data_set_brings_is_not_begun_with():
    data = instance(dev=0.5)
    new = begun(build("initial", "random", size=20), data, np.random.default_rng(0))
    assert not set(new.init) & set(data.dev)
    assert set(data.dev) <= set(new.pool)


@pytest.mark.parametrize("size", [0, -3, 72, 1000])
def test_a_size_that_leaves_no_pool_or_no_init_is_refused(size):
    with pytest.raises(BadInput, match=rf"initial.size={size}; allowed: 1 to 71"):
        begun(build("initial", "random", size=size), instance(dev=None), np.random.default_rng(0))


class Short(goralx.InitialSet):
    def choose(self, asked):
        return np.arange(asked.size - 1)


class Outside(goralx.InitialSet):
    def choose(self, asked):
        return np.arange(len(asked), len(asked) + asked.size)


class Fails(goralx.InitialSet):
    def choose(self, asked):
        return asked.nothing


@pytest.mark.parametrize(
    "part, says", [(Short(), "chose 11 samples; expected 12"), (Outside(), "expected 1 to 12 row"),
                   (Fails(), "choose.*AttributeError")]
)  # fmt: skip
def test_what_somebody_elses_does_wrong_is_told_by_its_name(part, says):
    with pytest.raises(PluginError, match=rf"initial set {type(part).__name__} .*{says}"):
        begun(part, instance(dev=None), np.random.default_rng(0))


# --- what becomes of a run -----------------------------------------------------------------------


def record(folder):
    with np.load(folder / "instance.npz") as arrays:
        rows = {name: arrays[name] for name in ("init", "pool", "test")}
    return rows, json.loads((folder / "summary.json").read_text())


def run(capsys, folder, *words):
    done = call(capsys, *SHORT, "figures=false", f"hydra.run.dir={folder}", *words)
    assert done.status == 0, done.err
    return record(folder)


def test_arms_of_a_seed_begin_with_the_same_and_it_is_in_name_and_tags(tmp_path, capsys):
    a, first = run(capsys, tmp_path / "a", "initial=kcenter", "initial.size=8")
    b, other = run(capsys, tmp_path / "b", "initial=kcenter", "initial.size=8", "strategy=random")
    c, plain = run(capsys, tmp_path / "c", "strategy=random")
    for part in a:
        np.testing.assert_array_equal(a[part], b[part])
    np.testing.assert_array_equal(a["test"], c["test"])
    assert len(a["init"]) == first["n_init"] == 8 and plain["n_init"] == 6
    assert first["name"] == "iris-goral-ent-max-initial_kcenter_8-s0"
    assert first["tags"]["goralx.initial"] == "kcenter_8"
    assert plain["name"] == "iris-random-s0" and "goralx.initial" not in plain["tags"]
    assert len({s["fingerprint"] for s in (first, other, plain)}) == 3
    assert first["config"]["initial"] == {"name": "kcenter", "size": 8}


def test_given_by_name_is_the_run_as_it_always_was(tmp_path, capsys):
    _, named = run(capsys, tmp_path / "a", "initial=given")
    _, plain = run(capsys, tmp_path / "b")
    assert named["fingerprint"] == plain["fingerprint"]
    assert named["results"] == plain["results"]


def test_a_dev_set_is_drawn_from_what_is_left_in_the_pool(tmp_path, capsys):
    rows, summary = run(capsys, tmp_path / "a", "initial=kmeans", "goal=dev")
    with np.load(tmp_path / "a" / "instance.npz") as arrays:
        assert set(arrays["dev"]) <= set(rows["pool"])
    assert summary["dev_labels_in_init"] == 0


def test_arms_of_unlike_initial_sets_are_paired_told_apart_and_not_averaged(tmp_path, capsys):
    sets = ("given", "kcenter", "one_class")
    for name in sets:
        for seed in (0, 1):
            run(capsys, tmp_path / f"{name}{seed}", f"initial={name}", f"seed={seed}")
    from goralx.comparison import gather, group

    arms = group(*gather(sorted(tmp_path.iterdir())))
    assert [arm.label for arm in arms.arms] == [f"ent max initial={name}" for name in sets]
    for arm in arms.arms[1:]:
        assert len(arms.pairs("iris", arms.arms[0], arm)) == 2
    done = call(capsys, "lint", str(tmp_path))
    assert "unpaired instances" not in done.out


@pytest.mark.parametrize(
    "words, says",
    [
        (["initial=nearest"], "initial 'nearest'"),
        (["initial.size=4"], "option of initial=given"),
        (["initial=random", "initial.size=500"], "initial.size=500; allowed: 1 to 104"),
        (["initial=density", "initial.neighbours=0"], "initial.neighbours=0; allowed: at least 1"),
        (["initial=one_class", "initial.label=rose"], "initial.label=rose; the classes: setosa"),
        (["~initial"], "leaves the run without initial"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, words, says):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, *SHORT, *words)
    assert done.status == 2 and len(done.errors) == 1 and says in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_gone_on_with_from_the_set_that_it_began_with(tmp_path):
    words = ("dataset=iris", "n_queries=20", "batch_size=5", "tracker=csv", "progress=false",
             "figures=false", "initial=kmeans")  # fmt: skip
    whole = launch(tmp_path, *words, "hydra.run.dir=whole")
    assert whole.status == 0, whole.err
    folder = tmp_path / "cut"
    launch(tmp_path, *words, "hydra.run.dir=cut")
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "status": "running"}))
    resumed = launch(tmp_path, "resume", "cut")
    assert resumed.status == 0, resumed.err
    assert record(folder)[1]["results"] == record(tmp_path / "whole")[1]["results"]
