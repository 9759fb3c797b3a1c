"""A headless Chromium, driven by WebDriver over HTTP: no package beyond Debian's two."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2

MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-sync", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--window-size=1500,1000"]


class Browser:
    """Use as a context manager; `profile` is a new folder for the browser's own files."""

    def __init__(self, profile: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.address = f"http://127.0.0.1:{port}/session"
        # Until the driver listens, connecting is tried again after 0.5, 1, 2, 4 ... seconds.
        self.http = httpx2.Client(transport=httpx2.HTTPTransport(retries=7), timeout=60)
        session = self._call("", {"capabilities": {"alwaysMatch": wanted}})
        self.address += f"/{session['sessionId']}"

    def _call(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.http.request(method, self.address + path, json=body)
        return answer.raise_for_status().json()["value"]

    def open(self, page: Path) -> None:
        self.visit(page.as_uri())

    def visit(self, address: str) -> None:
        self._call("/url", {"url": address})

    def script(self, text: str, *arguments: Any) -> Any:
        return self._call("/execute/sync", {"script": text, "args": list(arguments)})

    def wait(self, text: str, *arguments: Any) -> Any:
        """The first true value of a script; fails after ten seconds."""
        for _ in range(100):
            if value := self.script(text, *arguments):
                return value
            time.sleep(0.1)
        raise AssertionError(f"never true in the browser: {text}")

    def type(self, text: str, hold: str = "") -> None:
        """Press keys where the focus is, named as WebDriver names them."""
        keys = [(kind, key) for key in text for kind in ("keyDown", "keyUp")]
        keys = [("keyDown", key) for key in hold] + keys + [("keyUp", key) for key in hold]
        presses = [{"type": kind, "value": key} for kind, key in keys]
        self._call("/actions", {"actions": [{"type": "key", "id": "k", "actions": presses}]})

    def _set(self, name: str, **values: Any) -> None:
        self._call("/goog/cdp/execute", {"cmd": name, "params": values})

    def save_to(self, folder: Path) -> None:
        self._set("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def resize(self, width: int, height: int) -> None:
        """The size of the page in CSS pixels, also below the least that a window can have."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._set("Emulation.setDeviceMetricsOverride", **size)

    def errors(self) -> list[str]:
        log = self._call("/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: Any) -> None:
        self._call("", method="DELETE")
        self.driver.terminate()
        self.driver.wait()
