"""Sidecars and rulers that claim the same external labels. Pure."""

from app.endpoints.model import Api, EndpointInfo, Labels

Key = tuple[Labels, ...]


class Producers:
    """Mutable: who claims which label sets, changed by `update` alone.

    Blocks of two producers with the same external labels are taken for one's in the object store.
    """

    def __init__(self) -> None:
        self._by_labels: dict[Key, set[str]] = {}
        self._labels: dict[str, Key] = {}

    def update(self, address: str, info: EndpointInfo | None) -> tuple[str, ...]:
        """Take note of an endpoint's info; None: it is unhealthy or gone.

        :returns: addresses of the others with the same labels, if it now has labels it had not before.
        """
        key = _claimed(info)
        before = self._labels.get(address)
        if key == before:
            return ()
        if before is not None:
            others = self._by_labels[before]
            others.discard(address)
            if not others:
                del self._by_labels[before]
            del self._labels[address]
        if key is None:
            return ()
        self._labels[address] = key
        members = self._by_labels.setdefault(key, set())
        members.add(address)
        return tuple(sorted(members - {address}))


def _claimed(info: EndpointInfo | None) -> Key | None:
    if info is None or Api.STORE not in info.apis or info.component not in ("sidecar", "rule"):
        return None
    return info.label_sets
