"""The metrics registry of one process."""

import platform
from collections.abc import Callable
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


def show_status(registry: CollectorRegistry, component: str, ready: Callable[[], bool]) -> None:
    """Thanos's metric of its probes.

    :param component: as Thanos names it.
    :param ready: asked at each scrape.
    """
    status = Gauge(
        "thanos_status", "1 while a probe is well: healthy, ready.", ("component", "check"), registry=registry
    )
    status.labels(component, "healthy").set(1)
    status.labels(component, "ready").set_function(lambda: float(ready()))
