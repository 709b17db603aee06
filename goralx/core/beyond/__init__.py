"""Beyond first order: what one more sample, or a batch, does to the model and a goal, more exactly.

In comes an `Expansion`, the labelled set around its optimum; out go proximal steps, second-order
changes, exact refits and models with a sample made up.
"""
