"""The server goes away and comes back on its ports: what clients notice and what they serve."""

from __future__ import annotations

from pathlib import Path

import pytest
from openfeature import api
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.provider import ProviderStatus

from client import CHANGED, ERROR, READY, STALE, STREAMING, Events, evaluate, provider
from conftest import FIRST_DOMAIN, Connect, Launch
from flagfile import FlagFile
from sidecar import wait_until

GRACE_PERIOD_S = 4


@pytest.mark.parametrize("ending", ["killed", "terminated"])
@pytest.mark.parametrize("kind", STREAMING)
def test_clients_survive_an_outage(
    kind: str, ending: str, tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    file = FlagFile(tmp_path, "checkout.json")
    server = launch("--uri", file.uri)
    client = connect(provider(kind, server, deadline_ms=2_000, retry_grace_period=GRACE_PERIOD_S))
    events = Events(client, READY, STALE, ERROR, CHANGED)
    events.wait(READY)
    assert evaluate(client, "string", "shared", "x").value == "from checkout"

    if ending == "killed":
        server.kill()
    else:
        assert server.terminate() == 0
    events.wait(STALE)
    kept = evaluate(client, "string", "shared", "x")
    assert kept.value == "from checkout"
    assert kept.reason == ("CACHED" if kind == "rpc" else "STATIC")
    events.wait(ERROR)
    assert client.get_provider_status() is ProviderStatus.ERROR
    lost = evaluate(client, "string", "shared", "x")
    if kind == "rpc":  # its cache does not outlive the grace period
        assert (lost.value, lost.error_code) == ("x", ErrorCode.GENERAL)
    else:
        assert (lost.value, lost.error_code) == ("from checkout", None)

    file.set_default("shared", "b")
    server.start()
    events.wait(READY)
    wait_until(lambda: client.get_provider_status() is ProviderStatus.READY, 5, "ready")
    assert evaluate(client, "string", "shared", "x").value == "changed"
    file.set_default("checkout-only", "b")
    while "checkout-only" not in (events.wait(CHANGED).flags_changed or []):
        pass  # the in-process provider also announces what it found after the outage
    assert evaluate(client, "string", "checkout-only", "x").value == "changed"


@pytest.mark.parametrize("kind", STREAMING)
def test_a_client_may_start_first(
    kind: str, tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    """A service and its sidecar start together: whoever is first waits for the other."""
    server = launch("--uri", FlagFile(tmp_path, "checkout.json").uri)
    server.kill()
    early = provider(kind, server, deadline_ms=500)
    with pytest.raises(ProviderNotReadyError):
        connect(early)
    client = api.get_client(FIRST_DOMAIN)
    events = Events(client, READY)
    server.start()
    events.wait(READY)
    assert evaluate(client, "string", "shared", "x").value == "from checkout"
