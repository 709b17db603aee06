"""The checks as classes to inherit from: one test a check, under the check's own name.

    class TestGini(goralx.testing.GoalContract):
        component = NegativeGini(weight=2.0)

pytest then runs ``TestGini.test_gradient`` and its siblings, as it does any tests of the class's
own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar
from unittest import SkipTest

from goralx.errors import BadInput, unknown_name

from .common import Check
from .groups import checks


class Contract:
    """What these classes share: a class says its ``component``, and what to ``skip`` of its checks.

    ``component`` is an object, or a class that needs no arguments. ``skip`` names checks that do
    not apply, as ``check_class_order`` of a goal that singles a class out; a test of each says so.
    """

    component: Any = None
    skip: ClassVar[Collection[str]] = ()
    group: ClassVar[str] = ""

    def __init_subclass__(cls, group: str = "") -> None:
        super().__init_subclass__()
        if group:
            cls.group = group
            for check in checks(group):
                setattr(cls, called(check), _test(check))
        known = [check.__name__ for check in checks(cls.group)]
        for name in cls.skip:
            if name not in known:
                raise unknown_name(f"check of a {cls.group}", name, known)


def called(check: Check) -> str:
    """What a check is called among the tests: ``check_gradient`` is ``test_gradient``."""
    return f"test_{check.__name__.removeprefix('check_')}"


def _test(check: Check) -> Callable[[Contract], None]:
    def test(self: Contract) -> None:
        if check.__name__ in self.skip:
            raise SkipTest(f"{type(self).__name__} skips {check.__name__}")
        if self.component is None:
            raise BadInput(f"class {type(self).__name__} tests nothing: say component = ...")
        component = self.component
        check(component() if isinstance(component, type) else component)

    test.__name__ = called(check)
    test.__doc__ = check.__doc__
    return test


class GoalContract(Contract, group="goal"):
    """Every check of a goal."""


class LabelOperatorContract(Contract, group="operator"):
    """Every check of a label operator."""


class StrategyContract(Contract, group="strategy"):
    """Every check of a strategy."""


class BatchRuleContract(Contract, group="batch"):
    """Every check of a batch rule."""


class UtilityContract(Contract, group="utility"):
    """Every check of an estimator of utilities."""


class ModelContract(Contract, group="model"):
    """Every check of a model."""


class DatasetContract(Contract, group="dataset"):
    """Every check of a data set."""


class InitialSetContract(Contract, group="initial"):
    """Every check of an initial set."""


class MetricContract(Contract, group="metric"):
    """Every check of a metric."""


class StoppingRuleContract(Contract, group="stop"):
    """Every check of a stopping rule."""


class OracleContract(Contract, group="oracle"):
    """Every check of an oracle."""


class TrackerContract(Contract, group="tracker"):
    """Every check of a tracker."""


class EngineContract(Contract, group="engine"):
    """Every check of an engine."""
