"""Class names of any kind: pictures show them as they are, and no picture fails a run."""

from __future__ import annotations

import csv
import json
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from goralx import make_instance
from goralx.escaping import for_terminal, from_csv
from goralx.report import Undrawn, caption, figures, fonts, legend, paint, pool_figure
from tests import runs
from tests.program import SHORT, call

NAMES = ("$50-$100", "_no", "=1+1", "\x1b[31mred\x1b[0m", "a\nb", r"\frac{1}", "日本", "$")


class Named:
    """Two features, a blob a class, classes called so."""

    def __init__(self, names=NAMES):
        self.names = names

    def instance(self, rng):
        rng = np.random.default_rng(0)
        y = np.repeat(np.arange(len(self.names)), 12)
        X = rng.normal(size=(len(y), 2)) + np.stack([y, y**2 % 5], axis=1)
        labels = np.array(self.names)[y]
        return make_instance("named", X, labels, rng=rng, n_init=2 * len(self.names), n_test=20)


def shown(figure):
    """The texts of a figure, as they are drawn."""
    figure.canvas.draw()
    return [text._preprocess_math(text.get_text()) for text in figure.findobj(Text)]


def test_a_legend_has_every_name_as_it_is():
    instance = Named().instance(None)
    none = np.empty(0, dtype=np.int64)

    def log_proba(X):
        return np.tile(np.arange(len(NAMES)), (len(X), 1)) * X[:, :1]

    texts = shown(pool_figure.pool(instance, none, none, log_proba))
    for name in instance.classes:
        assert (caption(name).replace(r"\$", "$"), False) in texts, name


@pytest.mark.parametrize("names", [("_a", "_b"), ("$a$", "$"), ("", "x"), ("a", "a")])
def test_a_legend_of_a_figure_or_of_axes(names):
    figure = Figure()
    axes = figure.add_subplot()
    handles = [axes.plot([0, 1])[0] for _ in names]
    for place in (figure, axes):
        made = legend(place, handles, names)
        found = [t._preprocess_math(t.get_text()) for t in made.get_texts()]
        assert found == [(name, False) for name in names]


def test_a_run_over_such_classes_finishes_and_can_be_resumed_and_explained(tmp_path):
    directory, experiment = tmp_path / "run", runs.experiment(Named(), n_queries=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Undrawn)
        assert runs.run(directory, experiment)["status"] == "finished"
        (directory / "figures" / "pool.png").unlink()
        runs.resume(directory, experiment)
    assert (directory / "figures" / "pool.png").exists()
    with (directory / "queries.csv").open(newline="", encoding="utf-8") as file:
        cells = [row["label"] for row in csv.DictReader(file)]
    assert {from_csv(cell) for cell in cells} <= set(NAMES)
    assert not any(cell.startswith("=") for cell in cells)


def test_the_terminal_shows_no_escape_sequence_of_a_class(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    instance = Named().instance(None)
    lines = [[*x, instance.classes[k]] for x, k in zip(instance.X, instance.y)]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["u", "v", "\x1b]0;title\x07"], *lines])
    words = ("dataset=csv", "dataset.path=t.csv", *SHORT[1:], "hydra.run.dir=run")
    for command in (words, ("explain", "run"), ("explain", "run", "--json")):
        outcome = call(capsys, *command)
        assert outcome.status == 0, outcome
        assert "\x1b" not in outcome.out + outcome.err
    assert json.loads(outcome.out)["samples"][0]["label"] in NAMES
    refused = call(capsys, *words, "dataset.label=t", "hydra.run.dir=other")
    assert refused.status == 2 and r"\x1b]0;title\x07" in refused.err and "\x1b" not in refused.err


@pytest.mark.parametrize("error", [ValueError("broken $picture$"), OSError(28, "No space left")])
def test_a_picture_that_cannot_be_drawn_fails_no_run(error, tmp_path, monkeypatch):
    def broken(*_):
        summary = json.loads((directory / "summary.json").read_text())
        assert summary["status"] == "finished"  # results are written before anything is drawn
        raise error

    directory, experiment = tmp_path / "run", runs.experiment(n_queries=10)
    monkeypatch.setattr(figures, "goal_curves", broken)
    summary = runs.run(directory, experiment)
    assert summary["status"] == "finished" and summary["test"]["accuracy"] > 0
    made = sorted(path.name for path in (directory / "figures").iterdir())
    assert made == sorted(
        f"{name}.{suffix}"
        for name in ("learning_curve", "utility_distribution")
        for suffix in ("png", "svg", "pdf")
    )
    monkeypatch.undo()
    runs.resume(directory, experiment)
    assert (directory / "figures" / "goal_curves.png").exists()


def test_what_stops_a_run_while_it_draws_leaves_it_finished(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "learning_curve", stopped)
    with pytest.raises(KeyboardInterrupt):
        runs.run(tmp_path / "run", runs.experiment(n_queries=10))
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "finished"


def test_a_picture_says_that_it_is_missing(tmp_path):
    with pytest.warns(Undrawn, match=r"x could not be drawn \(ZeroDivisionError: why\)"):
        paint(tmp_path / "x", lambda: (_ for _ in ()).throw(ZeroDivisionError("why")))
    assert list(tmp_path.iterdir()) == []


def test_whatever_the_user_s_own_settings_are(tmp_path):
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True}), warnings.catch_warnings():
        warnings.simplefilter("error")
        paint(tmp_path / "x", lambda: figures._panels([2.0], np.arange(3))[0])
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_letters_are_found_in_other_fonts(tmp_path):
    """One that DejaVu Sans lacks, and a font that comes with matplotlib has."""
    only_there = next(iter(sorted(stix() - dejavu())))
    assert caption(only_there) == only_there
    figure = Figure()
    figure.text(0.5, 0.5, caption(only_there))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paint(tmp_path / "x", lambda: figure)


def dejavu():
    import matplotlib

    folder = f"{matplotlib.get_data_path()}/fonts/ttf"
    return fonts._letters(f"{folder}/DejaVuSans.ttf") | fonts._letters(
        f"{folder}/DejaVuSans-Bold.ttf"
    )


def stix():
    import matplotlib

    found = fonts._letters(f"{matplotlib.get_data_path()}/fonts/ttf/STIXGeneral.ttf")
    return {c for c in found if for_terminal(c) == c and not 0xE000 <= ord(c) <= 0xF8FF}


def test_letters_that_no_font_has_are_spelt_out_and_told_apart():
    unknown = ("\U000e0100", "\U0003fffd")
    assert [caption(c) for c in unknown] == [r"\U000e0100", r"\U0003fffd"]
    assert caption("grüße Ω") == "grüße Ω"
