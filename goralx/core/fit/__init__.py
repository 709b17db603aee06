"""The model and its fit: what is minimised, in which coordinates, how, and on what that leans.

In come labelled samples; out goes the optimum and how far it may be off. `newton.minimise` is what
is asked; `road` chooses the preconditioner.
"""
