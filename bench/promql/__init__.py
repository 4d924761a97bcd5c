"""PromQL through sidecars and querier, beside Debian's Prometheus on the same data.

The peer is one Prometheus that holds all series and is asked by itself. The querier gets them as in
production: from sidecars, over mTLS gRPC. Sizes, steps and queries can be chosen, and a Thanos as the peer:
``python -m bench --help``.
"""

from bench.promql.measuring import run
from bench.promql.plan import Plan, add_options, plan_of

__all__ = ["Plan", "add_options", "plan_of", "run"]
