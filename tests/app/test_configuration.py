"""conf/ and the registry say the same, and a configuration becomes the run it describes."""

from __future__ import annotations

import dataclasses
import enum
import json
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import ValidationError

import goralx
import goralx.testing
from goralx.app import assembly, choices, naming, nodes
from goralx.app.assembly import Run, prepare
from goralx.app.configuration import plain
from goralx.app.nodes import node_type
from goralx.contracts.samples import Candidates, Reference
from goralx.discovery import CHOICES, METRICS, Component, registry
from goralx.learning.experiment import Experiment
from goralx.learning.measures import USUAL

CONF = choices.config_folder()
OWN = sorted(
    (c for c in registry().components.values() if c.origin == "goralx"),
    key=lambda c: (c.group, c.name),
)


def composed(*overrides: str) -> dict:
    nodes.register_nodes(registry())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plain(compose("config", overrides=list(overrides)))


@pytest.mark.parametrize("component", OWN, ids=lambda c: f"{c.group}-{c.name}")
def test_every_file_has_the_values_of_its_dataclass(component):
    made = dataclasses.MISSING
    defaults = {
        f.name: f.default if f.default_factory is made else f.default_factory()
        for f in dataclasses.fields(component.cls)
        if f.init
    }
    node = composed(component.chosen)[component.folder]
    if component.group == "metric":
        assert list(node) == [component.name]
        node = node[component.name]
    assert node == {"name": component.name, **json.loads(json.dumps(defaults))}


@pytest.mark.parametrize("component", OWN, ids=lambda c: f"{c.group}-{c.name}")
def test_every_file_lists_and_explains_every_option(component):
    lines = (CONF / component.folder / f"{component.name}.yaml").read_text().splitlines()
    assert lines[0].startswith("# ")
    listed = yaml.safe_load("\n".join(lines))
    listed.pop("defaults")
    assert list(listed) == [f.name for f in component.fields]


def test_every_file_is_of_a_component():
    folders = (*CHOICES, METRICS)
    files = {(p.parent.name, p.stem) for p in CONF.glob("*/*.yaml") if p.parent.name in folders}
    assert files == {(c.folder, c.name) for c in OWN}


def test_the_top_level_values_are_those_of_the_experiment():
    config = composed()
    fields = {f.name: f.default for f in dataclasses.fields(Experiment)}
    for name in ("batch_size", "n_queries", "seed", "guard"):
        assert config[name] == fields[name]
    assert config["stop"] == {"name": "budget"}
    assert tuple(config["metrics"]) == USUAL


@pytest.mark.parametrize(
    "overrides, C",
    [
        (["dataset=digits"], 1.0),
        (["dataset=synth2"], 0.1),
        (["dataset=rt_polarity"], 0.1),
        (["dataset=letter", "model=sklearn"], 1.0),
        (["dataset=synth2", "model=sklearn"], 0.1),
        (["dataset=digits", "dataset.C=3"], 3.0),
        (["dataset=synth2", "model.C=2"], 2.0),
        (["experiment=letter"], 1.0),
        (["experiment=rt_polarity"], 0.1),
        (["experiment=synth2"], 0.1),
        (["experiment=synth2", "model.C=5"], 5.0),
    ],
)
def test_the_model_takes_the_regularisation_of_its_data(overrides, C):
    assert composed(*overrides)["model"]["C"] == C


