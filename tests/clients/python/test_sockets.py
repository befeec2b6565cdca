"""The same services over Unix sockets.

The Python provider has no option for a socket, but it puts `host:port` together without looking,
and `unix:/path` is a target that its gRPC library understands.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from client import CHANGED, Events, evaluate, provider
from conftest import Connect, Launch
from flagfile import FlagFile


# By default gRPC's C library, which carries Python, names the socket's path as the authority.
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("rpc", {}),
        ("in-process", {}),
        ("in-process", {"default_authority": "localhost"}),
    ],
)
def test_a_client_on_a_socket(
    kind: str, options: dict[str, str], tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    path = tmp_path / "flags.sock"
    listen = "--socket-path" if kind == "rpc" else "--sync-socket-path"
    file = FlagFile(tmp_path, "checkout.json")
    server = launch("--uri", file.uri, listen, str(path))
    client = connect(provider(kind, server, host="unix", port=str(path), **options))
    events = Events(client, CHANGED)
    assert evaluate(client, "string", "shared", "x").value == "from checkout"
    file.set_default("shared", "b")
    assert events.wait(CHANGED).flags_changed == ["shared"]
    assert evaluate(client, "string", "shared", "x").value == "changed"
