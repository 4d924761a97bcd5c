"""`crossrealm query`: the endpoints of all realms behind one Store API, one Query API, and the HTTP API."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from app.config.addresses import DnsAddress, DnsKind, parse_dns_address, split_address
from app.config.model import EndpointGroup, QuerySettings
from app.discovery.dns import Lookups
from app.endpoints.client_tls import client_material
from app.endpoints.metrics import EndpointMetrics
from app.endpoints.model import EndpointChannel, Snapshot
from app.endpoints.reload import EndpointsReload, ReloadMetrics
from app.endpoints.settings import EndpointSettings
from app.endpoints.supervisor import Endpoints
from app.engine.active import ActiveQueries
from app.engine.assembly import assembled
from app.engine.gate import Gate
from app.engine.promql.features import features_of
from app.engine.request import Engine
from app.errors import ConfigError, Problem
from app.fanout import warm_up as warm_up_fanout
from app.fanout.apis.proxies import Proxies
from app.fanout.fanout import Fanout
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions
from app.fanout.tsdb_selector import TsdbSelector
from app.lifecycle import Environment, run_server
from app.readiness import Readiness
from app.rpc.balanced import BalancedChannel
from app.rpc.channel import Channel, ChannelOptions
from app.rpc.metrics import ClientMetrics
from app.services import health, info, query, store
from app.services.apis import METHODS, api_services, names, path
from app.services.health import Health
from app.services.reflection import Reflection
from app.services.scopes import Scopes
from app.tls.model import ProviderStatus
from app.tls.provider import Provider
from app.tls.usable import unusable_clients
from app.web.api.routes import routes
from app.web.stores import stores_route

INDEX = """crossrealm query

