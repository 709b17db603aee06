"""What the paper says of its data sets and of its approximation: Table 1, Figs 1-4."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from . import first_look, studies
from .claims import BELOW, Claim, Measure, World, in_study
from .evidence import Evidence, Region, exact, mean

TABLE_1 = {
    "synth2": (2, 2, 530, 10, 60),
    "rt_polarity": (2, 768, 9586, 10, 1066),
    "letter": (26, 16, 14948, 52, 5000),
}
COLUMNS = ("classes", "features", "pool", "init", "test")
FIRST_LOOKS = 20
"""Seeds of what costs next to nothing."""


def table1() -> Iterator[Claim]:
    """The sizes of every data set."""
    for dataset, sizes in TABLE_1.items():
        for column, size in zip(COLUMNS, sizes, strict=True):
            yield Claim(
                f"table1-{dataset}-{column}",
                "table1",
                f"Table 1: {dataset}, {column} {size}",
                f"{column} of the instance of seed 0",
                Region(size, size),
                partial(_size, dataset=dataset, column=column),
            )


def _size(world: World, dataset: str, column: str) -> Evidence:
    return exact(first_look.sizes(dataset)[column])


def figure1() -> Iterator[Claim]:
    """The geometry of synth2."""
    yield Claim(
        "fig1-init-misleads",
        "fig1",
        "The two central clusters ... are poised to mislead the initial model into a nearly "
        "horizontal divide between the two",
        "angle between the initial boundary and the horizontal, degrees",
        Region(0, 20),
        lambda world: mean([first_look.angle(seed) for seed in range(FIRST_LOOKS)]),
    )
    yield Claim(
        "fig1-distracting-farthest",
        "fig1",
        "The two distracting clusters ... are composed of samples with the largest distances to "
        "the ground-truth decision boundary",
        "mean distance of distracting samples to the boundary of the full-pool fit, over that of "
        "the next farther pair",
        Region(low=1.1),
        lambda world: mean([first_look.distance_ratio(seed) for seed in range(FIRST_LOOKS)]),
    )


def _mean(figure: str, column: str, **where: object) -> Measure:
    return in_study(figure, lambda study, runs: mean(studies.number(study, runs, column, **where)))


def figure2() -> Iterator[Claim]:
    """Single samples: it works, and it overstates."""
    for operator in studies.SHOWN:
        yield Claim(
            f"fig2-works-{operator}",
            "fig2",
            "Overall the approximation works fairly well across all the various operators",
            f"Pearson correlation of approximate and actual utilities, {operator}",
            Region(low=0.8),
            _mean("fig2", "pearson", operator=operator),
        )
    for operator in studies.SHOWN:
        yield Claim(
            f"fig2-overstates-{operator}",
            "fig2",
            "It can consistently under-estimate (over-estimate in our case)",
            f"slope of actual on approximate utilities, {operator}",
            Region(high=1.0),
            _mean("fig2", "slope", operator=operator),
        )


def figure3() -> Iterator[Claim]:
    """Batches of ten."""
    largest = max(studies.STUDIES["fig3"].batch_sizes)
    for operator in studies.SHOWN:
        yield Claim(
            f"fig3-works-{operator}",
            "fig3",
            "In all cases the approximate utilities still exhibit a strong correlation with the "
            "actual ones",
            f"Pearson correlation of batches, {operator}",
            Region(low=0.7),
            in_study("fig3", partial(studies.of_batches, operator=operator)),
        )
    for operator in studies.LINEAR:
        yield Claim(
            f"fig3-slight-degradation-{operator}",
            "fig3",
            "A slight degradation of the approximation quality when l_y is linear",
            f"Pearson correlation at b = {largest} minus at b = 1, {operator}",
            Region(-0.1, 0.0),
            in_study("fig3", partial(studies.degradation, operator=operator)),
        )
    for operator in studies.EXTREME:
        yield Claim(
            f"fig3-larger-degradation-{operator}",
            "fig3",
            "... and a larger degradation when l_y is max or min",
            f"degradation of {operator} minus that of average",
            BELOW,
            in_study("fig3", partial(studies.more_degradation, operator=operator, other="average")),
        )


def figure4() -> Iterator[Claim]:
    """The model's own expectation."""
    for goal in ("ent", "dev"):
        yield Claim(
            f"fig4-concentrated-{goal}",
            "fig4",
            "Utilities under the model's own expectation are indeed highly concentrated within a "
            "fairly small region",
            "standard deviation of actual utilities of single samples, expected over average, "
            f"goal {goal}",
            Region(high=0.5),
            in_study("fig4", partial(studies.concentration, column="actual_sd", goal=goal)),
        )
    yield Claim(
        "fig4-expected-constant",
        "fig4",
        "Under the current model prediction the approximate utilities will be constant (Remark 1)",
        "standard deviation of approximate utilities, expected over average, goal ent",
        Region(high=1e-6),
        in_study("fig4", partial(studies.concentration, column="approximate_sd", goal="ent")),
    )


def claims() -> Iterator[Claim]:
    """All of them, in the paper's order."""
    for part in (table1, figure1, figure2, figure3, figure4):
        yield from part()
