"""The curves that MLflow's pages open on: a chart view kept with the experiment, and its address.

MLflow's own first view is every metric of the ten latest runs. What it keeps when somebody shares a
view is an experiment tag of JSON, found by the key in the address; this is such a view: mean curves
over seeds, a line for each arm on each data set, of all runs. Its fields are those of MLflow's
pages (3.10 to 3.17), which fill in what is left out and ignore what they do not know.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from goralx.contracts import RunInfo

from ..naming import metric_name

KEY = "goralx-curves"
PRIMARY = "mlflow.experiment.primaryMetric.name"
SHARED = f"mlflow.sharedViewState.{KEY}"
CURVE = "goralx.curve"
"""The tag of data set and arm: runs that agree on it are drawn as their mean, under its value."""

METRIC = "goralx.metric"
"""The tag of the metric that a run's learning curve is of: the first of its ``metrics``."""

USUAL, NONE = {"utility": "influence", "batch": "top"}, "-"
"""Choices that go without saying in an arm's name, and the tag where there is none."""

OPEN, CLOSED = ("test", "goal"), ("audit", "change", "seconds", "summary", "utility", "kappa")
"""Sections of charts: a metric is in that of its prefix, and so are those that come up later."""

LATEST = 100
"""Runs that MLflow's pages load at first."""

DESCRIPTION = (
    "Runs of goralx: a run for each data set, arm (strategy, goal, label operator, ...) and seed. "
    "Steps count labelled samples, so that a chart of `test/accuracy` is a learning curve and one "
    "of `goal/...` a goal curve. `goralx ui` opens on the mean curves over seeds; `goralx report` "
    "has bands and statistics."
)


def curve_tags(run: RunInfo) -> dict[str, str]:
    """What the curves of a run are drawn under, and which they are; a study has none."""
    if "goralx.job" in run.tags:
        return {}
    chosen = [run.tags.get(f"goralx.{group}", NONE) for group in ("strategy", "goal", "operator")]
    chosen += [run.tags.get(f"goralx.{group}", usual) for group, usual in USUAL.items()]
    arm = " ".join(name for name in chosen if name not in (NONE, *USUAL.values()))
    metric = next(iter(run.config.get("metrics") or ["accuracy"]))
    return {CURVE: f"{run.tags['goralx.dataset']}, {arm}", METRIC: str(metric)}


def chart_view(metric: str = "accuracy", limits: tuple[float, float] | None = (0.0, 1.0)) -> str:
    """The view, as MLflow's pages read it: this metric's chart within limits, and all others."""
    low, high = limits or (None, None)
    chart = {
        "uuid": "goralx-curve",
        "type": "LINE",
        "metricSectionId": "goralx-test",
        "metricKey": f"test/{metric}",
        "displayName": metric,
        "range": {} if limits is None else {"yMin": low, "yMax": high},
        "displayPoints": False,
        "isGenerated": False,
        "deleted": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }
    sections = [
        {
            "uuid": f"goralx-{name}",
            "name": name,
            "display": name in OPEN,
            "isReordered": True,
            "columns": 2,
            "cardHeight": 400,
        }
        for name in (*OPEN, *CLOSED)
    ]
    grouped = [{"mode": "tag", "groupByData": CURVE}]
    axis = {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""}
    state = {
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": {"aggregateFunction": "average", "groupByKeys": grouped},
        "groupsExpanded": {},
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunCharts": [chart],
        "compareRunSections": sections,
        "globalLineChartConfig": axis,
    }
    return json.dumps(state)


def describe_experiment(client: Any, experiment_id: str, *, anew: bool = False) -> None:
    """Give the experiment its chart view and, unless somebody wrote one, a description.

    ``anew``: fit the view to the runs that are there now.
    """
    have = client.get_experiment(experiment_id).tags
    want = {}
    if anew:
        metric, limits = _shown(client, experiment_id)
        want = {PRIMARY: f"test/{metric}", SHARED: chart_view(metric, limits)}
    elif SHARED not in have:
        want = {PRIMARY: "test/accuracy", SHARED: chart_view()}
    if "mlflow.note.content" not in have:
        want["mlflow.note.content"] = DESCRIPTION
    for key, value in want.items():
        if have.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)


def _shown(client: Any, experiment_id: str) -> tuple[str, tuple[float, float] | None]:
    """The metric of most of the latest runs, and a range that holds its curves if they are shares.

    Left to itself MLflow draws from 0 on.
    """
    runs = client.search_runs([experiment_id], max_results=LATEST)
    metrics = Counter(run.data.tags[METRIC] for run in runs if METRIC in run.data.tags)
    metric = metrics.most_common(1)[0][0] if metrics else "accuracy"
    name = metric_name(f"test/{metric}")
    curves = [run.info.run_id for run in runs if name in run.data.metrics]
    points = [m.value for run_id in curves for m in client.get_metric_history(run_id, name)]
    if not points or min(points) < 0 or max(points) > 1:
        return metric, None
    return metric, (math.floor(10 * min(points)) / 10, 1.0)


def curves_page(experiment_id: str) -> str:
    """The address of the curves, behind the server's."""
    where = f"#/experiments/{experiment_id}/runs?compareRunsMode=CHART&viewStateShareKey={KEY}"
    return f"?workflowType=machine_learning{where}"
