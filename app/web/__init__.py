"""HTTP: probes, metrics, the stores API."""
