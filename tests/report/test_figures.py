"""Figures: there, whole, with something drawn; none where there is nothing to draw."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from goralx.app import runner
from goralx.records import read_rounds
from goralx.report import figures, paint, pool_figure
from goralx.report.style import FORMATS
from tests import runs


def pixels(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


def assert_drawn(path):
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    image = pixels(path)
    assert image.shape[1] == 2400 and 900 <= image.shape[0] <= 3600
    assert 0.005 < (image < 0.9).any(axis=-1).mean() < 0.7


def names(directory):
    """Of its pictures, each of which is there in every format."""
    found = sorted(p.name for p in (directory / "figures").iterdir())
    stems = sorted({Path(name).stem for name in found})
    assert found == sorted(f"{stem}.{suffix}" for stem in stems for suffix in FORMATS)
    return stems


def test_every_format_is_what_it_says_and_the_same_when_drawn_again(tmp_path):
    figure = lambda: figures.learning_curve(curve([0.5, 0.85, 0.85]), RESULTS)  # noqa: E731
    for folder in ("a", "b"):
        paint(tmp_path / folder / "x", figure)
    heads = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF"}
    for suffix, head in heads.items():
        first, second = ((tmp_path / folder / f"x.{suffix}").read_bytes() for folder in "ab")
        assert first.startswith(head) and first == second


def test_every_picture_says_of_which_run_it_is(tmp_path):
    directory = tmp_path / "run"
    summary = runs.run(directory, runs.experiment("synth2", n_queries=10))
    assert figures.described(summary) == "synth2 · GoalOriented ent max influence · seed 0"
    for name in names(directory):
        text = (directory / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert "<!-- synth2 · GoalOriented ent max influence · seed 0 -->" in text, name


def test_a_record_without_tags_says_nothing_of_its_run():
    assert figures.described({"name": "old"}) == ""


def test_a_run_draws_its_curves(finished):
    directory, _ = finished
    assert names(directory) == ["goal_curves", "learning_curve", "utility_distribution"]
    for name in names(directory):
        assert_drawn(directory / "figures" / f"{name}.png")


def test_a_random_run_has_no_utilities_to_draw(tmp_path):
    runs.run(tmp_path / "run", runs.experiment(strategy="random", n_queries=10))
    assert names(tmp_path / "run") == ["goal_curves", "learning_curve"]


def test_where_only_quantiles_are_kept_they_are_drawn(finished, tmp_path):
    whole, directory = finished[0], tmp_path / "run"
    made = runs.experiment()
    runner.run(
        made, runs.info(directory, made), hydra_files=runs.HYDRA_FILES, progress=False,
        tracker=runs.build("tracker", "csv"), observe=lambda round: {}, all_utilities=False,
    )  # fmt: skip
    assert not (directory / "utilities").exists() and not (directory / "utilities.npz").exists()
    assert names(directory) == names(whole)
    assert_drawn(directory / "figures" / "utility_distribution.png")
    assert (directory / "queries.csv").read_text() == (whole / "queries.csv").read_text()
    kept, all_of_them = (read_rounds(d) for d in (directory, whole))
    for column in kept:
        if not column.startswith("seconds/"):
            np.testing.assert_array_equal(kept[column], all_of_them[column])


@pytest.mark.parametrize("n_queries", [6, 60])
def test_two_features_give_a_picture_of_the_pool(tmp_path, n_queries):
    directory = tmp_path / "run"
    runs.run(directory, runs.experiment("synth2", n_queries=n_queries, batch_size=3))
    assert "pool" in names(directory)
    with np.load(directory / "instance.npz", allow_pickle=False) as stored:
        named = stored["groups"][stored["group"]]
    assert named[[0, 250, 599]].tolist() == ["central", "distracting", "definitive"]
    assert_drawn(directory / "figures" / "pool.png")


def test_groups_are_named_beside_their_samples_with_how_many_were_queried():
    instance = runs.experiment("synth2").instance
    names = np.array(instance.groups)[instance.group]
    central = instance.pool[names[instance.pool] == "central"]
    positive = central[instance.y[central] == 1][:7]
    figure = pool_figure.pool(
        instance, np.arange(7), positive, lambda X: np.log(np.full((len(X), 2), 0.5))
    )
    said = sorted(t.get_text() for t in figure.axes[0].texts if " of " in t.get_text())
    assert said == sorted(
        [
            "central: 7 of 85",
            "central: 0 of 85",
            *["distracting: 0 of 90", "definitive: 0 of 90"] * 2,
        ]
    )


def test_the_boundary_is_where_the_likeliest_class_changes():
    instance = dataclasses.replace(runs.experiment("synth2").instance, classes=("a", "b"))
    weights = np.array([1.0, 2.0])  # x + 2 y = 3

    def log_proba(X):
        margin = X @ weights - 3.0
        return np.stack([-np.logaddexp(0, margin), -np.logaddexp(0, -margin)], axis=1)

    none = np.empty(0, dtype=np.int64)
    figure = pool_figure.pool(instance, none, none, log_proba)
    contours = [c for c in figure.axes[0].collections if type(c).__name__ == "QuadContourSet"]
    (line,) = [path.vertices for c in contours for path in c.get_paths()]
    assert len(line) > 10 and np.abs(line @ weights - 3.0).max() < 1e-3


def test_more_classes_have_boundaries_too(tmp_path):
    from goralx import make_instance

    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 30)
    X = np.array([[0, 0], [4, 0], [0, 4]])[y] + rng.normal(size=(90, 2))

    class Plane:
        def instance(self, rng):
            return make_instance("plane", X, y, rng=rng, n_init=6, n_test=20)

    runs.run(tmp_path / "run", runs.experiment(Plane(), n_queries=10))
    assert_drawn(tmp_path / "run" / "figures" / "pool.png")


def curve(accuracy):
    n = 10.0 * np.arange(1, len(accuracy) + 1)
    return {"n_labelled": n, "test/accuracy": np.array(accuracy)}


RESULTS = {
    "metric": "accuracy", "higher_is_better": {"accuracy": True},
    "full_pool": {"accuracy": 0.9}, "aulc": 0.7,
    "labels_needed": {"80%": 20, "90%": 20, "95%": None},
}  # fmt: skip


def test_thresholds_are_marked_where_they_are_met_and_named_where_no_curve_is():
    (axes,) = figures.learning_curve(curve([0.5, 0.85, 0.85]), RESULTS).axes
    assert [t.get_text() for t in axes.texts] == ["full pool 0.900"]
    remark = axes.get_title(loc="right")
    assert remark == "AULC 0.700; dots: 80, 90 % of the full pool at 20, 20 labels"
    dots = [line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() == "o"]
    assert [20.0, 0.85] in dots


def test_the_learning_curve_is_of_the_first_metric_a_loss_too():
    rounds = {**curve([0.5, 0.6, 0.7]), "test/log_loss": np.array([2.0, 0.9, 0.8])}
    results = {
        "metric": "log_loss", "higher_is_better": {"log_loss": False},
        "full_pool": {"log_loss": 0.7}, "aulc": 1.2, "labels_needed": {"80%": 30},
    }  # fmt: skip
    (axes,) = figures.learning_curve(rounds, results).axes
    assert axes.get_ylabel() == "test log loss (nats)"
    assert [2.0, 0.9, 0.8] in [list(line.get_ydata()) for line in axes.lines]
    low, high = axes.get_ylim()
    assert 0.5 < low < 0.7 and 2.0 < high < 2.3


def test_goal_curves_have_a_panel_a_goal_and_one_for_predictions():
    rounds = {
        **curve([0.5, 0.6]), "goal/ent": np.array([-3.0, -2.0]), "goal/fir": np.array([-9.0, -8.0]),
        "change/predicted": np.array([np.nan, 1.5]), "change/realised": np.array([np.nan, 1.0]),
    }  # fmt: skip
    panels = figures.goal_curves(rounds, "fir").axes
    assert [axes.get_ylabel() for axes in panels] == ["τ fir", "τ ent", "Δτ fir per batch"]
    assert panels[0].lines[0].get_ydata().tolist() == [-9.0, -8.0]
    assert all(line.get_marker() == "o" for line in panels[2].lines[1:])  # one number is no line
    with_units = figures.goal_curves(rounds, "ent", "", {"ent": "nats"}).axes
    labels = [axes.get_ylabel() for axes in with_units]
    assert labels == ["τ ent (nats)", "τ fir", "Δτ ent per batch (nats)"]
    assert len({axes.get_xlim() for axes in panels}) == 1
    panels[0].figure.draw_without_rendering()
    legend = panels[2].get_legend().get_window_extent()
    assert legend.x0 >= panels[2].get_window_extent().x1
    rounds["change/predicted"] = np.full(2, np.nan)
    assert len(figures.goal_curves(rounds, "fir").axes) == 2


def test_a_run_of_one_scored_round_can_be_drawn(tmp_path):
    runs.run(tmp_path / "run", runs.experiment(n_queries=5))
    assert_drawn(tmp_path / "run" / "figures" / "utility_distribution.png")


def test_a_large_pool_is_no_large_file(tmp_path):
    from goralx import make_instance

    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 2
    X = rng.normal(size=(len(y), 2)) + y[:, None]
    instance = make_instance("large", X, y, rng=rng, n_init=4, n_test=100)
    none = np.empty(0, dtype=np.int64)
    even = lambda X: np.log(np.full((len(X), 2), 0.5))  # noqa: E731
    paint(tmp_path / "pool", lambda: pool_figure.pool(instance, none, none, even))
    assert all((tmp_path / f"pool.{suffix}").stat().st_size < 1_500_000 for suffix in FORMATS)
