"""mlflow itself, imported late and kept quiet."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any, Literal

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is away costs seconds, not minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Set before mlflow is imported, where the user has not set them."""

CHATTER = ("mlflow", "alembic", "urllib3")
"""Whatever these log, with tracebacks, is in what they raise too, which is said in a line."""


def import_mlflow() -> Any:
    """The module, without telemetry, job execution, long waits and chatter.

    MLFLOW_LOGGING_LEVEL, where it is set, is what its loggers say.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        for logger in CHATTER:
            logging.getLogger(logger).setLevel(logging.CRITICAL)
    return mlflow


def entities(kind: Literal["Metric", "Param", "RunTag"], values: Iterable[Any]) -> list[Any]:
    """MLflow's own records, each from a tuple of its fields."""
    from mlflow import entities as made

    return [getattr(made, kind)(*value) for value in values]


def is_error(error: BaseException, code: str) -> bool:
    """Whether this is MLflow's error of that code."""
    return getattr(error, "error_code", None) == code
