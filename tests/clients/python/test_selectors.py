"""Two sources that are two flag sets, and clients that ask for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.provider import FeatureProvider

from client import CHANGED, KINDS, STREAMING, Events, evaluate, provider
from conftest import Connect
from flagfile import FlagFile
from sidecar import Sidecar


class Shop:
    """A server with the sources checkout.json and, of higher priority, search.json."""

    def __init__(self, folder: Path) -> None:
        self.checkout = FlagFile(folder, "checkout.json")
        self.search = FlagFile(folder, "search.json")
        self.server = Sidecar(folder, "--uri", self.checkout.uri, "--uri", self.search.uri)

    def provider(self, kind: str, selector: str | None = None, **options: Any) -> FeatureProvider:
        if selector is not None and kind == "ofrep":
            options["headers_factory"] = lambda: {"Flagd-Selector": selector}
        elif selector is not None:
            options["selector"] = selector
        return provider(kind, self.server, **options)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    built = Shop(tmp_path)
    built.server.start()
    yield built
    built.server.kill()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "selector", ["flagSetId=checkout", "source=checkout.json", "checkout.json"]
)
def test_a_selector_shows_one_set(kind: str, selector: str, shop: Shop, connect: Connect) -> None:
    client = connect(shop.provider(kind, selector))
    assert evaluate(client, "string", "checkout-only", "x").value == "checkout"
    assert evaluate(client, "string", "shared", "x").value == "from checkout"
    hidden = evaluate(client, "string", "search-only", "x")
    assert (hidden.value, hidden.error_code) == ("x", ErrorCode.FLAG_NOT_FOUND)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_selector_the_later_source_wins(kind: str, shop: Shop, connect: Connect) -> None:
    client = connect(shop.provider(kind))
    assert evaluate(client, "string", "checkout-only", "x").value == "checkout"
    assert evaluate(client, "string", "search-only", "x").value == "search"
    assert evaluate(client, "string", "shared", "x").value == "from search"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("selector", ["flagSetId=nobody", "source=nowhere.json", "flagSetId="])
def test_a_selector_that_fits_nothing(
    kind: str, selector: str, shop: Shop, connect: Connect
) -> None:
    client = connect(shop.provider(kind, selector))
    details = evaluate(client, "string", "checkout-only", "x")
    assert (details.value, details.error_code) == ("x", ErrorCode.FLAG_NOT_FOUND)


@pytest.mark.parametrize("kind", STREAMING)
def test_a_selector_that_is_wrong_is_refused(kind: str, shop: Shop, connect: Connect) -> None:
    with pytest.raises(ProviderNotReadyError):
        connect(shop.provider(kind, "colour=blue", deadline_ms=1_000))


def test_a_selector_that_is_wrong_is_refused_over_ofrep(shop: Shop, connect: Connect) -> None:
    client = connect(shop.provider("ofrep", "colour=blue"))
    details = evaluate(client, "string", "checkout-only", "x")
    assert (details.value, details.error_code) == ("x", ErrorCode.GENERAL)


@pytest.mark.parametrize("kind", STREAMING)
def test_a_selector_filters_the_changes(kind: str, shop: Shop, connect: Connect) -> None:
    selective = Events(connect(shop.provider(kind, "flagSetId=checkout")), CHANGED)
    complete = Events(connect(shop.provider(kind)), CHANGED)
    shop.search.set_default("search-only", "b")
    assert complete.wait(CHANGED).flags_changed == ["search-only"]
    shop.checkout.set_default("checkout-only", "b")
    assert complete.wait(CHANGED).flags_changed == ["checkout-only"]
    # The other set's change came first: had it been sent here too, it would be the answer.
    assert selective.wait(CHANGED).flags_changed == ["checkout-only"]
    assert selective.count(CHANGED) == 1
