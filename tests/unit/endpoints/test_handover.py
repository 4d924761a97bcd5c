"""An address that changes hands is in every answer: the old endpoint serves until the new one was tried."""

import anyio
import msgspec
import pytest

from app.config.model import EndpointGroup, TlsConfig
from app.endpoints.model import EndpointView, State
from app.endpoints.supervisor import DISPLACED_LIMIT, Endpoints
from tests.unit.endpoints.fakes import Bench, FakeChannel, info_bytes, refused

pytestmark = pytest.mark.anyio

A, B, C = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"
OLD, NEW = TlsConfig(ca_file="old.pem"), TlsConfig(ca_file="new.pem")


def group(name: str, *addresses: str, tls: TlsConfig | None = OLD, sd_file: str = "") -> EndpointGroup:
    return EndpointGroup(name=name, tls=tls, endpoints=addresses, sd_files=(sd_file,) if sd_file else ())


def view(endpoints: Endpoints, address: str) -> EndpointView:
    """As a request that begins now would see it."""
    with endpoints.lease() as leased:
        (found,) = [each for each in leased.endpoints if each.address == address]
        return found


def served_by(endpoints: Endpoints, address: str, channel: FakeChannel) -> bool:
    found = view(endpoints, address)
    return found.channel is channel and found.asked


async def shortly() -> None:
    """Long enough for what is done at once, first polls too."""
    await anyio.sleep(0.1)


async def slowly() -> None:
    await anyio.sleep(3)


async def test_edited_tls_is_tried_before_the_old_connection_goes() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B), group("us", C)) as endpoints:
        await endpoints.wait_first_round()
        old, other = bench.network.of(A), bench.network.of(C)
        endpoints.reconcile([group("eu", A, B, tls=NEW), group("us", C)])
        assert served_by(endpoints, A, old), "before the task of the new group had its turn"
        bench.network.answers[A] = slowly
        await anyio.sleep(1)
        new = bench.network.of(A)
        assert new is not old
        assert served_by(endpoints, A, old), "the new one was asked and has not answered"
        bench.network.answers[A] = info_bytes(replica=A)
        await anyio.sleep(10)
        assert served_by(endpoints, A, new)
        assert old.closed_with
        assert not old.running
        assert [each.address for each in bench.network.channels].count(C) == 1
        assert other.running
        assert bench.certificates.groups == ["us", "eu"]
    assert bench.certificates.groups == []


async def test_edited_tls_that_does_not_work_is_said_and_what_is_missed_is_known() -> None:
    bench = Bench()
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        info = view(endpoints, A).info
        bench.network.answers[A] = refused("unknown CA")
        endpoints.reconcile([group("eu", A, tls=NEW)])
        await shortly()
        found = view(endpoints, A)
        assert (found.state, found.last_error) == (State.UNHEALTHY, "unknown CA")
        assert found.info == info is not None
        assert found.channel is bench.network.of(A)
        assert old.closed_with


async def test_an_address_that_goes_from_one_group_to_another() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B), group("us", C, tls=NEW)) as endpoints:
        await endpoints.wait_first_round()
        old, stays = bench.network.of(A), bench.network.of(B)
        endpoints.reconcile([group("eu", B), group("us", C, A.upper(), tls=NEW)])
        assert served_by(endpoints, A, old)
        assert view(endpoints, A).group == "us"
        await shortly()
        new = bench.network.of(A)
        assert (new.group, served_by(endpoints, A, new)) == ("us", True)
        assert old.closed_with
        assert bench.network.of(B) is stays


async def test_requests_in_flight_keep_the_old_connection() -> None:
    bench = Bench()
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        with endpoints.lease() as before:
            endpoints.reconcile([group("eu", A, tls=NEW)])
            with endpoints.lease() as during:
                await anyio.sleep(20)
                assert served_by(endpoints, A, bench.network.of(A))
                assert before.endpoints[0].channel is during.endpoints[0].channel is old
                assert not old.closed_with
            await shortly()
            assert not old.closed_with
        await shortly()
        assert old.closed_with


async def test_plaintext_does_not_serve_on_for_a_group_with_tls() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, tls=None)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        bench.network.answers[A] = slowly
        endpoints.reconcile([group("eu", A)])
        for _ in range(2):
            found = view(endpoints, A)
            assert (found.asked, found.last_error) == (
                False,
                "it is to be asked with TLS from now on, and was not yet",
            )
            assert found.info is not None
            await anyio.sleep(1)
        assert old.closed_with
        bench.network.answers[A] = info_bytes(replica=A)
        await anyio.sleep(10)
        assert served_by(endpoints, A, bench.network.of(A))


async def test_a_second_change_before_the_first_was_tried() -> None:
    bench = Bench()
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        bench.network.answers[A] = slowly
        endpoints.reconcile([group("eu", A, tls=NEW)])
        await shortly()
        second = bench.network.of(A)
        endpoints.reconcile([group("eu", A, tls=TlsConfig(ca_file="newest.pem"))])
        assert served_by(endpoints, A, old)
        await anyio.sleep(1)
        assert served_by(endpoints, A, old)
        bench.network.answers[A] = info_bytes(replica=A)
        await anyio.sleep(10)
        third = bench.network.of(A)
        assert served_by(endpoints, A, third)
        assert third is not second
        assert [each.running for each in (old, second, third)] == [False, False, True]
        assert bench.certificates.groups == ["eu"]


