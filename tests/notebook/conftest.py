"""A real JupyterLab and a headless Chromium for the widget's tests; without either they are skipped, with a reason."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NEEDED = ("anywidget", "jupyterlab", "nbformat", "playwright")
_TOKEN = "semclass"  # noqa: S105 - of a server that lives as long as the tests


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


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: the folder it shows, and where."""

    folder: Path
    base: str

    def address(self, name: str) -> str:
        """Of a notebook in its folder."""
        return f"{self.base}/lab/tree/{name}?token={_TOKEN}&reset"

    def notebook_address(self, name: str) -> str:
        """Of a notebook in its folder, in Notebook 7; the same server shows it where `notebook` is installed."""
        return f"{self.base}/notebooks/{name}?token={_TOKEN}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[[Callable[[], object]], None]) -> Iterator[Lab]:
    """A JupyterLab with nobody's settings."""
    _chromium()
    home = tmp_path_factory.mktemp("lab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = home / "settings"
    news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')
    folders = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    environment = {**os.environ, **folders, "JUPYTERLAB_SETTINGS_DIR": str(settings)}
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *(f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={home}"),
        f"--IdentityProvider.token={_TOKEN}",
    ]
    with (
        (home / "log.txt").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home) as server,
    ):
        try:
            wait_until(lambda: server.poll() is not None or _answers(f"http://127.0.0.1:{port}/api"))
            if server.poll() is not None:
                pytest.fail(f"JupyterLab did not start:\n{(home / 'log.txt').read_text(errors='replace')[-3000:]}")
            yield Lab(home, f"http://127.0.0.1:{port}")
        finally:
            server.terminate()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address)  # noqa: S310 - our own server
    except OSError:
        return False
    return True
