"""What this package registers with goralx."""

import goralx

from .goals import NegativeGini
from .label_operators import Hopeful
from .strategies import Spread


@goralx.hookimpl
def register_goals(register):
    register("gini", NegativeGini)


@goralx.hookimpl
def register_label_operators(register):
    register("hopeful", Hopeful)


@goralx.hookimpl
def register_strategies(register):
    register("spread", Spread)
