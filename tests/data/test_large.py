"""Pools that stay on disk: the same run as in memory, and Dask's the same again, bit for bit."""

import errno
import os
import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import goralx
from goralx.app.closing_table import closing_table
from goralx.contracts.passes import HERE, pieces_of
from goralx.data import matrix
from goralx.data.large_files import converted, open_matrix
from goralx.discovery import registry
from goralx.errors import BadInput, Incompatible
from goralx.records import inputs
from goralx.records.storage import read_stacked
from tests import runs as small
from tests.problems import blobs, build
from tests.program import call, launch, runs

N, D, K = 700, 5, 3


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks in a pool that is quick to run over."""
    monkeypatch.setattr(matrix, "BLOCK", 128)


@pytest.fixture
def files(tmp_path):
    X, y = blobs(np.random.default_rng(0), N, D, K)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    np.save(tmp_path / "y.npy", y)
    return tmp_path


def dataset(folder, **options):
    paths = {"path": str(folder / "X.npy"), "labels": str(folder / "y.npy")}
    return build("dataset", "npy", **{**paths, "n_test": 60, **options})


def on_disk(folder, **options):
    return dataset(folder, **options).instance(np.random.default_rng(1))


def in_memory(folder, standardize=False):
    return goralx.make_instance(
        "npy", np.load(folder / "X.npy"), np.load(folder / "y.npy"),
        rng=np.random.default_rng(1), n_test=60, standardize=standardize, source="X.npy",
    )  # fmt: skip


def experiment(instance, goal="ent", operator="max", **options):
    parts = {"strategy": "goral", "utility": "influence", "model": "softmax", "rule": "top"}
    parts |= {k: options.pop(k) for k in parts if k in options}
    rng = np.random.default_rng(2)
    if build("goal", goal).reference == "dev":
        instance = instance.with_dev(0.3, rng)
    dev = instance.subset(instance.dev) if len(instance.dev) else None
    own, model = build("goal", goal), build("model", parts["model"])
    utility = goralx.GoalOrientedUtility(
        own, build("operator", operator), build("utility", parts["utility"]), model, dev,
        pool_y=instance.y[instance.pool], first_order=build("utility", "influence"),
    )  # fmt: skip
    monitors = options.pop("monitors", {goal: own, "fir": build("goal", "fir")})
    return goralx.Experiment(
        instance, model, build("strategy", parts["strategy"]), utility, monitors, goal,
        **{"n_queries": 20, "rule": build("batch", parts["rule"]), **options},
    )  # fmt: skip


def same(these, those, rtol=0.0):
    assert len(these) == len(those)
    for a, b in zip(these, those):
        np.testing.assert_array_equal(a.queried, b.queried)
        if a.utility is None:
            assert b.utility is None
        else:
            np.testing.assert_allclose(a.utility, b.utility, rtol=rtol, atol=0)
        for name, value in a.metrics.items():
            if not name.startswith("seconds") and not (rtol and name == "utility/noise"):
                np.testing.assert_allclose(value, b.metrics[name], rtol=rtol, err_msg=name)


def test_a_view_reads_what_the_array_holds_and_pickles_as_ranges(files):
    import pickle

    X, view = np.load(files / "X.npy"), open_matrix(files / "X.npy")
    rows = np.array([3, 4, 5, 9, 2, 699])
    assert view.shape == X.shape and view.dtype == np.float32 and len(view.part(rows)) == 6
    for index in (slice(2, 5), slice(None), 3, np.array([5, 0]), slice(1, 2)):
        np.testing.assert_array_equal(view[index], X[index])
        np.testing.assert_array_equal(view.part(rows)[index], X[rows][index])
    np.testing.assert_array_equal(view.part(slice(4, 9)).part(rows[:2]), X[4:9][rows[:2]])
    assert np.shares_memory(view[2:5], view[2:5])
    assert np.shares_memory(view.part(rows)[:3], view[3:6]), "consecutive rows are not copied"
    with pytest.raises(ValueError, match="read-only"):
        view[0:2][0, 0] = 1.0
    large = view.part(np.arange(1, 650))
    sent = pickle.dumps(large)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent), X[1:650])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(view.part(rows))), X[rows])
    assert len(pickle.loads(pickle.dumps(view.part(rows[:0])))) == 0


def test_pieces_are_whole_blocks_in_order():
    class Cut:
        remote, pieces = True, 3

    assert [(p.start, p.stop) for p in pieces_of(700, 2, HERE)][:2] == [(0, 128), (128, 256)]
    pieces = pieces_of(700, 2, Cut())
    assert [p.start for p in pieces] == [0, 256, 512] and pieces[-1].stop == 700
    assert len(pieces_of(100, 2, Cut())) == 1


GOALS = [
    c.name
    for c in registry().components.values()
    if c.group == "goal" and issubclass(c.cls, goralx.LogitGoal)
]


@pytest.mark.parametrize("goal", GOALS)
def test_from_disk_is_as_from_memory_for_every_goal(files, goal):
    disk, memory = on_disk(files), in_memory(files)
    assert isinstance(disk.pool_X, goralx.View) and isinstance(memory.pool_X, np.ndarray)
    assert inputs({}, disk) == inputs({}, memory)
    same(list(experiment(disk, goal).rounds()), list(experiment(memory, goal).rounds()))


OPERATORS = registry().names("operator")


@pytest.mark.parametrize("operator", [o for o in OPERATORS if o not in ("expected", "estimated")])
def test_from_disk_is_as_from_memory_for_every_operator(files, operator):
    rounds = [
        list(experiment(i, "fir", operator).rounds()) for i in (on_disk(files), in_memory(files))
    ]
    same(*rounds)


@pytest.mark.parametrize("goal", GOALS)
def test_blocks_add_up_to_the_whole(files, goal, monkeypatch):
    """What no goal is told of: the sum over blocks, against everything at once in float64."""
    instance = in_memory(files)
    instance = replace(instance, X=instance.X.astype(np.float64))
    blocked = list(experiment(instance, goal).rounds())
    monkeypatch.setattr(matrix, "BLOCK", 1 << 20)
    same(blocked, list(experiment(instance, goal).rounds()), rtol=1e-9)


def test_a_goal_that_is_not_separable_sees_everything_at_once(files):
    seen = []

    class Whole(type(build("goal", "ent"))):
        separable = False

        def value_and_logit_gradient(self, log_P, X, y):
            seen.append(len(X))
            return super().value_and_logit_gradient(log_P, X, y)

    instance = on_disk(files)
    own = experiment(instance)
    whole = replace(own.utility, goal=Whole())
    rounds = list(replace(own, utility=whole, monitors={"ent": whole.goal}).rounds())
    assert set(seen) == {len(instance.pool)}
    np.testing.assert_allclose(
        [r.metrics["goal/ent"] for r in rounds],
        [r.metrics["goal/ent"] for r in own.rounds()], rtol=1e-5,
    )  # fmt: skip


def test_standardised_as_it_is_read(files):
    disk, memory = on_disk(files, standardize=True), in_memory(files, standardize=True)
    np.testing.assert_allclose(np.asarray(disk.X), memory.X, atol=1e-5)
    known = np.concatenate([disk.pool, disk.init])
    np.testing.assert_allclose(disk.X[known].std(axis=0), 1.0, atol=1e-5)


def test_a_round_allocates_far_less_than_the_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "BLOCK", 1 << 10)
    n, d = 40_000, 128
    rng = np.random.default_rng(0)
    X, y = blobs(rng, n, d, 2)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    np.save(tmp_path / "y.npy", y)
    del X
    whole = n * d * 4
    rounds = experiment(on_disk(tmp_path), n_queries=20).rounds()
    tracemalloc.start()
    next(rounds)
    tracemalloc.reset_peak()
    next(rounds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    arrays = n * 2 * 8 * 3 + n * 8 * 8  # log P of pool and candidates, U; and some of one column
    assert peak < arrays + 3_000_000 < whole, f"{peak / 1e6:.1f} MB for a pool of {whole / 1e6} MB"


def test_the_whole_pool_is_fit_only_where_it_is_small_or_asked_for(files, monkeypatch):
    made = experiment(on_disk(files))
    assert made.full_pool()["accuracy"] > 0.5
    assert replace(made, ceiling=False).full_pool() is None
    monkeypatch.setattr("goralx.learning.experiment.CEILING", 100)
    assert made.full_pool() is None
    assert replace(made, ceiling=True).full_pool()["accuracy"] > 0.5


def test_a_run_on_the_command_line_and_its_resumption(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    words = ["dataset=npy", "dataset.path=X.npy", "dataset.labels=y.npy", "tracker=csv",
             "n_queries=20", "ceiling=false", "progress=false"]  # fmt: skip
    done = call(capsys, *words)
    assert done.status == 0, done.err
    assert "the whole pool was not fit" in done.out and "ceiling=true" in done.out
    folder = runs(files)[0]
    utility = read_stacked(folder / "utilities.npz", "utility", [1])[0]
    with np.load(folder / "utilities.npz") as stored:
        np.testing.assert_array_equal(utility, stored["utility"][1])
        assert stored["utility"].shape == (2, N - N // 4 - 2 * K)
    assert call(capsys, "resume", str(folder)).status == 0
    assert call(capsys, *words, "ceiling=perhaps").status == 2


def refused(folder, **options):
    with pytest.raises(BadInput) as caught:
        on_disk(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bad_files_are_refused_in_a_line(files):
    X = np.load(files / "X.npy")
    bad = X.copy()
    bad[431, 2] = np.nan
    np.save(files / "X.npy", bad)
    assert "nan in row 431, feature 2" in refused(files)
    assert "nan in row 431, feature 2" in refused(files, standardize=True)
    for wrong in (X.astype(np.int64), X.astype(np.float16), X[:, 0], X[:0]):
        np.save(files / "X.npy", wrong)
        assert "float32 or float64" in refused(files)
    np.save(files / "X.npy", X)
    whole = (files / "X.npy").read_bytes()
    (files / "X.npy").write_bytes(whole[:-100])
    assert "truncated" in refused(files)
    (files / "X.npy").write_bytes(whole[:40])
    assert "cannot be read" in refused(files)
    (files / "X.npy").write_bytes(b"not an array")
    assert "not a .npy file" in refused(files)
    np.save(files / "X.npy", X[:-1])
    assert f"{N - 1} rows of features but {N} labels" in refused(files)
    np.save(files / "X.npy", X.astype(object), allow_pickle=True)
    assert "Python objects" in refused(files)
    assert "no such file" in refused(files, path=str(files / "none.npy"))
    assert "labels" in refused(files, labels=None)


@pytest.fixture
def table(files, monkeypatch):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setenv("GORALX_CACHE", str(files / "cache"))
    X, y = np.load(files / "X.npy"), np.load(files / "y.npy")
    columns = {f"x{j}": X[:, j] for j in range(D)}
    made = pa.table({**columns, "label": np.array(["a", "b", "c"])[y]})
    parquet.write_table(made, files / "X.parquet", row_group_size=150)
    return files


def test_a_parquet_file_is_converted_once_by_row_groups(table):
    options = {"path": str(table / "X.parquet"), "labels": None, "label": "label"}
    instance = on_disk(table, **options)
    np.testing.assert_array_equal(np.asarray(instance.X), np.load(table / "X.npy"))
    assert instance.classes == ("a", "b", "c")
    (made,) = (table / "cache" / "npy").iterdir()
    before = (made / "X.npy").stat().st_mtime_ns
    on_disk(table, **options)
    assert (made / "X.npy").stat().st_mtime_ns == before
    with pytest.raises(goralx.UnknownName, match="label=nothing"):
        on_disk(table, **{**options, "label": "nothing"})


def test_a_disk_that_is_full_leaves_nothing_behind(table, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("goralx.data.large_files._write_header", full)
    with pytest.raises(BadInput, match=r"No space left on device.*GORALX_CACHE"):
        converted(table / "X.parquet", None)
    assert list((table / "cache" / "npy").iterdir()) == []
    (table / "X.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(BadInput, match="parquet"):
        converted(table / "X.parquet", None)


@pytest.fixture(scope="module")
def dask():
    pytest.importorskip("distributed")
    return build("engine", "dask", workers=2, blocks=3)


@pytest.mark.parametrize(
    "goal, operator, strategy",
    [("ent", "max", "goral"), ("fir", "oracle", "goral"), ("dev", "annealed", "goral"),
     ("ent", "max", "uncertainty")],
)  # fmt: skip
def test_other_processes_choose_the_same(tmp_path, monkeypatch, dask, goal, operator, strategy):
    monkeypatch.undo()  # the workers' blocks are what they are
    X, y = blobs(np.random.default_rng(0), 20_000, D, K)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    instance = on_disk(tmp_path)
    options = {"goal": goal, "operator": operator, "strategy": strategy}
    here = list(experiment(instance, **options).rounds())
    same(here, list(experiment(instance, **options, engine=dask).rounds()))


@pytest.mark.parametrize(
    "options, reason",
    [({"utility": "implicit"}, "Implicit needs the pool"), ({"operator": "laplace"}, "Laplace"),
     ({"rule": "kmeanspp"}, "batch=top"), ({"goal": "weighted"}, "WeightedDevLikelihood"),
     ({"monitors": {"ent": build("goal", "ent"), "dopt": build("goal", "dopt")}}, "DOptimality")],
)  # fmt: skip
def test_what_cannot_go_over_blocks_is_refused_by_name(files, options, reason):
    engine = build("engine", "dask")
    with pytest.raises(Incompatible, match=rf"{reason}.*|.*engine=local"):
        experiment(on_disk(files), **options, engine=engine)
    with pytest.raises(Incompatible, match="dataset=npy"):
        experiment(in_memory(files), engine=engine)


def test_an_address_where_nobody_answers_is_told_in_a_line(files):
    pytest.importorskip("distributed")
    out = launch(
        files, "dataset=npy", "dataset.path=X.npy", "dataset.labels=y.npy", "tracker=csv",
        "engine=dask", "engine.address=tcp://127.0.0.1:9", "n_queries=10",
    )  # fmt: skip
    assert out.status == 2 and "engine.address" in out.errors[-1]


def test_the_closing_table_of_a_run_without_a_ceiling():
    summary = {
        "name": "r", "directory": "d", "metric": "accuracy", "test": {"accuracy": 0.5},
        "aulc": 0.5, "full_pool": None, "higher_is_better": {"accuracy": True},
        "labels_needed": {"80%": None, "90%": None}, "dev_labels_used": 0, "n_init": 2,
        "n_queries": 2, "seconds": {"fit": 0.0, "score": 0.0, "total": 0.0}, "config": {},
        "uses_ground_truth": False,
    }  # fmt: skip
    said = closing_table(summary)
    assert "not fit" in said and "None" not in said


@pytest.mark.parametrize("how", ["rewritten", "truncated", "removed", "touched"])
def test_a_file_that_changes_under_a_run_ends_it_in_words(files, how):
    path, of = files / "X.npy", registry().build("dataset", "npy", paths(files))
    rounds = small.experiment(of, n_queries=30).rounds()
    next(rounds)
    if how == "rewritten":
        np.save(path, -np.load(path))
    elif how == "truncated":
        os.truncate(path, 1000)
    elif how == "removed":
        path.unlink()
    else:
        os.utime(path, ns=(0, 0))
    with pytest.raises(BadInput, match=r"X\.npy has changed since it was opened"):
        list(rounds)
    if how in ("rewritten", "touched"):  # begun again, it is what it is now
        next(small.experiment(of, n_queries=30).rounds())


def paths(folder):
    return {"path": str(folder / "X.npy"), "labels": str(folder / "y.npy")}


def test_a_view_knows_its_file_in_another_process_too(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.zeros((10, 2)))
    view = open_matrix(path)
    sent = pickle.dumps(view.part(slice(2, 5)))
    assert pickle.loads(sent).stamp == view.stamp
    np.save(path, np.ones((11, 2)))
    with pytest.raises(BadInput, match="has changed"):
        pickle.loads(sent)[:]