async def test_there_and_back_again_at_once() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B), group("us", C, tls=NEW)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        endpoints.reconcile([group("eu", B), group("us", C, A, tls=NEW)])
        endpoints.reconcile([group("eu", A, B), group("us", C, tls=NEW)])
        assert served_by(endpoints, A, old)
        await shortly()
        now = bench.network.of(A)
        assert (now.group, now.tls.files.ca_file) == ("eu", "old.pem")  # type: ignore[attr-defined]
        assert served_by(endpoints, A, now)
        await shortly()
        assert [each.running for each in bench.network.channels if each.address == A].count(True) == 1


async def test_an_address_that_is_named_no_more_goes_at_once() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.reconcile([group("eu", B)])
        assert list(bench.views()) == [B]
        await shortly()
        assert bench.network.of(A).closed_with


async def test_a_group_that_crashes_holds_on_to_no_old_connection() -> None:
    bench = Bench()
    async with bench.running(group("eu", A)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        bench.network.refuse.add(A)
        endpoints.reconcile([group("eu", A, tls=NEW)])
        assert served_by(endpoints, A, old)
        await shortly()
        assert old.closed_with
        found = view(endpoints, A)
        assert "a bug in the factory" in found.last_error
        assert found.info is not None
        bench.network.refuse.clear()
        await anyio.sleep(5)
        assert served_by(endpoints, A, bench.network.of(A))


async def test_the_old_group_crashes_meanwhile() -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        bench.network.answers[A] = slowly
        endpoints.reconcile([group("eu", A, B, tls=NEW)])
        await shortly()
        old.crash.set()
        await shortly()
        assert view(endpoints, A).channel is bench.network.of(A) is not old
        assert view(endpoints, A).last_error == "" or not view(endpoints, A).asked
        bench.network.answers[A] = info_bytes(replica=A)
        await anyio.sleep(10)
        assert served_by(endpoints, A, bench.network.of(A))
        assert [each.running for each in bench.network.channels].count(True) == 2


@pytest.mark.parametrize("moment", [0.0, 0.0005, 0.003, 1.0, 3.5, 12.0])
async def test_stopped_at_any_moment_nothing_stays_open(moment: float) -> None:
    bench = Bench()
    async with bench.running(group("eu", A, B), group("us", C)) as endpoints:
        await endpoints.wait_first_round()
        bench.network.answers[A] = slowly
        endpoints.reconcile([group("eu", A, tls=NEW), group("us", B)])
        await anyio.sleep(moment)
    assert not any(each.running for each in bench.network.channels)
    assert bench.certificates.groups == []


async def test_renamed_groups_keep_connections_and_count_under_their_new_names() -> None:
    bench = Bench()
    async with bench.running(group("group-1", A), group("group-2", B, tls=NEW)) as endpoints:
        await endpoints.wait_first_round()
        endpoints.reconcile([group("group-1", C), group("group-2", A), group("group-3", B, tls=NEW)])
        await shortly()
        assert [each.address for each in bench.network.channels] == [A, B, C]
        assert [each.group for each in bench.network.channels] == ["group-2", "group-3", "group-1"]
        assert {address: each.group for address, each in bench.views().items()} == {
            C: "group-1",
            A: "group-2",
            B: "group-3",
        }
        assert sorted(bench.certificates.groups) == ["group-1", "group-2", "group-3"]


async def test_what_discovery_may_find_again_serves_until_it_has_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The virtual clock cannot wait for files: discovery looks when the test lets it."""
    found: dict[str, tuple[str, ...]] = {"eu": (A,)}
    looks = {"eu": anyio.Event(), "new": anyio.Event()}
    looks["eu"].set()

    async def follow(self: object, on_change: object) -> None:
        name = "new" if bench.network.channels else "eu"
        await looks[name].wait()
        self._found, self.looked = found[name], True  # type: ignore[attr-defined]
        on_change()  # type: ignore[operator]
        await anyio.sleep_forever()

    monkeypatch.setattr("app.discovery.filesd.FileSd.follow", follow)
    monkeypatch.setattr(
        "app.discovery.filesd.FileSd.addresses", property(lambda self: getattr(self, "_found", ()))
    )
    bench = Bench()
    wanted = group("eu", tls=NEW, sd_file="x.yaml")
    async with bench.running(msgspec.structs.replace(wanted, tls=OLD)) as endpoints:
        await endpoints.wait_first_round()
        old = bench.network.of(A)
        endpoints.reconcile([wanted])
        await anyio.sleep(1)
        assert served_by(endpoints, A, old), "it may be found again"
        found["new"] = (A, B)
        looks["new"].set()
        await shortly()
        assert bench.network.of(A) is not old
        assert served_by(endpoints, A, bench.network.of(A))
        looks["new"] = anyio.Event()
        endpoints.reconcile([msgspec.structs.replace(wanted, tls=OLD)])
        await anyio.sleep(DISPLACED_LIMIT - 1)
        assert list(bench.views()) == [A, B]
        await anyio.sleep(2)
        assert list(bench.views()) == [], "not for ever"
        await shortly()
        assert not any(each.running for each in bench.network.channels)
