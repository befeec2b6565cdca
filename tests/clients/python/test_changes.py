"""A flag file is edited while clients are connected: what they are told, and what they keep."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from client import CHANGED, STREAMING, Events, evaluate, provider
from conftest import Connect, Launch
from flagfile import FlagFile, MountedConfigMap, WrittenInPlace


@pytest.mark.parametrize("kind", STREAMING)
@pytest.mark.parametrize("written", [FlagFile, WrittenInPlace, MountedConfigMap])
def test_an_edit_is_announced_and_served(
    kind: str, written: type[FlagFile], tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    file = written(tmp_path, "checkout.json")
    client = connect(provider(kind, launch("--uri", file.uri)))
    events = Events(client, CHANGED)
    assert evaluate(client, "string", "checkout-only", "x").value == "checkout"
    # Twice: a watch that is lost with the first replacement misses the second.
    for variant, value in (("b", "changed"), ("a", "checkout")):
        file.set_default("checkout-only", variant)
        assert events.wait(CHANGED).flags_changed == ["checkout-only"]
        assert evaluate(client, "string", "checkout-only", "x").value == value
        assert evaluate(client, "string", "shared", "x").value == "from checkout"


@pytest.mark.parametrize("kind", STREAMING)
def test_flags_come_and_go(kind: str, tmp_path: Path, launch: Launch, connect: Connect) -> None:
    file = FlagFile(tmp_path, "checkout.json")
    client = connect(provider(kind, launch("--uri", file.uri)))
    events = Events(client, CHANGED)
    assert evaluate(client, "string", "fresh", "x").error_code is ErrorCode.FLAG_NOT_FOUND

    file.edit(lambda flags: flags.update(fresh=flags["shared"]))
    assert events.wait(CHANGED).flags_changed == ["fresh"]
    assert evaluate(client, "string", "fresh", "x").value == "from checkout"

    file.edit(lambda flags: flags.pop("fresh"))
    assert events.wait(CHANGED).flags_changed == ["fresh"]
    gone = evaluate(client, "string", "fresh", "x")
    assert (gone.value, gone.error_code) == ("x", ErrorCode.FLAG_NOT_FOUND)


@pytest.mark.parametrize("kind", STREAMING)
def test_disabling_a_flag_is_a_change(
    kind: str, tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    file = FlagFile(tmp_path, "checkout.json")
    client = connect(provider(kind, launch("--uri", file.uri)))
    events = Events(client, CHANGED)
    assert evaluate(client, "string", "shared", "x").value == "from checkout"
    file.edit(lambda flags: flags["shared"].update(state="DISABLED"))
    assert events.wait(CHANGED).flags_changed == ["shared"]
    details = evaluate(client, "string", "shared", "x")
    assert (details.value, details.reason) == ("x", "DISABLED")


@pytest.mark.parametrize("kind", STREAMING)
def test_a_broken_file_takes_nothing_away(
    kind: str, tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    file = FlagFile(tmp_path, "checkout.json")
    client = connect(provider(kind, launch("--uri", file.uri)))
    events = Events(client, CHANGED)
    good = file.path.read_text()
    for broken in (good[: len(good) // 2], "", "[]"):
        file.write(broken)
        looked_until = time.monotonic() + 0.5
        while time.monotonic() < looked_until:
            assert evaluate(client, "string", "shared", "x").value == "from checkout"
    file.write(good.replace('"from checkout"', '"repaired"'))
    assert events.wait(CHANGED).flags_changed == ["shared"]
    assert events.count(CHANGED) == 1
    assert evaluate(client, "string", "shared", "x").value == "repaired"


def test_every_client_is_told(tmp_path: Path, launch: Launch, connect: Connect) -> None:
    file = FlagFile(tmp_path, "checkout.json")
    server = launch("--uri", file.uri)
    clients = [connect(provider(kind, server)) for kind in STREAMING * 5]
    recorded = [Events(client, CHANGED) for client in clients]
    file.set_default("shared", "b")
    for client, events in zip(clients, recorded, strict=True):
        assert events.wait(CHANGED).flags_changed == ["shared"]
        assert evaluate(client, "string", "shared", "x").value == "changed"


def test_a_static_value_is_cached_until_it_changes(
    tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    file = FlagFile(tmp_path, "checkout.json")
    client = connect(provider("rpc", launch("--uri", file.uri)))
    events = Events(client, CHANGED)

    def answer(key: str) -> tuple[str, str]:
        details = evaluate(client, "string", key, "x")
        return details.value, str(details.reason)

    assert answer("shared") == ("from checkout", "STATIC")
    # The announcement comes after the new value can be read: a client that asks at once must
    # never cache the old value again.
    for variant, value in (("b", "changed"), ("a", "checkout")) * 10:
        file.set_default("checkout-only", variant)
        assert events.wait(CHANGED).flags_changed == ["checkout-only"]
        assert answer("checkout-only") == (value, "STATIC")
        assert answer("checkout-only") == (value, "CACHED")
    # A change of one flag leaves the others where they were.
    assert answer("shared") == ("from checkout", "CACHED")


def test_a_cached_value_needs_no_server(tmp_path: Path, launch: Launch, connect: Connect) -> None:
    server = launch("--uri", FlagFile(tmp_path, "checkout.json").uri)
    client = connect(provider("rpc", server, deadline_ms=1_000))
    assert evaluate(client, "string", "shared", "x").reason == "STATIC"
    server.kill()
    cached = evaluate(client, "string", "shared", "x")
    assert (cached.value, cached.reason) == ("from checkout", "CACHED")
    unknown = evaluate(client, "string", "checkout-only", "x")
    assert (unknown.value, unknown.error_code) == ("x", ErrorCode.GENERAL)


def test_what_depends_on_the_context_is_not_cached(
    tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    client = connect(provider("rpc", launch("--uri", FlagFile(tmp_path, "shop.json").uri)))
    for email, value in (("a@example.org", True), ("a@example.com", False)) * 2:
        context = EvaluationContext(attributes={"email": email})
        details = evaluate(client, "boolean", "staff-only", not value, context)
        assert (details.value, details.reason != "CACHED") == (value, True)
