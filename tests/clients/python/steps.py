"""The step definitions of the flagd testbed, for the Python provider."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import CacheType, Config, ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import ProviderStatus

from client import Events, evaluate
from launchpad import Launchpad
from sidecar import Ports, wait_until
from testbed import Step

# The scenarios want it longer than an outage of 1 s and shorter than one of 6 s.
GRACE_PERIOD_S = 4
EVENTS = {
    "ready": ProviderEvent.PROVIDER_READY,
    "stale": ProviderEvent.PROVIDER_STALE,
    "error": ProviderEvent.PROVIDER_ERROR,
    "change": ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
}
CONFIGURATIONS = {
    "stable": "default",
    "metadata": "metadata",
    "syncpayload": "sync-payload",
}


@dataclass
class World:
    """What one scenario has built so far."""

    mode: ResolverType
    launchpad: Launchpad
    patch: pytest.MonkeyPatch
    options: dict[str, Any] = field(default_factory=dict)
    config: Config | Exception | None = None
    client: OpenFeatureClient | None = None
    events: Events | None = None
    last_event: EventDetails | None = None
    flag: tuple[str, str, Any] = ("", "", None)
    targeting_key: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    details: FlagEvaluationDetails[Any] | None = None


Handler = Callable[..., None]
STEPS: list[tuple[re.Pattern[str], Handler]] = []


def step(pattern: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        STEPS.append((re.compile(pattern), handler))
        return handler

    return register


def run(world: World, current: Step) -> None:
    """Runs the one definition that fits; a step without one fails its scenario."""
    fitting = [(m, handler) for p, handler in STEPS if (m := p.fullmatch(current.text))]
    assert len(fitting) == 1, f"{len(fitting)} definitions for: {current.text}"
    match, handler = fitting[0]
    if current.table:
        handler(world, *match.groups(), current.table)
    else:
        handler(world, *match.groups())


def value_of(kind: str, text: str) -> Any:
    """A value as the feature files write it."""
    match kind:
        case "Boolean":
            return {"true": True, "false": False}[text.lower()]
        case "Integer" | "Long":
            return int(text)
        case "Float":
            return float(text)
        case "Object":
            return json.loads(text)
        case "StringList":
            return [each.strip() for each in text.split(",")] if text else []
        case "ResolverType":
            return ResolverType(text.lower())
        case "CacheType":
            return CacheType(text)
        case "String":
            return text
    raise AssertionError(f"unknown type {kind}")


def snake_case(option: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), option)


# --- the provider's options -------------------------------------------------------------


@step(r'an option "(.*)" of type "(.*)" with value "(.*)"')
def option(world: World, name: str, kind: str, text: str) -> None:
    world.options[snake_case(name)] = value_of(kind, text)


@step(r'an environment variable "(.*)" with value "(.*)"')
def environment_variable(world: World, name: str, value: str) -> None:
    world.patch.setenv(name, value)


@step("a config was initialized")
def config_initialized(world: World) -> None:
    try:
        world.config = Config(**world.options)
    except AttributeError as refused:
        world.config = refused


@step(r'the option "(.*)" of type "(.*)" should have the value "(.*)"')
def option_is(world: World, name: str, kind: str, text: str) -> None:
    assert isinstance(world.config, Config), world.config
    expected = None if text == "null" else value_of(kind, text)
    assert getattr(world.config, snake_case(name)) == expected


@step("we should have an error")
def config_refused(world: World) -> None:
    assert isinstance(world.config, AttributeError)


# --- the provider -----------------------------------------------------------------------


@step(r"a (stable|metadata|syncpayload) flagd provider")
def provider(world: World, kind: str) -> None:
    if world.mode is not ResolverType.FILE:
        world.launchpad.start(CONFIGURATIONS[kind])
    client = connect(world, mode_options(world))
    wait_until(lambda: client.get_provider_status() is ProviderStatus.READY, 10, "ready")


@step("a unavailable flagd provider")
def unavailable_provider(world: World) -> None:
    if world.mode is ResolverType.FILE:
        where: dict[str, Any] = {"offline_flag_source_path": "/nowhere/flags.json"}
    else:
        where = {"port": Ports.free().rpc}
    connect(world, where)


def mode_options(world: World) -> dict[str, Any]:
    match world.mode:
        case ResolverType.RPC:
            return {"port": world.launchpad.sidecar.ports.rpc}
        case ResolverType.IN_PROCESS:
            return {"port": world.launchpad.sidecar.ports.sync}
    # A selector names one of the server's files: the file provider reads just that file.
    source = world.options.get("selector")
    path = world.launchpad.path(source) if source else world.launchpad.all_flags
    return {"offline_flag_source_path": str(path), "deadline_ms": 200}


def connect(world: World, where: dict[str, Any]) -> OpenFeatureClient:
    defaults = {
        "resolver_type": world.mode,
        "deadline_ms": 2_000,
        "stream_deadline_ms": 0,
        "retry_backoff_ms": 1_000,
        "retry_backoff_max_ms": 1_000,
        "retry_grace_period": GRACE_PERIOD_S,
    }
    api.set_provider(FlagdProvider(**{**defaults, **where, **world.options}))
    world.client = api.get_client()
    world.events = Events(world.client)
    return world.client


@step(r"the client should be in (\w+) state")
def client_state(world: World, state: str) -> None:
    assert world.client is not None
    assert world.client.get_provider_status() is ProviderStatus[state.upper()]


@step(r"the connection is lost for (\d+)s")
def connection_lost(world: World, seconds: str) -> None:
    world.launchpad.lose_connection(int(seconds))


@step("the flag was modified")
def flag_modified(world: World) -> None:
    world.launchpad.change_flag()


# --- evaluation -------------------------------------------------------------------------


@step(r'an? (\w+)-flag with key "(.*)" and a default value "(.*)"')
def flag(world: World, kind: str, key: str, default: str) -> None:
    world.flag = (kind, key, value_of(kind, default))


@step(r'a context containing a key "(.*?)", with type "(.*?)" and with value "(.*)"')
def context_value(world: World, key: str, kind: str, text: str) -> None:
    world.attributes[key] = value_of(kind, text)


@step(r'a context containing a targeting key with value "(.*)"')
def context_targeting_key(world: World, key: str) -> None:
    world.targeting_key = key


@step(
    r"a context containing a nested property "
    r'with outer key "(.*)" and inner key "(.*)", with value "(.*)"'
)
def context_nested(world: World, outer: str, inner: str, value: str) -> None:
    world.attributes[outer] = {inner: value}


@step("the flag was evaluated with details")
def evaluated(world: World) -> None:
    assert world.client is not None
    kind, key, default = world.flag
    context = EvaluationContext(world.targeting_key, world.attributes)
    world.details = evaluate(world.client, kind.lower(), key, default, context)


@step(r'the resolved details value should be "(.*)"')
def value_is(world: World, text: str) -> None:
    assert world.details is not None
    expected = value_of(world.flag[0], text)
    assert world.details.value == expected
    assert type(world.details.value) is type(expected)


@step(r'the (reason|variant) should be "(.*)"')
def detail_is(world: World, name: str, text: str) -> None:
    assert getattr(world.details, name) == text


@step(r'the error-code should be "(.*)"')
def error_code_is(world: World, text: str) -> None:
    assert world.details is not None
    code = world.details.error_code
    assert (code.value if code else "") == text


@step("the resolved metadata should contain")
def metadata_contains(world: World, table: list[dict[str, str]]) -> None:
    assert world.details is not None
    expected = {row["key"]: value_of(row["metadata_type"], row["value"]) for row in table}
    assert expected.items() <= world.details.flag_metadata.items()


@step("the resolved metadata is empty")
def metadata_empty(world: World) -> None:
    assert world.details is not None
    assert not world.details.flag_metadata


# --- events -----------------------------------------------------------------------------


@step(r"a (ready|stale|error|change) event handler")
def event_handler(world: World, kind: str) -> None:
    assert world.events is not None
    world.events.record(EVENTS[kind])


@step(r"a (ready|stale|error|change) event was fired")
@step(r"the (ready|stale|error|change) event handler should have been executed")
def event_fired(world: World, kind: str) -> None:
    assert world.events is not None
    world.last_event = world.events.wait(EVENTS[kind])


@step(r"the (\w+) event handler should have been executed within (\d+)ms")
def event_fired_within(world: World, kind: str, limit_ms: str) -> None:
    assert world.events is not None
    world.last_event = world.events.wait(EVENTS[kind], int(limit_ms) / 1_000)


@step(r"the error event handler should not have been executed")
def no_error_event(world: World) -> None:
    """The provider reports an error when the grace period ends: look after that, not before."""
    assert world.events is not None
    time.sleep(max(0.0, GRACE_PERIOD_S + 0.5 - world.events.seconds_since(EVENTS["stale"])))
    assert world.events.count(EVENTS["error"]) == 0, world.events.names()


@step("the flag should be part of the event payload")
def flag_in_event(world: World) -> None:
    assert world.last_event is not None
    assert world.flag[1] in (world.last_event.flags_changed or [])
