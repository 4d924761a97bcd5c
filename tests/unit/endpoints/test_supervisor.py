from itertools import pairwise

import anyio
import pytest
import structlog
import structlog.testing

from app.config.model import EndpointGroup, Mode, TlsConfig
from app.endpoints.model import State
from tests.unit.endpoints.fakes import EPOCH, Bench, info_bytes, refused, settle

pytestmark = pytest.mark.anyio

A, B, C = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"
TLS = TlsConfig(ca_file="ca.pem")


def group(
    name: str, *addresses: str, tls: TlsConfig | None = None, mode: Mode = Mode.NORMAL
) -> EndpointGroup:
    return EndpointGroup(name=name, tls=tls, endpoints=addresses, mode=mode)


async def test_first_round_is_over_when_each_endpoint_has_answered_or_failed() -> None:
    bench = Bench()
    bench.network.answers[B] = refused("no route")
    async with bench.running(group("eu", A, tls=TLS), group("us", B)) as endpoints:
        assert not endpoints.first_round_over
        with anyio.fail_after(10):
            await endpoints.wait_first_round()
        views = bench.views()
        assert views[A].state is State.HEALTHY
        assert views[A].info is not None
        assert (views[B].state, views[B].last_error) == (State.UNHEALTHY, "no route")
        assert not views[B].asked
    assert not bench.certificates.groups


async def test_without_groups_the_first_round_is_over() -> None:
    bench = Bench()
    async with bench.running() as endpoints:
        with anyio.fail_after(1):
            await endpoints.wait_first_round()
        assert endpoints.lease().snapshot.endpoints == ()


async def test_polls_every_interval_and_spreads_them() -> None:
    addresses = [f"10.0.1.{number}:1" for number in range(100)]
    bench = Bench()
    async with bench.running(group("eu", *addresses)):
        await anyio.sleep(60)
        asked = [each.asked_at for each in bench.network.channels]
    starts = sorted(each[0] for each in asked)
    assert starts[-1] - starts[0] < 1
    assert min(b - a for a, b in pairwise(starts)) > 0.004
    for times in asked:
        gaps = [b - a for a, b in pairwise(times[1:])]
        assert gaps == pytest.approx([5.0] * len(gaps))
    within = sorted(times[5] % 5 for times in asked)
    holes = [b - a for a, b in pairwise(within)]
    assert max(holes) < 3 * 5 / 100


async def test_a_stalling_endpoint_holds_up_no_other() -> None:
    bench = Bench()
    bench.network.answers[A] = anyio.sleep_forever
    async with bench.running(group("eu", A, B)):
        await anyio.sleep(60)
        assert len(bench.network.of(B).asked_at) >= 12
        assert bench.views()[A].last_error == f"{A}: no answer"
        assert bench.views()[B].state is State.HEALTHY


async def test_an_endpoint_that_comes_back_is_healthy_at_its_next_poll() -> None:
    bench = Bench()
    bench.network.answers[A] = refused()
    async with bench.running(group("eu", A)) as endpoints:
        await anyio.sleep(20)
        before = bench.views()[A]
        with endpoints.lease() as leased:
            bench.network.answers[A] = info_bytes(zone="a")
            await anyio.sleep(5.1)
            assert leased.endpoints[0].state is State.UNHEALTHY, "a leased snapshot never changes"
        now = bench.views()[A]
        assert (before.state, now.state) == (State.UNHEALTHY, State.HEALTHY)
        assert now.since > before.since
        with endpoints.lease() as leased:
            assert leased.endpoints[0].info == now.info


async def test_garbage_is_a_failure_with_its_reason() -> None:
    bench = Bench()
    bench.network.answers[A] = b"\x0a\xff"
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        assert "not an InfoResponse" in bench.views()[A].last_error
        labels = {"group": "eu", "kind": "malformed"}
        assert bench.metric("crossrealm_endpoint_info_failures_total", **labels) == 1


async def test_unhealthy_timeout_forgets_what_it_held_and_keeps_it_listed() -> None:
    bench = Bench(unhealthy_timeout=60)
    strict = group("strict", B, mode=Mode.STRICT)
    async with bench.running(group("eu", A), strict) as endpoints:
        await endpoints.wait_first_round()
        bench.network.answers.update({A: refused(), B: refused()})
        await anyio.sleep(30)
        assert bench.views()[A].info is not None
        await anyio.sleep(40)
        views = bench.views()
        assert (views[A].info, views[A].state, views[A].asked) == (None, State.UNHEALTHY, False)
        assert views[B].info is not None
        assert views[B].asked


async def test_checks_that_change_nothing_make_no_new_snapshot() -> None:
    bench = Bench()
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        with endpoints.lease() as first:
            pass
        checked = bench.views()[A].last_check
        await anyio.sleep(20)
        with endpoints.lease() as second:
            assert second is first
        assert bench.views()[A].last_check > checked > EPOCH


