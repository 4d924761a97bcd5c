"""The metrics registry of one process."""

import platform
from importlib import metadata

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector


def new_registry() -> CollectorRegistry:
    """A registry with the metrics of the process itself."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    info = Gauge("crossrealm_build_info", "What is running.", ("version", "pythonversion"), registry=registry)
    info.labels(metadata.version("crossrealm"), platform.python_version()).set(1)
    return registry
