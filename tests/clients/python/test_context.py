"""Context that the server adds: `--context-value` and `--context-from-header`."""

from __future__ import annotations

from pathlib import Path

import pytest
from openfeature.evaluation_context import EvaluationContext

from client import KINDS, evaluate, provider
from conftest import Connect, Launch
from flagfile import FlagFile

IN_US = EvaluationContext(attributes={"region": "us"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_static_value_reaches_every_rule(
    kind: str, tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    source = FlagFile(tmp_path, "shop.json").uri
    server = launch("--uri", source, "--context-value", "region=eu")
    client = connect(provider(kind, server))
    for context in (None, IN_US):  # the operator's word beats the caller's
        details = evaluate(client, "string", "by-region", "x", context)
        assert (details.value, details.reason) == ("eu", "TARGETING_MATCH")


@pytest.mark.parametrize("kind", KINDS)
def test_without_it_the_caller_decides(
    kind: str, tmp_path: Path, launch: Launch, connect: Connect
) -> None:
    server = launch("--uri", FlagFile(tmp_path, "shop.json").uri)
    client = connect(provider(kind, server))
    assert evaluate(client, "string", "by-region", "x", IN_US).value == "us"
    assert evaluate(client, "string", "by-region", "x").value == "elsewhere"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Region": "us"}, "us"),
        ({"x-region": "us"}, "us"),
        ({"X-Region": ""}, "eu"),
        ({}, "eu"),
    ],
)
def test_a_header_beats_the_static_value(
    headers: dict[str, str],
    expected: str,
    tmp_path: Path,
    launch: Launch,
    connect: Connect,
) -> None:
    """Only the OFREP provider lets an application send headers."""
    source = FlagFile(tmp_path, "shop.json").uri
    server = launch(
        "--uri", source, "--context-value", "region=eu", "--context-from-header", "X-Region=region"
    )
    client = connect(provider("ofrep", server, headers_factory=lambda: headers))
    caller = EvaluationContext(attributes={"region": "elsewhere"})
    assert evaluate(client, "string", "by-region", "x", caller).value == expected