async def test_changes_between_two_leases_make_one_snapshot() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B)) as endpoints:
        await endpoints.wait_first_round()
        with endpoints.lease() as first:
            pass
        bench.network.answers.update({A: refused(), B: refused()})
        await anyio.sleep(6)
        with endpoints.lease() as second, endpoints.lease() as third:
            assert second is third is not first
            assert [view.state for view in second.endpoints] == [State.UNHEALTHY] * 2


async def test_snapshot_order_is_that_of_the_file() -> None:
    bench = Bench()
    async with bench.running(group("us", C, A), group("eu", B, tls=TLS)) as endpoints:
        await endpoints.wait_first_round()
        assert [view.address for view in endpoints.lease().snapshot.endpoints] == [C, A, B]
        assert [view.group for view in endpoints.snapshot().endpoints] == ["us", "us", "eu"]


async def test_plaintext_never_gets_what_a_tls_group_names() -> None:
    bench = Bench()
    async with bench.running(group("plain", A, B), group("eu", A, tls=TLS)) as endpoints:
        await endpoints.wait_first_round()
        assert {each.address: each.tls is not None for each in bench.network.channels} == {B: False, A: True}
        assert bench.views()[A].group == "eu"
        assert bench.metric("crossrealm_endpoint_duplicates_total", group="plain") == 1


async def test_stopping_closes_every_channel_and_provider() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, tls=TLS), group("us", B)) as endpoints:
        await endpoints.wait_first_round()
        assert bench.certificates.groups == ["eu"]
    assert [each.running for each in bench.network.channels] == [False, False]
    assert all(each.closed_with for each in bench.network.channels)
    assert bench.certificates.groups == []


async def test_stopping_waits_for_leases_no_longer_than_the_close_grace() -> None:
    bench = Bench(close_grace=5)
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.lease()  # never released
        stopped_at = anyio.current_time()
    assert anyio.current_time() - stopped_at == pytest.approx(5, abs=0.1)
    assert bench.network.of(A).closed_with == [pytest.approx(0, abs=0.1)]


async def test_a_removed_group_drains_its_leases_first() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, tls=TLS), group("us", B)) as endpoints:
        await endpoints.wait_first_round()
        with endpoints.lease() as leased:
            endpoints.reconcile([group("us", B)])
            await anyio.sleep(30)
            with endpoints.lease() as newer:
                assert [view.address for view in newer.endpoints] == [B]
            assert [view.address for view in leased.endpoints] == [A, B]
            assert bench.network.of(A).running
            assert not bench.network.of(A).closed_with
            assert bench.certificates.groups == ["eu"], "its connections may have to be made again"
        await settle()
        assert bench.network.of(A).closed_with
        assert not bench.network.of(A).running
        assert bench.certificates.groups == []
        assert bench.network.of(B).running


async def test_leases_taken_after_the_removal_hold_up_nothing() -> None:
    bench = Bench()
    async with bench.running(group("eu", A), group("us", B)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.reconcile([group("us", B)])
        with endpoints.lease():
            await settle()
            assert bench.network.of(A).closed_with


async def test_a_lease_that_is_never_released_holds_a_channel_for_the_grace_only() -> None:
    bench = Bench(lease_grace=120)
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.lease()
        endpoints.reconcile([])
        await anyio.sleep(119)
        assert bench.network.of(A).running
        await anyio.sleep(2)
        assert not bench.network.of(A).running


async def test_a_group_that_stays_keeps_its_channels() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, tls=TLS)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.reconcile([group("us", B), group("eu", A, C, tls=TLS, mode=Mode.STRICT)])
        await anyio.sleep(6)
        assert [each.address for each in bench.network.channels].count(A) == 1
        assert list(bench.views()) == [B, A, C]
        assert bench.views()[A].strict
        assert bench.views()[A].state is State.HEALTHY


async def test_other_tls_is_another_realm() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, tls=TLS)) as endpoints:
        await endpoints.wait_first_round()
        first = bench.network.of(A)
        endpoints.reconcile([group("eu", A, tls=TlsConfig(ca_file="other.pem"))])
        await anyio.sleep(1)
        assert bench.network.of(A) is not first
        assert first.closed_with
        assert bench.views()[A].state is State.HEALTHY


