"""Curves over what answers took, and classes found on the way: by hand and on the page."""

from __future__ import annotations

import numpy as np
import pytest

from goralx import comparison, report
from goralx.comparison import gather, group
from goralx.report import folder as folder_module
from goralx.report.publishing import Published
from tests.comparison import made
from tests.program import call

ACCURACY = np.array([0.5, 0.7, 0.9, 0.9, 0.9])
"""Of a full pool's 1.0: 80 % is reached in round 2, 95 % never."""


def read(folder):
    return group(*gather(made.folders(folder)))


@pytest.fixture
def arms(tmp_path):
    for seed in range(3):
        spent = (1 + seed) * np.array([0.0, 4.0, 6.0, 7.0, 7.0])
        lacking = {"b": [20, None, 30][seed], "c": None} if seed < 2 else {"b": 30}
        made.record(
            tmp_path / f"dear-{seed}", seed, accuracy=ACCURACY, full=1.0,
            columns={"cost": spent}, summary={"discovered": lacking},
        )  # fmt: skip
        made.record(tmp_path / f"plain-{seed}", seed, dataset="iris", accuracy=ACCURACY, full=1.0)
    return read(tmp_path)


def test_areas_and_costs_are_over_what_answers_took(arms):
    (found,) = comparison.by_cost(arms)  # nothing of iris, where labels took one each
    assert found.dataset == "wine"
    area = (4 * 0.6 + 2 * 0.8 + 1 * 0.9) / 7  # trapezoids; the last round took nothing
    assert found.aulc[0] == pytest.approx(area)
    by_labels = np.mean([run.number(comparison.AULC) for run in arms.all_runs])
    assert abs(by_labels - area) > 0.05
    assert found.needed[:2] == (12.0, 12.0) and np.isnan(found.needed[2])  # of 6, 12, 18
    assert (found.n_reached, found.n_seeds) == ((3, 3, 0), 3)


def test_classes_are_told_with_when_they_were_found(arms):
    b, c = comparison.discovered(arms)
    assert (b.name, b.labels, b.n_found, b.n_lacking) == ("b", 25.0, 2, 3)
    assert (c.name, c.n_found, c.n_lacking) == ("c", 0, 2) and np.isnan(c.labels)


def test_the_page_has_both(arms, tmp_path, monkeypatch):
    def named(picture, folder):
        return Published(picture.name, picture.title, picture.caption, "<svg></svg>", "<svg></svg>")

    monkeypatch.setattr(folder_module, "publish_widths", named)
    page = report.write(arms, tmp_path / "report", title="Report").page.read_text()
    assert "By cost" in page and "12 (3 of 3)" in page
    assert "Classes found on the way" in page and "2 of 3" in page
    text = (tmp_path / "report" / "tables.md").read_text()
    assert "All other tables count labels" in text and "0 of 2" in text


@pytest.mark.parametrize("by", ["norm", "class"])
def test_a_summary_says_what_the_table_says(tmp_path, monkeypatch, capsys, by):

    monkeypatch.chdir(tmp_path)
    words = ("dataset=wine", "oracle=costly", "strategy=random", "n_queries=20", "figures=false")
    dear = "oracle.costs={class_0: 3.0}" if by == "class" else "oracle.base=2.0"
    done = call(capsys, *words, f"oracle.by={by}", dear, "tracker=csv", "hydra.run.dir=run")
    assert done.status == 0, done.err
    run = gather([tmp_path / "run"])[0][0]
    summary = run.summary
    x, y = run.rounds["cost"], run.rounds["test/accuracy"]
    assert summary["aulc_by_cost"] == pytest.approx(np.trapezoid(y, x) / x[-1])
    for share, cost in summary["cost_needed"].items():
        labels = summary["labels_needed"][share]
        at = None if labels is None else float(x[run.n_labelled == labels][0])
        assert cost == at
    assert f"AULC {summary['aulc_by_cost']:.4f}" in done.out
