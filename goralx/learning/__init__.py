"""The loop: fit, score, query, reveal; a generator of facts that tells nobody of them.

In come an instance and components; out go `Round`s. How far utilities may be believed is audited
on the way. Whoever runs, records or explains a run asks.
"""

from .audit import AUDIT_REFERENCE, METRICS, Audit, Auditor, Untrusted
from .experiment import Experiment
from .measures import Undefined
from .oracle import fitted_on, learned
from .statistics import agreement, correlation
from .stopping import readable

__all__ = [
    "AUDIT_REFERENCE",
    "METRICS",
    "Audit",
    "Auditor",
    "Experiment",
    "Undefined",
    "Untrusted",
    "agreement",
    "correlation",
    "fitted_on",
    "learned",
    "readable",
]
