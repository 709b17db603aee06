"""Engines: who goes over the blocks of a pool that is large, in this process or in others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import goralx
from goralx import BadInput

PIECES_PER_WORKER = 4


@dataclass(frozen=True)
class Dask:
    """Workers of a Dask cluster: the scheduler at ``address``, or processes on this machine.

    Every worker opens the pool's file by the path it has here, and finds goralx and its plugins in
    the same place, too. The pool is cut into ``blocks`` pieces (null: 4 a worker), which
    changes nothing but who does what. Needs ``pip install "goralx[dask]"``.
    """

    remote: ClassVar[bool] = True

    address: str | None = None
    workers: int = 2
    blocks: int | None = None

    def __post_init__(self) -> None:
        for option in ("workers", "blocks"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise BadInput(f"engine.{option}={value}; allowed: at least 1")

    @property
    def pieces(self) -> int:
        if self.blocks is not None:
            return self.blocks
        return PIECES_PER_WORKER * max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def map(self, function: Callable[..., Any], pieces: Sequence[Any], what: str) -> Iterator[Any]:
        load_plugins = partial(goralx.build, "engine", "local")
        portable = goralx.Portable(function, load_plugins)
        futures = self._client.map(portable, pieces, pure=False, key=what)
        for future in futures:  # in the order of the pieces, each let go once it is read
            yield future.result()

    @property
    def _client(self) -> Any:
        key = (self.address, self.workers)
        if key not in CLIENTS:
            CLIENTS[key] = connect(*key)
        return CLIENTS[key]


CLIENTS: dict[tuple[str | None, int], Any] = {}
"""One a process and cluster; closed with the process."""


def connect(address: str | None, workers: int) -> Any:
    """A client of the cluster there, or of one started for this process, on loopback only."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise BadInput(
            'engine=dask needs Dask · pip install "goralx[dask]", or engine=local'
        ) from error
    if address is None:
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        )
        return Client(cluster, set_as_default=False)
    try:
        return Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"engine.address={address}: no Dask scheduler answers there") from error


@goralx.hookimpl
def register_engines(register):
    register("local", goralx.Local)
    register("dask", Dask)
