"""Fixtures, and the conformance report."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.provider import FeatureProvider

import testbed
from sidecar import FRACTIONAL, Sidecar, binary

TESTBED = testbed.folder()
os.environ["FLAGD_TESTBED_DIR"] = str(TESTBED)  # the workers need not look for it again

# Where `connect` puts the first provider of a test.
FIRST_DOMAIN = "client-1"

Connect = Callable[[FeatureProvider], OpenFeatureClient]
Launch = Callable[..., Sidecar]


def pytest_configure(config: pytest.Config) -> None:
    if FRACTIONAL not in ("v2", "v3"):
        raise pytest.UsageError(f"FRACTIONAL is v2 or v3, not {FRACTIONAL}")
    binary()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ConformanceReport(os.environ.get("CONFORMANCE_JSON")))


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts servers with the given arguments, in the test's own folder."""
    started: list[Sidecar] = []

    def start(*arguments: str) -> Sidecar:
        started.append(Sidecar(tmp_path, *arguments))
        return started[-1].start()

    yield start
    for sidecar in started:
        sidecar.kill()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes a provider ready under its own domain, shuts all of them down afterwards."""
    numbers = itertools.count(1)

    def open_client(provider: FeatureProvider) -> OpenFeatureClient:
        domain = f"client-{next(numbers)}"
        api.set_provider_and_wait(provider, domain)
        return api.get_client(domain)

    yield open_client
    api.shutdown()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Writes on every testbed scenario what the report says about it."""
    client = f"python {version('openfeature-provider-flagd')}"
    for item in items:
        values = item.callspec.params if hasattr(item, "callspec") else {}
        if scenario := values.get("scenario"):
            row = {
                "suite": f"testbed-{values['mode']}" + ("-v3" if FRACTIONAL == "v3" else ""),
                "client": client,
                "feature": scenario.feature,
                "scenario": scenario.name,
                "example": scenario.example,
                "tags": sorted(scenario.tags),
                "server": scenario.asks_server(values["mode"]),
            }
            item.user_properties.append(("conformance", row))


class ConformanceReport:
    """One row per scenario and mode. `server` is false where the provider works alone."""

    def __init__(self, target: str | None) -> None:
        self._target = Path(target).absolute() if target else None
        self._rows: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        row = dict(report.user_properties).get("conformance")
        if not isinstance(row, dict):
            return
        # A scenario has three phases; a later pass never hides a skip or a failure.
        if self._rows.get(report.nodeid, {"status": "passed"})["status"] == "passed":
            outcome = {"status": report.outcome, "reason": _reason(report)}
            self._rows[report.nodeid] = row | outcome

    def pytest_sessionfinish(self) -> None:
        if self._target is not None:
            rows = [self._rows[nodeid] for nodeid in sorted(self._rows)]
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._target.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for suite in sorted({row["suite"] for row in self._rows.values()}):
            rows = [row for row in self._rows.values() if row["suite"] == suite]
            count = Counter(row["status"] for row in rows)
            served = sum(row["server"] and row["status"] == "passed" for row in rows)
            terminalreporter.write_line(
                f"{suite}: {count['passed']} passed ({served} of them ask the server), "
                f"{count['failed']} failed, {count['skipped']} not run"
            )


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr).strip().splitlines()[-1] if report.failed else ""
