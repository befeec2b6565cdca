"""What a Python application gets for a flag, through each of the three providers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd.config import CacheType
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from client import KINDS, evaluate, provider
from flagfile import FlagFile
from sidecar import Sidecar

STAFF = EvaluationContext(attributes={"email": "ann@example.org"})
GUEST = EvaluationContext(attributes={"email": "ann@example.com"})
USER_1 = EvaluationContext(targeting_key="user-1")
USER_2 = EvaluationContext(targeting_key="user-2")


def order(total: float, paid: bool, tag: str) -> EvaluationContext:
    return EvaluationContext(attributes={"order": {"total": total, "paid": paid, "tags": [tag]}})


LARGE_ORDER = order(99.75, True, "gold")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder: Path = tmp_path_factory.mktemp("shop")
    sidecar = Sidecar(folder, "--uri", FlagFile(folder, "shop.json").uri).start()
    yield sidecar
    sidecar.kill()


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(kind: str, server: Sidecar) -> Iterator[OpenFeatureClient]:
    options = {"cache": CacheType.DISABLED} if kind == "rpc" else {}
    api.set_provider_and_wait(provider(kind, server, **options))
    yield api.get_client()
    api.shutdown()


THEME = {"name": "dark", "layers": [1, "two", True, None, {"deep": []}], "border": {"px": 1.5}}

# key, type, the caller's default, context -> value, variant, reason
VALUES: list[tuple[str, str, Any, EvaluationContext | None, Any, str, str]] = [
    ("boolean-on", "boolean", False, None, True, "on", "STATIC"),
    ("string-greeting", "string", "x", None, "héllo ✓", "hello", "STATIC"),
    ("integer-limit", "integer", 1, None, 9_007_199_254_740_991, "large", "STATIC"),
    ("float-ratio", "float", 9.9, None, 0.1, "tenth", "STATIC"),
    ("object-theme", "object", {}, None, THEME, "dark", "STATIC"),
    ("spaced key ünï", "string", "x", None, "found", "on", "STATIC"),
    # Zero values are values.
    ("boolean-zero", "boolean", True, None, False, "off", "STATIC"),
    ("string-zero", "string", "x", None, "", "empty", "STATIC"),
    ("integer-zero", "integer", 1, None, 0, "zero", "STATIC"),
    ("object-zero", "object", {"x": 1}, None, {}, "empty", "STATIC"),
    # A rule that decides, a rule that does not, and a rule that names the default itself.
    ("staff-only", "boolean", False, STAFF, True, "on", "TARGETING_MATCH"),
    ("staff-only", "boolean", True, GUEST, False, "off", "DEFAULT"),
    ("staff-only", "boolean", True, None, False, "off", "DEFAULT"),
    ("rule-names-default", "boolean", True, GUEST, False, "off", "TARGETING_MATCH"),
    ("by-targeting-key", "string", "x", USER_1, "mine", "mine", "TARGETING_MATCH"),
    ("by-targeting-key", "string", "x", USER_2, "theirs", "theirs", "DEFAULT"),
    # Numbers, booleans, lists and nesting survive the way to the rule.
    ("by-nested-context", "string", "x", LARGE_ORDER, "yes", "yes", "TARGETING_MATCH"),
    ("by-nested-context", "string", "x", order(99.5, True, "gold"), "no", "no", "DEFAULT"),
    ("by-nested-context", "string", "x", order(100, True, "tin"), "no", "no", "DEFAULT"),
    ("by-nested-context", "string", "x", order(100, False, "gold"), "no", "no", "DEFAULT"),
    ("no-default-targeted", "boolean", False, STAFF, True, "on", "TARGETING_MATCH"),
]


@pytest.mark.parametrize(
    ("key", "flag_type", "default", "context", "value", "variant", "reason"), VALUES
)
def test_value(
    client: OpenFeatureClient,
    key: str,
    flag_type: str,
    default: Any,
    context: EvaluationContext | None,
    value: Any,
    variant: str,
    reason: str,
) -> None:
    details = evaluate(client, flag_type, key, default, context)
    assert details.error_code is None, details.error_message
    assert details.value == value
    assert type(details.value) is type(value)
    assert details.variant == variant
    assert details.reason == reason


def test_a_float_that_is_a_whole_number(client: OpenFeatureClient) -> None:
    """A client that tells 2 from 2.0 must see the number as the flag file has it."""
    details = evaluate(client, "float", "float-whole", 9.9)
    assert details.error_code is None, details.error_message
    assert (details.value, details.variant, details.reason) == (2.0, "double", "STATIC")


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize(
    ("key", "context", "reason"),
    [
        ("disabled", None, "DISABLED"),
        ("no-default", None, "DEFAULT"),
        ("no-default-targeted", GUEST, "DEFAULT"),
    ],
)
def test_the_code_default(
    client: OpenFeatureClient,
    kind: str,
    key: str,
    context: EvaluationContext | None,
    reason: str,
    default: bool,
) -> None:
    details = evaluate(client, "boolean", key, default, context)
    assert details.value is default
    assert details.variant is None
    if kind == "ofrep":
        # This provider cannot read a success without a variant, which the protocol allows:
        # it reports the missing member and answers the default all the same.
        assert (details.error_code, details.error_message) == (ErrorCode.GENERAL, "'variant'")
    else:
        assert (details.error_code, details.reason) == (None, reason)


@pytest.mark.parametrize(
    ("key", "flag_type", "default", "code"),
    [
        ("no-such-flag", "boolean", True, ErrorCode.FLAG_NOT_FOUND),
        ("string-greeting", "boolean", True, ErrorCode.TYPE_MISMATCH),
        ("boolean-on", "string", "x", ErrorCode.TYPE_MISMATCH),
        ("string-greeting", "integer", 1, ErrorCode.TYPE_MISMATCH),
        ("boolean-on", "object", {"x": 1}, ErrorCode.TYPE_MISMATCH),
        ("object-theme", "string", "x", ErrorCode.TYPE_MISMATCH),
        ("string-greeting", "float", 9.9, ErrorCode.TYPE_MISMATCH),
        ("unknown-operator", "boolean", False, ErrorCode.PARSE_ERROR),
        ("unknown-variant", "boolean", False, ErrorCode.GENERAL),
    ],
)
def test_error(
    client: OpenFeatureClient, key: str, flag_type: str, default: Any, code: ErrorCode
) -> None:
    details = evaluate(client, flag_type, key, default)
    assert details.error_code is code, details.error_message
    assert details.reason == "ERROR"
    assert details.value == default


@pytest.mark.parametrize(
    ("key", "of_the_flag"),
    [
        ("boolean-on", {}),
        ("staff-only", {}),
        ("with-metadata", {"owner": "checkout", "tries": 3, "ratio": 1.5, "live": True}),
    ],
)
def test_metadata(
    client: OpenFeatureClient, kind: str, key: str, of_the_flag: dict[str, Any]
) -> None:
    """The flag's own metadata over its set's. The RPC provider drops what the server sends."""
    of_the_set = {"flagSetId": "shop", "owner": "platform", "version": "7"}
    details = evaluate(client, "boolean", key, True)
    expected = {} if kind == "rpc" else of_the_set | of_the_flag
    assert dict(details.flag_metadata) == expected