async def test_a_crash_restarts_the_group_and_no_other_notices() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, C, tls=TLS), group("us", B)) as endpoints:
        await endpoints.wait_first_round()
        first = bench.network.of(A)
        bench.network.of(C).crash.set()
        await settle()
        views = bench.views()
        assert "a bug in the channel" in views[A].last_error
        assert (views[A].state, views[A].info is None) == (State.UNHEALTHY, False)
        assert first.closed_with
        assert bench.metric("crossrealm_endpoint_group_restarts_total", group="eu") == 1
        await anyio.sleep(2)
        assert bench.network.of(A) is not first
        assert [view.state for view in bench.views().values()] == [State.HEALTHY] * 3
        assert [each.address for each in bench.network.channels].count(B) == 1
        assert bench.certificates.groups == ["eu"]


async def test_crashes_in_a_row_are_spaced_out() -> None:
    bench = Bench()
    bench.network.refuse.add(A)
    async with bench.running(group("eu", A), group("us", B)) as endpoints:
        with anyio.fail_after(5):
            await endpoints.wait_first_round()
        await anyio.sleep(62)
        assert bench.metric("crossrealm_endpoint_group_restarts_total", group="eu") == 6
        assert bench.views()[B].state is State.HEALTHY
        bench.network.refuse.clear()
        await anyio.sleep(60)
        assert bench.views()[A].state is State.HEALTHY


async def test_a_group_can_be_removed_while_it_waits_for_its_restart() -> None:
    bench = Bench()
    bench.network.refuse.add(A)
    async with bench.running(group("eu", A)) as endpoints:
        await settle()
        endpoints.reconcile([])
        await anyio.sleep(120)
        assert bench.metric("crossrealm_endpoint_group_restarts_total", group="eu") == 1


async def test_states_are_metrics() -> None:
    bench = Bench()
    bench.network.answers.update({A: info_bytes(zone="a"), B: refused(), C: info_bytes("store", zone="c")})
    async with bench.running(group("eu", A, B), group("us", C)) as endpoints:
        await endpoints.wait_first_round()
        await settle()
        assert bench.metric("crossrealm_endpoints", group="eu", state="healthy") == 1
        assert bench.metric("crossrealm_endpoints", group="eu", state="unhealthy") == 1
        assert bench.metric("crossrealm_endpoints", group="us", state="unhealthy") == 0
        name = "thanos_store_nodes_grpc_connections"
        assert bench.metric(name, external_labels='{zone="a"}', store_type="sidecar") == 1
        assert bench.metric(name, external_labels='{zone="c"}', store_type="store") == 1


async def test_groups_cannot_be_changed_before_the_start() -> None:
    bench = Bench()
    with pytest.raises(RuntimeError):
        bench.endpoints.reconcile([])


@pytest.mark.parametrize("moment", [0.0, 0.0005, 0.003, 0.006, 1.0, 4.99, 5.0, 7.5, 12.0])
async def test_stopped_at_any_moment_nothing_stays_open(moment: float) -> None:
    bench = Bench()
    bench.network.answers.update({B: refused(), C: anyio.sleep_forever})
    async with bench.running(group("eu", A, C, tls=TLS), group("us", B)) as endpoints:
        await anyio.sleep(moment)
        endpoints.lease()
    assert not any(each.running for each in bench.network.channels)
    assert all(each.closed_with for each in bench.network.channels)
    assert bench.certificates.groups == []


async def test_a_stop_cuts_short_the_grace_of_a_removal() -> None:
    bench = Bench(lease_grace=300, close_grace=5)
    async with bench.running(group("eu", A, tls=TLS)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.lease()
        endpoints.reconcile([])
        await anyio.sleep(10)
        assert bench.network.of(A).running
        stopped_at = anyio.current_time()
    assert anyio.current_time() - stopped_at == pytest.approx(5, abs=0.1)
    assert not bench.network.of(A).running


async def test_duplicate_external_labels_are_logged_once() -> None:
    bench = Bench()
    bench.network.answers.update({A: info_bytes(zone="a"), B: info_bytes("rule", zone="a")})
    with structlog.testing.capture_logs() as logs:
        async with bench.running(group("eu", A), group("us", B, C)) as endpoints:
            await endpoints.wait_first_round()
            await anyio.sleep(60)
    warnings = [each for each in logs if "same external labels" in each["event"]]
    assert [(each["endpoint"], each["others"], each["group"]) for each in warnings] == [(B, A, "us")]


async def test_the_log_says_what_changed_and_nothing_else() -> None:
    bench = Bench()
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        with structlog.testing.capture_logs() as logs:
            await anyio.sleep(20)
            bench.network.answers[A] = refused("expired")
            await anyio.sleep(20)
            bench.network.answers[A] = refused("unknown CA")
            await anyio.sleep(20)
            bench.network.answers[A] = info_bytes(zone="a")
            await anyio.sleep(20)
    assert [(each["log_level"], each.get("reason")) for each in logs] == [
        ("warning", "expired"),
        ("warning", "unknown CA"),
        ("info", None),
    ]
    assert all((each["group"], each["endpoint"]) == ("eu", A) for each in logs)
