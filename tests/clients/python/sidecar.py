"""Starts, stops and kills the server under test: one process, its own ports, its own log."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# The generation of `fractional` that the server computes; v2 needs no asking, as in flagd.
FRACTIONAL = os.environ.get("FRACTIONAL", "v2")

START_LIMIT_S = 20.0
STOP_LIMIT_S = 10.0

# Below the range from which the kernel takes the ports of outgoing connections (32768 and up):
# a client that keeps dialling a dead port in that range may end up connected to itself.
PORT_RANGE = range(20_000, 32_000)

# Every test process takes its ports from its own share of the range: a port that is free when it
# is chosen is still free when the server binds it.
SHARES = 40
SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES


class ServerError(Exception):
    """The server did not start or stop; the message carries the end of its log."""


@dataclass(frozen=True)
class Ports:
    rpc: int
    sync: int
    ofrep: int
    management: int

    @staticmethod
    def free() -> Ports:
        """Four ports that nobody listens on, all held at once so that they differ."""
        held: list[socket.socket] = []
        try:
            while len(held) < 4:
                candidate = socket.socket()
                try:
                    candidate.bind(("", random.choice(PORT_RANGE[SHARE::SHARES])))
                    held.append(candidate)
                except OSError:
                    candidate.close()
            return Ports(*(each.getsockname()[1] for each in held))
        finally:
            for each in held:
                each.close()


def binary() -> Path:
    """The server under test; any program that accepts flagd's `start` command line."""
    path = Path(os.environ.get("OUTRIGGER_BIN", ""))
    if not path.is_file():
        raise ServerError("set OUTRIGGER_BIN to the path of the server under test")
    return path.resolve()


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Polls `condition`; fails loudly when it does not come true in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit_s} s")
        time.sleep(0.02)


class Sidecar:
    """One server process. It keeps its ports and arguments over restarts."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.ports = Ports.free()
        self.folder = folder
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [
            str(binary()),
            "start",
            "--bind=127.0.0.1",  # flagd would listen on every interface
            f"--port={self.ports.rpc}",
            f"--sync-port={self.ports.sync}",
            f"--ofrep-port={self.ports.ofrep}",
            f"--management-port={self.ports.management}",
            *(["--fractional=v3"] if FRACTIONAL == "v3" else []),
            *arguments,
        ]

    @property
    def ofrep_url(self) -> str:
        return f"http://localhost:{self.ports.ofrep}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Sidecar:
        """Starts the process and waits until it says that it is ready."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLAGD_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        try:
            wait_until(self._ready_or_gone, START_LIMIT_S, "ready")
        except TimeoutError as late:
            self.kill()
            raise ServerError(f"{late}\n{self._tail()}") from late
        if not self.running:
            raise ServerError(f"exited with {self._process.returncode}\n{self._tail()}")
        return self

    def kill(self) -> None:
        """SIGKILL: what a crash or the out-of-memory killer does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code, fails if the process does not go."""
        assert self._process is not None, "never started"
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise ServerError(f"still there after SIGTERM\n{self._tail()}") from late

    def _ready_or_gone(self) -> bool:
        if not self.running:
            return True
        url = f"http://localhost:{self.ports.management}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]
