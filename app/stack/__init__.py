"""`make stack`: real Prometheus servers in three realms, a sidecar each, and one querier over all of them."""
