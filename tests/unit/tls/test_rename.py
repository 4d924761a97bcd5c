"""Several providers for one group, and a group that is called something else: whose metrics are shown."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.tls.cache import CertificateCache
from app.tls.model import Role, TlsPolicy
from app.tls.provider import Provider
from tests.pki import CA
from tests.unit.tls.following import Realm, following

pytestmark = pytest.mark.anyio

CA1 = CA("ca 1")


def realm(directory: Path) -> Realm:
    made = Realm(directory)
    made.identity(CA1.issue())
    made.trust(CA1)
    return made


def generation(registry: CollectorRegistry, group: str) -> float | None:
    return registry.get_sample_value("crossrealm_tls_generation", {"group": group, "role": "client"})


def provider(cache: CertificateCache, group: str, of: Realm) -> Provider:
    return cache.provider(group, Role.CLIENT, of.files, TlsPolicy())


async def test_the_newest_provider_of_a_group_has_its_metrics(tmp_path: Path) -> None:
    old_realm, new_realm = realm(tmp_path / "old"), realm(tmp_path / "new")
    async with following() as found:
        old = provider(found.cache, "eu", old_realm)
        await old.fresh()
        old_realm.identity(CA1.issue())
        await old.refresh()
        assert generation(found.registry, "eu") == 2
        new = provider(found.cache, "eu", new_realm)
        await new.fresh()
        await old.refresh()
        assert generation(found.registry, "eu") == 1
        found.cache.remove(old)
        assert generation(found.registry, "eu") == 1
        found.cache.remove(new)
        assert generation(found.registry, "eu") is None


async def test_names_that_move_up_by_one_take_their_metrics_with_them(tmp_path: Path) -> None:
    one, two = realm(tmp_path / "1"), realm(tmp_path / "2")
    async with following() as found:
        first, second = provider(found.cache, "group-1", one), provider(found.cache, "group-2", two)
        await first.fresh()
        await second.fresh()
        two.identity(CA1.issue())
        await second.refresh()
        found.cache.rename(first, "group-2")
        found.cache.rename(second, "group-3")
        names = ("group-1", "group-2", "group-3")
        assert [generation(found.registry, name) for name in names] == [None, 1, 2]
        assert [each.status().group for each in (first, second)] == ["group-2", "group-3"]
        one.identity(CA1.issue())
        await first.refresh()
        assert [generation(found.registry, name) for name in names] == [None, 2, 2]
