"""What fan-out is told: by the configuration, and with each request."""

import msgspec

from app.config.model import MissingEndpoints
from app.endpoints.model import Labels
from app.fanout.scope import EVERYTHING, Scope
from app.fanout.selection import StoreMatchers
from app.fanout.tsdb_selector import EVERY_TSDB, TsdbSelector
from app.rpc.model import Metadata


class FanoutOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param selector_labels: the querier's own labels, sorted by name.
    :param replica_labels: labels that tell replicas apart, for merging rules, targets and exemplars, and for
        knowing which endpoints stand in for others.
    :param response_timeout: seconds that the merge waits for one endpoint; 0 is no limit.
    :param resort_buffer: bytes that one endpoint's answer may take up when it has to be sorted here.
    :param tsdb_selector: which label sets of the endpoints are asked for series and labels.
    :param request_budget: bytes that the endpoints of one request may send ahead of the merge, all together.
    """

    selector_labels: Labels = ()
    replica_labels: tuple[str, ...] = ()
    missing_endpoints: MissingEndpoints = MissingEndpoints.WARN
    response_timeout: float = 0.0
    resort_buffer: int = 256 * 1024 * 1024
    tsdb_selector: TsdbSelector = EVERY_TSDB
    request_budget: int = 64 * 1024 * 1024


class RequestContext(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param metadata: to be passed on to the endpoints.
    :param timeout: seconds left of the client's deadline; None: it set none.
    :param store_matchers: which endpoints the client wants: any of them has to match; none: all.
    :param scope: what the client may see.
    """

    metadata: Metadata
    timeout: float | None
    store_matchers: tuple[StoreMatchers, ...] = ()
    scope: Scope = EVERYTHING
