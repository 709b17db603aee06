"""The inverse curvature of what was labelled, whatever its size, and what each road to it costs.

In come labelled samples and their predictions; out goes an `InverseCurvature`, chosen by
`inverse_curvature`. `cost` counts before it starts, `memory` looks whether it can be had.
"""
