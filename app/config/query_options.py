"""How the HTTP API answers, from the flags of `crossrealm query`."""

from typing import Literal

import msgspec

Engine = Literal["prometheus", "thanos"]
FEATURES = frozenset(
    {
        "promql-binop-fill-modifiers",
        "promql-delayed-name-removal",
        "promql-duration-expr",
        "promql-experimental-functions",
        "promql-extended-range-selectors",
    }
)
"""Parts of PromQL that may be switched on, by Prometheus's names."""
ALWAYS_ON = frozenset({"promql-at-modifier", "promql-negative-offset"})
"""Names that Thanos and older Prometheus know for what is no longer experimental."""
TenantField = Literal["", "organization", "organizationalUnit", "commonName"]


class TenancyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data a request of the HTTP API is about.

    :param header: that names the tenant.
    :param default: the tenant of a request that names none.
    :param label: of series, with the tenant as its value.
    :param enforced: nothing but that tenant's data is shown.
    :param certificate_field: of the client certificate's subject, which names the tenant instead of a header;
        "": none.
    """

    header: str = "THANOS-TENANT"
    default: str = "default-tenant"
    label: str = "tenant_id"
    enforced: bool = False
    certificate_field: TenantField = ""


class PartialResponse(msgspec.Struct, frozen=True, kw_only=True):
    """For each API whether answers may miss endpoints, with a warning; else those are an error."""

    query: bool = True
    rules: bool = True
    targets: bool = True
    metadata: bool = True
    exemplars: bool = True
    status: bool = True


class QueryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How queries of the HTTP API are answered. Durations are seconds.

    :param engine: the name that a query without one has; there is one engine.
    :param timeout: of one query, waiting included.
    :param max_concurrent: queries at once; the others wait.
    :param max_concurrent_select: selectors of one query that are fetched at once.
    :param lookback: for which an instant selector sees a sample.
    :param dynamic_lookback: looks back longer for downsampled data.
    :param auto_downsampling: a query that names no resolution gets its step / 5.
    :param instant_resolution: of downsampled data that will do for an instant query.
    :param default_step: least step of a range query that names none.
    :param evaluation_interval: step of a subquery that names none.
    :param metadata_time_range: that labels and series are looked up in by default, up to now; 0: all time.
    :param chain: replicas are merged one to one by timestamp, instead of by penalty.
    :param alert_query_url: where this querier is for people; "": not known.
    :param active_query_path: directory of the list of queries that run; "": none.
    :param series_limit, samples_limit: of one fetch; 0: none.
    :param max_samples: that one query may hold at once; 0: no limit.
    :param max_memory: bytes that one query may take up at once; 0: no limit.
    :param slow_query: seconds past which a query is logged; 0: none is.
    :param features: names of experimental parts of PromQL that are switched on.
    """

    engine: Engine = "prometheus"
    timeout: float = 120.0
    max_concurrent: int = 20
    max_concurrent_select: int = 4
    lookback: float = 300.0
    dynamic_lookback: bool = True
    auto_downsampling: bool = False
    instant_resolution: float = 0.0
    default_step: float = 1.0
    evaluation_interval: float = 60.0
    metadata_time_range: float = 0.0
    partial_response: PartialResponse = PartialResponse()
    chain: bool = False
    alert_query_url: str = ""
    active_query_path: str = ""
    series_limit: int = 0
    samples_limit: int = 0
    max_samples: int = 50_000_000
    max_memory: int = 2 * 1024**3
    slow_query: float = 0.0
    features: frozenset[str] = frozenset()
    tenancy: TenancyOptions = TenancyOptions()

    def lookback_for(self, max_resolution: int) -> int:
        """Milliseconds for which an instant selector sees a sample: at least as long as downsampled samples
        may lie apart.

        :param max_resolution: milliseconds between samples that will do.
        """
        found = round(self.lookback * 1000)
        if self.dynamic_lookback:
            for coarser, finer in ((3_600_000, 300_000), (300_000, 0)):
                if max_resolution > max(finer, found):
                    return max(found, coarser)
        return found
