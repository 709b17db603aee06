"""Discovery: what is found, who owns a name, and what happens to a plugin that is broken."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import goralx
from goralx import PluginError, UnknownName
from goralx.contracts import Checkpoint
from goralx.discovery import HOOKS, Registry, registry, show, table
from goralx.discovery.loading import PROTOCOLS

GOAL = """
    from __future__ import annotations
    from dataclasses import dataclass
    import goralx

    @dataclass(frozen=True)
    class Certain(goralx.LogitGoal):
        '''A goal.'''
        weight: float = 1.0

        def value_and_logit_gradient(self, log_P, X, y):
            return 0.0, 0.0 * log_P
"""

REGISTER = """
    @goralx.hookimpl
    def register_goals(register):
        register({name!r}, Certain)
"""


def plugin(name: str) -> str:
    """Source of a module that registers a goal."""
    return dedent(GOAL) + dedent(REGISTER.format(name=name))


class Site:
    """A folder of installed packages, each a module with metadata and one entry point."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, version: str, source: str, entry: str | None = None) -> None:
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(dedent(source))
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[goralx]\n{entry or module} = {module}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("GORALX_PLUGINS", raising=False)
    monkeypatch.delenv("GORALX_STRICT_PLUGINS", raising=False)
    yield Site(folder)
    for module in sys.modules.keys() - before.keys():
        del sys.modules[module]
    sys.modules.update((name, module) for name, module in before.items() if "goralx" in name)


def found() -> Registry:
    """What a new process would find; `registry` itself looks once."""
    return registry.__wrapped__()


def test_our_own_are_all_there():
    ours = {
        "goal": {"dev", "ent", "fir"},
        "operator": {
            *("oracle", "max", "min", "average", "expected"),
            *("annealed", "laplace", "estimated"),
        },
        "utility": {"influence", "implicit", "lookahead", "retrain"},
        "strategy": {"goral", "uncertainty", "random"},
        "batch": {"top", "sequential", "gumbel"},
        "model": {"softmax", "sklearn"},
        "metric": {
            *("accuracy", "log_loss", "balanced_accuracy", "macro_f1", "worst_class_recall"),
            *("roc_auc", "brier", "ece"),
        },
        "tracker": {"mlflow", "csv"},
        "engine": {"local", "dask"},
        "initial": {"given", "random", "stratified", "kmeans", "kcenter", "density", "one_class"},
        "stop": {"budget", "wall_time", "any"},
        "oracle": {"perfect", "noisy", "abstaining", "costly", "annotators", "file"},
        "dataset": {
            *("digits", "breast_cancer", "wine", "iris", "synth2", "letter", "rt_polarity"),
            *("csv", "npy", "npz", "openml"),
        },
    }
    assert set(ours) == set(HOOKS)
    for group, names in ours.items():
        assert names <= set(registry().names(group)), group
    assert registry().broken == ()


def test_an_installed_package_is_found_with_its_name_and_version(site):
    site.install("goralx-certain", "1.2", plugin("certain"))
    component = found().component("goal", "certain")
    assert component.origin == "goralx-certain 1.2"
    assert component.options == {"weight": "float"}
    assert found().build("goal", "certain", {"weight": 2.0}).weight == 2.0


