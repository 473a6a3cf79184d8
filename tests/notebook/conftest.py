"""A real JupyterLab and a headless Chromium for the widget's tests; without either they are skipped, with a reason."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NEEDED = ("anywidget", "jupyterlab", "nbformat", "playwright")
_READY_S = 60


def _chromium() -> str:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the browser test needs the Python packages {', '.join(missing)} (extra `test`)")
    path = os.environ.get("SEMCLASS_CHROMIUM") or next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    if path is None:
        pytest.skip("no Chromium is installed; set SEMCLASS_CHROMIUM to one")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Headless Chromium of this computer, driven by Playwright."""
    path = _chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root and in many containers; the only pages here are our own.
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """A JupyterLab of its own with nobody's settings: gives the address of a notebook of its folder."""
    _chromium()
    home = tmp_path_factory.mktemp("lab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dirs = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **dirs, "JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={home}"),
        *("--IdentityProvider.token=semclass", "--ServerApp.open_browser=False"),
    ]
    log = (home / "log.txt").open("wb")
    with subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home) as server:
        base = f"http://127.0.0.1:{port}"
        _wait_for(f"{base}/api", home / "log.txt", server)
        yield lambda name: f"{base}/lab/tree/{name}?token=semclass&reset"
        server.terminate()


@pytest.fixture(scope="session")
def lab_folder(lab: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that JupyterLab shows."""
    return tmp_path_factory.getbasetemp() / "lab0"


def _wait_for(address: str, log: Path, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address)  # noqa: S310 - our own server
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(errors='replace')[-3000:]}")
