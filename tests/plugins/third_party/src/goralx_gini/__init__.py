"""What this package registers with goralx."""

import goralx

from .goals import NegativeGini
from .label_operators import Hurwicz
from .strategies import Spread


@goralx.hookimpl
def register_goals(register):
    register("gini", NegativeGini)


@goralx.hookimpl
def register_label_operators(register):
    register("hurwicz", Hurwicz)


@goralx.hookimpl
def register_strategies(register):
    register("spread", Spread)
