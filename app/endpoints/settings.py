"""What the endpoints are run with."""

import msgspec


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All in seconds.

    :param info_interval: between two Info calls to one endpoint.
    :param info_timeout: of one Info call.
    :param unhealthy_timeout: since the last answer; after it an unhealthy endpoint's metadata is forgotten.
    :param sd_interval: between two looks at file SD, beside the watcher.
    :param dns_interval: between two lookups of a name.
    :param lease_grace: that requests have to finish with an endpoint that was removed; Thanos's is as long.
    :param close_grace: the same when the querier stops or a group crashed.
    """

    info_interval: float = 5.0
    info_timeout: float = 5.0
    unhealthy_timeout: float = 300.0
    sd_interval: float = 300.0
    dns_interval: float = 30.0
    lease_grace: float = 300.0
    close_grace: float = 5.0
