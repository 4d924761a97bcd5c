"""Both sides, and the client that asks them."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bench.asking import Worker
from bench.promql.client import Job, Report
from bench.promql.equal import check
from bench.promql.scene import Server


class Sides(NamedTuple):
    """The querier and the Prometheus that it is measured against, or what stands in its place.

    :param alike: whether results must be equal. Those of Thanos are not, where counters were reset.
    """

    querier: Server
    prometheus: Server
    alike: bool = True

    @property
    def servers(self) -> tuple[Server, Server]:
        return self.querier, self.prometheus


class WebClient:
    """A process of its own, so that what it costs is the same for both."""

    def __init__(self) -> None:
        self._worker = Worker(["bench.promql.client"])

    async def ask(self, server: Server, paths: Sequence[str], *, count: int = 1, clients: int = 1) -> Report:
        """
        :raises RuntimeError: an answer is an error.
        """
        job = Job(address=server.address, paths=list(paths), count=count, clients=clients)
        report = msgspec.convert(await self._worker.ask(json.dumps(msgspec.to_builtins(job))), Report)
        if report.error:
            raise RuntimeError(f"{server.address}{paths[0]}: {report.error}")
        return report

    def close(self) -> None:
        self._worker.close()


async def check_equal(sides: Sides, name: str, path: str) -> bool:
    """Ask both once, and compare; whether the results are the same to the byte.

    :raises Differ: they differ.
    """
    expected, found = await sides.prometheus.get(path), await sides.querier.get(path)
    return check(name, expected, found) if sides.alike else expected == found
