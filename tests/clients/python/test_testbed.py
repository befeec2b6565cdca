"""Every scenario of the public flagd testbed, in every mode that its tags allow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openfeature import api
from openfeature.contrib.provider.flagd.config import ResolverType

import steps
from conftest import TESTBED
from launchpad import Launchpad
from sidecar import FRACTIONAL
from testbed import MODES, Scenario, scenarios


def cases() -> Iterator[object]:
    for scenario in scenarios(TESTBED):
        for mode in MODES:
            if f"@{mode}" in scenario.tags:
                reason = scenario.why_not_run(mode, FRACTIONAL)
                marks = [pytest.mark.skip(reason=reason)] if reason else []
                name = f"{mode}/{scenario.feature}/{scenario.name}/{scenario.example}"
                yield pytest.param(mode, scenario, id=name, marks=marks)


@pytest.fixture(scope="session")
def launchpad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launchpad]:
    started = Launchpad(TESTBED, tmp_path_factory.mktemp("launchpad"))
    yield started
    started.close()


@pytest.mark.parametrize(("mode", "scenario"), list(cases()))
def test_scenario(
    mode: str,
    scenario: Scenario,
    launchpad: Launchpad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = steps.World(ResolverType(mode), launchpad, monkeypatch)
    try:
        for step in scenario.steps:
            steps.run(world, step)
    finally:
        api.shutdown()
        launchpad.settle()