def test_the_model_has_its_own_regularisation_where_the_data_set_has_none(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Plain:
        """No C."""

        def instance(self, rng): ...

    found = registry()
    extended = {**found.components, ("dataset", "plain"): Component("dataset", "plain", Plain, "x")}
    nodes.register_nodes(dataclasses.replace(found, components=extended))
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = plain(compose("config", overrides=["dataset=plain"]))
    assert config["model"]["C"] == 1.0


# What a dataclass may declare --------------------------------------------------------------------


class Colour(enum.Enum):
    red = 1
    blue = 2


@dataclasses.dataclass(frozen=True)
class Everything:
    """One of each kind."""

    required: float
    count: int = 3
    maybe: float | None = None
    path: Path = Path("here")
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (1.0, 2.0)
    names: list[str] = dataclasses.field(default_factory=lambda: ["x"])
    colour: Colour = Colour.red
    anything: int | list[int] = 1
    derived: int = dataclasses.field(init=False, default=7)
    reference: ClassVar[str] = "pool"


EVERYTHING = Component("goal", "everything", Everything, "a test")


def build(**options):
    components = {("goal", "everything"): EVERYTHING}
    found = dataclasses.replace(registry(), components=components)
    return assembly._build(found, "goal", {"name": "everything", **options})


def test_a_node_has_the_name_and_the_options_and_is_typed():
    node = OmegaConf.structured(node_type(EVERYTHING))
    assert list(node) == [
        "name", "required", "count", "maybe", "path", "kind", "pair", "names", "colour", "anything"
    ]  # fmt: skip
    assert OmegaConf.is_missing(node, "required")
    for key, value in {"count": "many", "maybe": "x", "colour": "green", "pair": "x"}.items():
        with pytest.raises(ValidationError):
            node[key] = value
    node.count = 4  # and may be changed, though the component is frozen


def test_options_arrive_in_the_types_they_are_declared_with():
    node = OmegaConf.structured(node_type(EVERYTHING))
    node.merge_with({"required": 1, "path": "/a", "pair": [3, 4], "colour": "blue", "kind": "b"})
    built = build(**{k: v for k, v in plain(node).items() if k != "name"})
    assert built == Everything(1.0, path=Path("/a"), pair=(3.0, 4.0), colour=Colour.blue, kind="b")
    assert built.names == ["x"] and built.anything == 1


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), "digits-goral-ent-max-s0"),
        (("batch=sequential", "utility=implicit"), "digits-goral-ent-max-implicit-sequential-s0"),
        (("strategy=random", "batch=sequential", "utility=implicit"), "digits-random-s0"),
        (("strategy=random", "model=sklearn"), "digits-random-sklearn-s0"),
    ],
)
def test_a_name_says_what_the_run_depends_on_and_is_not_as_usual(words, name):
    config = composed("dataset=digits", *words)
    assert naming.run_name(config, registry()) == name
    assert ("goralx.model" in naming.tags(config, registry())) == ("model=sklearn" in words)


def test_a_plain_configuration_is_json():
    node = OmegaConf.structured(node_type(EVERYTHING))
    node.required = float("inf")
    config = plain(node)
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert build(**{k: v for k, v in config.items() if k != "name"}).required == float("inf")


@pytest.mark.parametrize(
    "options, line",
    [
        ({}, r"goal=everything needs a value for required · goal.required=\.\.\."),
        ({"required": 1, "kind": "c"}, "goal.kind=c; allowed: a, b"),
        ({"required": 1, "cuont": 2}, "'cuont'; did you mean 'count'"),
    ],
)
def test_what_a_component_cannot_take_is_refused(options, line):
    with pytest.raises(goralx.GoralxError, match=line):
        build(**options)


def test_an_option_called_name_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Named:
        name: str = "x"

    with pytest.raises(goralx.PluginError, match="'name', which is taken"):
        node_type(Component("goal", "named", Named, "a test"))


# From a configuration to a run -------------------------------------------------------------------


def run(*overrides: str, sweep: str | None = None) -> Run:
    words = ("dataset=wine", "n_queries=20", "tracker=csv", *overrides)
    return prepare(composed(*words), Path("nowhere"), sweep)


