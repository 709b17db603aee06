"""MLflow's own pages on a store: where they are, and a server for them on this machine."""

from __future__ import annotations

from pathlib import Path

from goralx.errors import BadInput

from .. import ui
from ..ledger import noted
from .stores import absolute_store, default_uri, is_server, open_store, shown, sqlite_file
from .view import curves_page, describe_experiment


def serve(uri: str | None, port: int) -> int:
    """Show the store in MLflow's own pages on this machine only, until Ctrl-C (`goralx ui`).

    Returns the exit status. Raises `BadInput` where there is nothing to show or the port is taken.
    """
    store = absolute_store(uri or default_uri())
    database = sqlite_file(store)
    if is_server(store):
        raise BadInput(f"{store} is a server already · open it in a browser")
    if database is not None and not database.exists():
        raise BadInput(f"no runs at {database} · run something first, or give the store to show")
    ui.check_port(port)
    client = open_store(store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    latest = client.search_runs(experiments, order_by=["start_time DESC"], max_results=1)
    opened = latest[0].info.experiment_id if latest else experiments[0]
    describe_experiment(client, opened, anew=True)
    page = curves_page(opened)
    return ui.serve(["-m", "mlflow", "ui", "--backend-store-uri", store], port, page)


def curves(directory: Path) -> str | None:
    """What to do to see the curves of a run that MLflow was told of; None if it was not."""
    found = noted(directory)
    uri, experiment = found.get("uri"), found.get("experiment_id")
    if not uri or not experiment:
        return None
    if is_server(uri):
        return f"{shown(uri).rstrip('/')}/{curves_page(experiment)}"
    usual = uri == absolute_store(default_uri())
    return "goralx ui" if usual else f"goralx ui --store {shown(uri)}"