@pytest.mark.parametrize(
    "source, error",
    [
        ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_package_that_fails_to_import_is_reported_and_skipped(site, monkeypatch, source, error):
    site.install("a-broken-one", "0.9", source)
    site.install("goralx-certain", "1.2", plugin("certain"))
    registered = found()
    (broken,) = registered.broken
    assert broken.name == "a-broken-one 0.9"
    assert error in broken.error and "\n" not in broken.error
    assert "Traceback" in broken.traceback
    assert {"certain", "ent"} <= set(registered.names("goal"))

    with pytest.raises(UnknownName) as asked:
        registered.component("goal", "lost")
    assert "a-broken-one 0.9" in str(asked.value) and error in str(asked.value)

    monkeypatch.setenv("GORALX_STRICT_PLUGINS", "1")
    with pytest.raises((ImportError, ZeroDivisionError, SystemExit, SyntaxError)):
        found()


def test_two_packages_with_one_entry_point_name(site):
    site.install("first-one", "1.0", plugin("first"), entry="goals")
    site.install("second-one", "2.0", plugin("second"), entry="goals")
    registered = found()
    (broken,) = registered.broken
    assert broken.name == "second-one 2.0"
    assert "'goals'" in broken.error and "first-one 1.0" in broken.error
    assert "first" in registered.names("goal") and "second" not in registered.names("goal")


def test_a_name_of_ours_cannot_be_taken(site, monkeypatch):
    site.install("goralx-usurper", "1.0", plugin("ent"))
    registered = found()
    (broken,) = registered.broken
    assert broken.name == "goralx-usurper 1.0"
    assert broken.error.startswith("goal 'ent' is registered by goralx-usurper 1.0 and by goralx")
    assert registered.component("goal", "ent").origin == "goralx"
    monkeypatch.setenv("GORALX_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"goal 'ent'.*goralx-usurper 1\.0.*goralx"):
        found()


def test_of_two_packages_with_one_name_the_first_stays_and_the_other_is_named(site):
    site.install("first-one", "1.0", plugin("certain"))
    site.install("second-one", "2.0", plugin("beside") + "    register('certain', Certain)\n")
    site.install("third-one", "3.0", plugin("apart"))
    registered = found()
    (broken,) = registered.broken
    assert broken.name == "second-one 2.0"
    assert "goal 'certain'" in broken.error and "first-one 1.0, whose it stays" in broken.error
    assert registered.component("goal", "certain").origin == "first-one 1.0"
    assert "apart" in registered.names("goal"), "one that clashes must not spoil the next"
    why = r"second-one 2\.0: goal 'certain' is registered"
    with pytest.raises(UnknownName, match=why):
        registered.component("goal", "beside")
    with pytest.raises(UnknownName, match=why):
        show(registered, "beside")
    assert "not loaded: second-one 2.0: goal 'certain'" in table(registered)


UNFINISHED = {
    "dataset": ("object", "instance"), "engine": ("object", "map, pieces, remote"),
    "goal": ("goralx.LogitGoal", "value_and_logit_gradient"),
    "model": ("object", "capabilities, fit, regime, restore"),
    "oracle": ("goralx.Oracle", "answer"), "strategy": ("goralx.Strategy", "select"),
}  # fmt: skip


@pytest.mark.parametrize("group", UNFINISHED)
def test_one_that_is_not_finished_is_named_with_what_it_lacks(site, group):
    base, lacks = UNFINISHED[group]
    site.install(
        "half-done",
        "1.0",
        f"""
        from dataclasses import dataclass
        import goralx

        @dataclass(frozen=True)
        class Half({base}):
            weight: float = 1.0

        @goralx.hookimpl
        def {HOOKS[group]}(register):
            register("half", Half)
        """,
    )
    (broken,) = found().broken
    assert broken.name == "half-done 1.0"
    assert broken.error == (
        f"{group} 'half' is not finished, it has no {lacks} · "
        f"goralx new-plugin NAME --{group} writes one that works"
    )


def test_one_name_in_two_groups_is_no_clash(site):
    site.install(
        "goralx-both",
        "1.0",
        plugin("certain") + "\n@goralx.hookimpl\ndef register_strategies(register):\n"
        "    register('certain', Certain)\n",
    )
    assert found().broken == ()


@pytest.mark.parametrize(
    "hook, says",
    [
        ("def register_gaols(register): pass", "register_gaols"),
        ("def register_goals(registry): pass", "registry"),
        ("def observe_round(rounds): pass", "rounds"),
    ],
)
def test_a_misspelt_hook_is_that_packages_error(site, hook, says):
    site.install("goralx-misspelt", "1.0", f"import goralx\n@goralx.hookimpl\n{hook}\n")
    site.install("the-next-one", "1.0", plugin("certain"))
    registered = found()
    (broken,) = registered.broken
    assert broken.name == "goralx-misspelt 1.0" and says in broken.error
    assert "certain" in registered.names("goal"), "one that is broken must not spoil the next"


@pytest.mark.parametrize(
    "registers, says",
    [
        ("register('certain', Certain())", "frozen dataclass"),
        ("register('certain', int)", "frozen dataclass"),
        ("register('not a name', Certain)", "not a name"),
        ("register('certain', Certain); 1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_registered_takes_its_whole_plugin_along(site, registers, says):
    hook = f"@goralx.hookimpl\ndef register_goals(register):\n    {registers}\n"
    site.install("goralx-odd", "1.0", dedent(GOAL) + hook)
    registered = found()
    (broken,) = registered.broken
    assert says in broken.error
    assert "certain" not in registered.names("goal")


def test_loose_files_of_the_folders_in_goralx_plugins(site, tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, name in ((one, "first"), (other, "second")):
        folder.mkdir()
        (folder / "mine.py").write_text(plugin(name))
    (other / "sad.py").write_text("import a_module_that_is_not_there")
    monkeypatch.setenv("GORALX_PLUGINS", f"{one}:{other}")
    path = list(sys.path)
    registered = found()
    assert {"first", "second"} <= set(registered.names("goal")), "files may share a name"
    assert registered.component("goal", "first").origin == str(one / "mine.py")
    assert [b.name for b in registered.broken] == [str(other / "sad.py")]
    assert sys.path == path


def test_a_folder_that_is_not_there_is_refused(site, tmp_path, monkeypatch):
    monkeypatch.setenv("GORALX_PLUGINS", str(tmp_path / "nowhere"))
    with pytest.raises(PluginError, match="nowhere"):
        found()


def test_a_plugins_folder_in_the_working_directory_is_not_loaded(site, tmp_path, monkeypatch):
    elsewhere = found()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "trap.py").write_text("raise SystemExit('loaded')")
    monkeypatch.chdir(tmp_path)
    here = found()
    assert here.broken == ()
    assert here.components.keys() == elsewhere.components.keys()


def test_an_option_that_does_not_exist_is_refused_with_those_that_do(site):
    site.install("goralx-certain", "1.2", plugin("certain"))
    with pytest.raises(UnknownName, match=r"wieght.*did you mean 'weight'"):
        found().build("goal", "certain", {"wieght": 2.0})


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match=r"'entt'.*did you mean 'ent'.*dev.*ent, fir"):
        registry().component("goal", "entt")


ROUND = goralx.Round(
    *(0, 10, {"test/accuracy": 0.5}, np.arange(3), None, np.arange(1), np.zeros(1, np.int64)),
    *(np.zeros(1), np.zeros((2, 3)), True),
    checkpoint=Checkpoint(
        0, np.arange(10), np.zeros(10, np.int64), 10, {}, {}, 0.0, 0.0, True, frozenset()
    ),
)


def observers(site: Site, **bodies: str) -> Registry:
    for name, body in bodies.items():
        source = f"import goralx\n@goralx.hookimpl\ndef observe_round(round):\n    {body}\n"
        site.install(f"goralx-{name}", "1.0", source)
    return found()


def test_observers_add_metrics_to_a_round(site):
    registered = observers(
        site, a="return {'mine/labels': round.n_labelled}", b="return None", c="return {}"
    )
    metrics = registered.observe(ROUND)
    assert metrics == {"mine/labels": 10.0} and isinstance(metrics["mine/labels"], float)
    assert registry().observe(ROUND) == {}


def test_two_observers_of_one_metric_are_an_error(site):
    registered = observers(site, a="return {'mine/x': 1}", b="return {'mine/x': 2}")
    with pytest.raises(PluginError, match=r"goralx_[ab].*'mine/x'"):
        registered.observe(ROUND)


def test_an_observer_cannot_replace_a_metric_of_the_round(site):
    registered = observers(site, a="return {'test/accuracy': 1.0}")
    with pytest.raises(PluginError, match="'test/accuracy'"):
        registered.observe(ROUND)


def test_an_observer_that_raises_is_named(site):
    registered = observers(site, sad="return {'mine/x': 1 / 0}")
    with pytest.raises(PluginError, match=r"goralx_sad.*ZeroDivisionError"):
        registered.observe(ROUND)


def test_an_observer_whose_metric_is_no_number_is_named(site):
    registered = observers(site, sad="return {'mine/x': 'many'}")
    with pytest.raises(PluginError, match=r"goralx_sad.*ValueError"):
        registered.observe(ROUND)


@pytest.mark.parametrize("group", HOOKS)
def test_every_hook_takes_a_component(site, group):
    hook = f"@goralx.hookimpl\ndef {HOOKS[group]}(register):\n    register('mine', Certain)\n"
    needed = PROTOCOLS.get(group, object)
    names = [*vars(needed), *getattr(needed, "__annotations__", {})]
    finished = (
        f"for name in {[n for n in names if n[0] != '_']}:\n    setattr(Certain, name, None)\n"
    )
    site.install("goralx-mine", "1.0", dedent(GOAL) + finished + hook)
    registered = found()
    assert registered.component(group, "mine").origin == "goralx-mine 1.0"
    assert registered.build(group, "mine", {"weight": 3.0}).weight == 3.0