/-/healthy        200 while the process runs
/-/ready          200 while it may be asked
/metrics          metrics for Prometheus
/-/reload         POST reads certificates and files again, with --web.enable-lifecycle
/api/v1/stores    endpoints, their health and their certificates
/api/v1/          the API of Prometheus and Thanos: query, query_range, labels, series, rules, ...
"""

RECURSION = 10_000
log = structlog.get_logger()


def run_query(settings: QuerySettings) -> int:
    """Serve until a signal; the exit code.

    :raises ConfigError: material or files named by the settings are at fault; no port was opened.
    """
    # Queries are trees, and a chain of a thousand operators is one of that depth.
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    return run_server(settings, lambda environment: Querier(settings, environment))


def warm_up() -> float:
    """Compile the kernels, or load what was compiled before; the seconds it took."""
    begun = time.monotonic()
    from app.engine.warming import compile_kernels

    warm_up_fanout()
    compile_kernels()
    return time.monotonic() - begun


class Querier:
    """Mutable: readiness and health, changed by the tasks below; made for one run. A `Server`."""

    component = "query"
    index = INDEX

    def __init__(self, settings: QuerySettings, environment: Environment) -> None:
        registry, certificates = environment.registry, environment.certificates
        self.settings = settings
        self.certificates = certificates
        self.readiness = Readiness(time.monotonic())
        self.warm = False
        self._client_metrics = ClientMetrics(registry)
        self._lookups = Lookups(settings.dns_server)
        self.endpoints = Endpoints(
            settings=EndpointSettings(
                info_interval=settings.info_interval,
                info_timeout=settings.info_timeout,
                unhealthy_timeout=settings.unhealthy_timeout,
                sd_interval=settings.sd_interval,
                dns_interval=settings.dns_interval,
            ),
            certificates=certificates,
            channel_factory=self._channel,
            metrics=EndpointMetrics(registry, settings.connection_labels),
            lookups=self._lookups,
        )
        self._reload = self._endpoints_reload(registry)
        self._tsdb_selector = TsdbSelector(settings.relabel_rules)
        options = FanoutOptions(
            tsdb_selector=self._tsdb_selector,
            selector_labels=settings.selector_labels,
            replica_labels=settings.replica_labels,
            missing_endpoints=settings.missing_endpoints,
            response_timeout=settings.response_timeout,
            resort_buffer=settings.resort_buffer,
        )
        metrics = FanoutMetrics(registry)
        fanout = Fanout(self.endpoints, options, metrics)
        proxies = Proxies(self.endpoints, options, metrics, {api: path(api) for api in METHODS})
        apis = proxies.answers()
        self._active = self._active_queries()
        self.engine: Engine = assembled(
            self.endpoints, options, metrics, settings.query, registry, active=self._active
        )
        gate = Gate(settings.query.max_concurrent, registry)
        self.routes = self._http(gate, fanout, proxies, registry)
        served = [store.NAME, info.NAME, health.NAME, query.NAME, *names(apis)]
        self.health = Health(served)
        scopes = Scopes(settings.identity_matchers)
        self.services = [
            store.Store(fanout, scopes).service(),
            info.Info(
                self.endpoints,
                settings.selector_labels,
                lambda: self.readiness.ready,
                scopes,
                self._tsdb_selector,
            ).service(),
            query.Query(self.engine, gate, settings.query, settings.replica_labels, scopes=scopes).service(),
            *api_services(apis, scopes),
            self.health.service(),
            *Reflection(served).services(),
        ]

    def _active_queries(self) -> ActiveQueries | None:
        query = self.settings.query
        if not query.active_query_path:
            return None
        return ActiveQueries(Path(query.active_query_path), query.max_concurrent)

    def _channel(
        self, group: EndpointGroup, address: str, tls: Provider | None, name: str
    ) -> EndpointChannel:
        if address not in group.balanced:
            return self._single(group, address, tls, name)
        wanted = parse_dns_address(address) or DnsAddress(DnsKind.ADDRESSES, *split_address(address))
        return BalancedChannel(
            address,
            group=group.name,
            look_up=lambda: self._lookups.look_up(wanted),
            make=lambda resolved: self._single(group, resolved.address, tls, resolved.name),
            interval=self.settings.dns_interval,
        )

    def _single(self, group: EndpointGroup, address: str, tls: Provider | None, name: str) -> Channel:
        compression = group.compression or self.settings.compression
        return Channel(
            address,
            group=group.name,
            tls=tls,
            server_name=(group.tls.server_name if group.tls else "") or name,
            metrics=self._client_metrics,
            options=ChannelOptions(
                max_message_size=self.settings.client_max_message_size,
                drain_window=self.settings.drain_window,
                compression="snappy" if compression == "snappy" else "",
            ),
        )

    def _endpoints_reload(self, registry: CollectorRegistry) -> EndpointsReload | None:
        """None where there is no file, or it is not to be followed."""
        settings = self.settings
        if not settings.source.path or not settings.endpoints_reload:
            return None
        return EndpointsReload(
            settings.source,
            settings.groups,
            interval=settings.endpoints_reload_interval,
            check=self._unusable,
            apply=self.endpoints.reconcile,
            watcher=self.endpoints.watcher,
            metrics=ReloadMetrics(registry),
        )

    # -- what the site shows

    def ready(self) -> tuple[bool, str]:
        return self.readiness.ready, self.readiness.reason

    def snapshot(self) -> Snapshot:
        return self.endpoints.snapshot()

    def tls_status(self) -> Sequence[ProviderStatus]:
        return [provider.status() for provider in self.certificates.providers()]

    def _http(
        self, gate: Gate, fanout: Fanout, proxies: Proxies, registry: CollectorRegistry
    ) -> Sequence[Route]:
        http = self.settings.http
        stores = stores_route(
            self.snapshot,
            self.tls_status,
            hide_tls=http.hide_tls,
            prefix=http.route_prefix,
            tsdb_selector=self._tsdb_selector,
        )
        features = features_of(self.settings.query.features)
        # The first that matches answers, and `routes` ends with one for all that is not known.
        rest = routes(
            self.engine,
            fanout,
            proxies,
            self.settings,
            registry,
            gate=gate,
            features=features,
            before=[stores],
        )
        return [stores, *rest]

    # -- tasks

    async def check(self) -> list[Problem]:
        """With `--tls.startup=strict` the material of the endpoints must be usable."""
        return await self._unusable(self.settings.groups)

    async def _unusable(self, groups: Sequence[EndpointGroup]) -> list[Problem]:
        if not self.settings.tls_startup_strict:
            return []
        return await unusable_clients(
            [(group.name, *client_material(group.tls)) for group in groups if group.tls is not None]
        )

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the endpoints until cancelled, and follow the file that names them."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.endpoints.run, self.settings.groups)
            if self._reload is not None:
                tasks.start_soon(self._reload.run)
            if self._active is not None:
                await tasks.start(self._active.run)
            task_status.started()

    async def refresh(self, trigger: str) -> None:
        """Read the endpoints file and file SD again.

        :raises ConfigError: with all that is wrong with the endpoints file; what was in force stays.
        """
        if not self.endpoints.running:
            raise ConfigError([Problem(trigger, "the querier is starting or stopping")])
        self.endpoints.request_refresh()
        if self._reload is not None:
            await self._reload.reload(trigger)

    async def become_ready(self) -> None:
        """Compile the kernels, wait for the first round, and open the gate."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._warm_up)
            while not self._look():
                with anyio.move_on_after(0.2):
                    await self.endpoints.wait_first_round()
                    if not self._look():
                        await anyio.sleep_forever()
        self.health.set_serving(self.readiness.ready)
        if self.readiness.ready:
            log.info("ready", endpoints=len(self.snapshot().endpoints))

    async def _warm_up(self) -> None:
        await anyio.to_thread.run_sync(warm_up, abandon_on_cancel=True)
        self.warm = True

    def _look(self) -> bool:
        return self.readiness.look(
            time.monotonic(),
            first_round_over=self.endpoints.first_round_over,
            discovery_failed=self.endpoints.discovery_failed(),
            warm=self.warm,
        )

    def stop(self) -> None:
        """No more new work, please: for load balancers, before connections are drained."""
        self.readiness.drain()
        self.health.set_serving(False)