def test_a_run_is_what_was_composed():
    made = run("goal=fir", "goal.include_intercept=false", "operator=annealed", "operator.end=2",
               "batch_size=3", "seed=4", "stop=utility_threshold", "stop.min_gain=0.1",
               "threads=2", "progress=false", "guard=error", sweep="s")  # fmt: skip
    experiment = made.experiment
    assert experiment.utility.goal.include_intercept is False
    assert experiment.utility.goal is experiment.monitors["fir"]
    assert experiment.utility.operator.end == 2.0
    assert (experiment.batch_size, experiment.n_queries, experiment.seed) == (3, 20, 4)
    assert experiment.guard == "error"
    assert (experiment.stop.min_gain, experiment.stop.patience) == (0.1, 3)
    assert list(experiment.monitors) == ["ent", "fir"]
    assert (made.threads, made.progress) == (2, False)
    assert made.info.name == "wine-goral-fir-annealed-s4"
    assert made.info.config["operator"] == {
        "name": "annealed", "start": 5.0, "end": 2.0, "schedule": "exponential"
    }  # fmt: skip
    assert len(made.info.tags["goralx.fingerprint"]) == 64
    expected = {
        "goralx.goal": "fir",
        "goralx.operator": "annealed",
        "goralx.strategy": "goral",
        "goralx.utility": "influence",
        "goralx.batch": "top",
        "goralx.dataset": "wine",
        "goralx.seed": "4",
        "goralx.sweep": "s",
        "goralx.uses_ground_truth": "false",
    }
    assert {tag: made.info.tags[tag] for tag in expected} == expected


def test_features_are_in_the_precision_that_was_asked_for():
    single, double = run().experiment.instance, run("precision=double").experiment.instance
    assert single.X.dtype == single.pool_X.dtype == np.float32 and double.X.dtype == np.float64
    np.testing.assert_array_equal(single.X, double.X.astype(np.float32))


def test_a_run_without_a_sweep_has_no_such_tag():
    assert "goralx.sweep" not in run().info.tags


def test_ground_truth_is_tagged_only_where_it_reaches_the_selection():
    truth = "goralx.uses_ground_truth"
    assert run("operator=oracle").info.tags[truth] == "true"
    baseline = run("operator=oracle", "strategy=random")
    assert baseline.info.tags[truth] == "false"
    assert baseline.experiment.utility is None and "ent" in baseline.experiment.monitors


def test_a_strategy_without_a_goal_takes_any_combination():
    laplace = ("operator=laplace", "monitors=[]", "goal=dev")
    assert list(run("strategy=uncertainty", *laplace).experiment.monitors) == ["dev"]


def test_a_data_set_is_told_its_seed_if_it_asks():
    told = []

    class Repeats(type(goralx.build("dataset", "iris"))):
        """Repeats of iris."""

        def instance(self, rng, seed):
            told.append(seed)
            return super().instance(rng)

    goralx.testing.check_dataset(Repeats())
    assert set(told) == {0, 1, 2}
    assert assembly._drawn(Repeats(), "mine", 7).name == "iris" and told[-1] == 7


def test_a_dev_set_is_drawn_only_where_a_goal_is_measured_on_one():
    assert len(run().experiment.instance.dev) == 0
    pool = run().experiment.instance.pool
    for words in (["goal=dev"], ["monitors=[dev]"], ["goal=dev", "strategy=random"]):
        dev = run(*words).experiment.instance.dev
        assert len(dev) == round(0.1 * len(pool)) and np.isin(dev, pool).all()
    made = run("dataset=iris", "dev.use=train", "strategy=random")
    assert made.info.name == "iris-random-dev_trained_on-s0"
    assert made.info.tags["goralx.dev_use"] == "train"
    assert "goralx.dev_use" not in run("dataset=iris", "strategy=random").info.tags
    trained_on = run("dev.use=train", "strategy=random").experiment.instance
    drawn, alone = run("goal=dev").experiment.instance, run().experiment.instance
    np.testing.assert_array_equal(trained_on.dev, drawn.dev)
    np.testing.assert_array_equal(trained_on.init, np.union1d(alone.init, drawn.dev))
    np.testing.assert_array_equal(trained_on.pool, np.setdiff1d(alone.pool, drawn.dev))
    np.testing.assert_array_equal(trained_on.test, alone.test)
    removed = run("goal=dev", "dev.fraction=0.5", "dev.remove_from_pool=true").experiment.instance
    assert len(removed.dev) == round(0.5 * len(pool))
    assert not np.isin(removed.dev, removed.pool).any()


