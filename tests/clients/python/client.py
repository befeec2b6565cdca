"""What the tests need around a stock OpenFeature client: evaluate by type name, wait for events."""

from __future__ import annotations

import threading
import time
from typing import Any

from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import FeatureProvider

from sidecar import Sidecar

EVENT_LIMIT_S = 20.0

# The three ways in which a Python application asks for a flag.
KINDS = ("rpc", "in-process", "ofrep")
# Those of them that hold a stream and therefore hear of changes.
STREAMING = ("rpc", "in-process")

READY = ProviderEvent.PROVIDER_READY
CHANGED = ProviderEvent.PROVIDER_CONFIGURATION_CHANGED
STALE = ProviderEvent.PROVIDER_STALE
ERROR = ProviderEvent.PROVIDER_ERROR


def provider(kind: str, sidecar: Sidecar, **options: Any) -> FeatureProvider:
    """A stock provider of this kind; the deadlines leave room for a busy machine."""
    if kind == "ofrep":
        return OFREPProvider(sidecar.ofrep_url, **options)
    defaults = {
        "resolver_type": ResolverType(kind),
        "port": sidecar.ports.rpc if kind == "rpc" else sidecar.ports.sync,
        "deadline_ms": 5_000,
        "retry_backoff_max_ms": 1_000,
    }
    return FlagdProvider(**{**defaults, **options})


def evaluate(
    client: OpenFeatureClient,
    flag_type: str,
    key: str,
    default: Any,
    context: EvaluationContext | None = None,
) -> FlagEvaluationDetails[Any]:
    """`flag_type` is boolean, string, integer, float or object."""
    method = getattr(client, f"get_{flag_type}_details")
    details: FlagEvaluationDetails[Any] = method(key, default, context)
    return details


class Events:
    """The events of one client in the order in which they came.

    `wait` moves on: it answers the next event of a kind after the one it answered before,
    so a test states a sequence, and an event cannot be counted twice.
    """

    def __init__(self, client: OpenFeatureClient, *kinds: ProviderEvent) -> None:
        self._client = client
        self._arrived = threading.Condition()
        self._seen: list[tuple[ProviderEvent, EventDetails, float]] = []
        self._position = 0
        for kind in kinds:
            self.record(kind)

    def record(self, kind: ProviderEvent) -> None:
        def handler(details: EventDetails) -> None:
            with self._arrived:
                self._seen.append((kind, details, time.monotonic()))
                self._arrived.notify_all()

        self._client.add_handler(kind, handler)

    def wait(self, kind: ProviderEvent, limit_s: float = EVENT_LIMIT_S) -> EventDetails:
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._next(kind) is not None, limit_s):
                raise AssertionError(f"no {kind.value} within {limit_s} s; got {self.names()}")
            index = self._next(kind)
            assert index is not None
            self._position = index + 1
            return self._seen[index][1]

    def count(self, kind: ProviderEvent) -> int:
        with self._arrived:
            return sum(seen == kind for seen, _, _ in self._seen)

    def seconds_since(self, kind: ProviderEvent) -> float:
        """How long ago the first event of this kind came."""
        with self._arrived:
            return time.monotonic() - next(at for seen, _, at in self._seen if seen == kind)

    def names(self) -> list[str]:
        with self._arrived:
            return [seen.value for seen, _, _ in self._seen]

    def _next(self, kind: ProviderEvent) -> int | None:
        unread = range(self._position, len(self._seen))
        return next((i for i in unread if self._seen[i][0] == kind), None)
