"""go-grpc-prometheus's instruments, by method. Labels are looked up once: that costs more than counting."""

from prometheus_client import Counter, Histogram

from app.errors import Code


class MethodMetrics:
    """Of one method. Mutable: the codes that were met.

    :param labels: grpc_type, grpc_service, grpc_method.
    """

    def __init__(self, labels: tuple[str, str, str], of_all: "MethodsMetrics") -> None:
        self.started = of_all.started.labels(*labels)
        self.received = of_all.received.labels(*labels)
        self.sent = of_all.sent.labels(*labels)
        self.handling = of_all.handling.labels(*labels)
        self._labels = labels
        self._handled = of_all.handled
        self._codes: dict[Code, Counter] = {}

    def handled(self, code: Code) -> Counter:
        """Of calls that ended with `code`."""
        found = self._codes.get(code)
        if found is None:
            found = self._codes[code] = self._handled.labels(*self._labels, code.go_name)
        return found


class MethodsMetrics:
    """Mutable: the methods that were met, which are those of the services that this program knows."""

    started: Counter
    handled: Counter
    received: Counter
    sent: Counter
    handling: Histogram

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str, str], MethodMetrics] = {}

    def method(self, kind: str, service: str, name: str) -> MethodMetrics:
        """
        :param kind: grpc_type: ``unary``, ``server_stream``.
        """
        labels = (kind, service, name)
        found = self._methods.get(labels)
        if found is None:
            found = self._methods[labels] = MethodMetrics(labels, self)
        return found