def test_every_strategy_of_a_seed_gets_the_same_instance():
    reference = run("goal=dev").experiment.instance
    for words in (["strategy=random"], ["operator=oracle"], ["batch_size=3"], ["model.C=5"]):
        other = run("goal=dev", *words).experiment.instance
        for part in ("init", "pool", "test", "dev"):
            assert np.array_equal(getattr(reference, part), getattr(other, part))
    assert not np.array_equal(reference.init, run("goal=dev", "seed=1").experiment.instance.init)


@cache
def fingerprint(*overrides: str) -> str:
    return run(*overrides).info.tags["goralx.fingerprint"]


@pytest.mark.parametrize(
    "word",
    [
        "goal=fir", "operator=min", "batch=gumbel", "strategy=random", "strategy=uncertainty",
        "model.C=2",
        "model.regime=fixed_lambda", "model.penalize_intercept=true", "model=sklearn", "seed=1",
        "batch_size=11", "n_queries=19", "guard=error", "stop=goal_plateau", "monitors=[ent]",
        "monitors=[ent,fir,dev]", "dataset=iris", "dataset.n_init=9", "dataset.standardize=false",
        "precision=double",
    ],
)  # fmt: skip
def test_what_determines_the_result_changes_the_fingerprint(word):
    assert fingerprint(word) != fingerprint()


@pytest.mark.parametrize(
    "word",
    [
        "threads=2", "progress=false", "tracker=mlflow", "dev.fraction=0.5", "monitors=[fir,ent]",
        "monitors=[fir]",
    ],
)  # fmt: skip
def test_what_does_not_leaves_the_fingerprint(word):
    assert fingerprint(word) == fingerprint()


def test_the_fingerprint_knows_which_options_matter():
    assert fingerprint("goal=dev", "dev.fraction=0.5") != fingerprint("goal=dev")
    random = "strategy=random"
    assert fingerprint(random, "operator=min") == fingerprint(random, "operator=oracle")
    assert fingerprint(random, "batch=gumbel") == fingerprint(random)


def test_where_the_data_lies_leaves_the_fingerprint(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    for name in ("a", "b", "c"):
        X[3, 1] += 1e-6 * (name == "c")
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)
    a, b, c = (fingerprint("dataset=npz", f"dataset.path={tmp_path}/{x}.npz") for x in "abc")
    assert a == b != c


def test_nothing_of_a_settings_node_is_decided_twice():
    assert all(
        f.default is MISSING or f.default_factory is not dataclasses.MISSING
        for f in dataclasses.fields(nodes.Settings)
    )


def test_the_oracle_operator_is_told_the_true_labels_of_the_candidates(tmp_path):
    """Pool positions and source rows are different numbers; a mix-up tells it other labels."""
    config = composed("dataset=iris", "goal=dev", "operator=oracle", "n_queries=30")
    experiment = prepare(config, tmp_path).experiment
    instance = experiment.instance
    rows = np.flatnonzero(np.arange(len(instance.pool)) % 3 == 1)
    fitted = experiment.model.fit(instance.labelled(instance.init), instance.n_classes)
    candidates = Candidates(
        Reference(fitted, instance.pool_X), rows, instance.labelled(instance.init), 0.0
    )
    scores = experiment.utility(candidates)
    truth = instance.y[instance.pool[rows]]
    assert np.array_equal(scores.utility, scores.U[np.arange(len(rows)), truth])
