"""`crossrealm sidecar`: a StoreAPI in front of one Prometheus."""
