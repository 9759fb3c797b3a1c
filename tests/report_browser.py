"""A headless Chromium, driven by WebDriver over plain HTTP: no package beyond Debian's two."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-sync", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--window-size=1500,1000"]


class Browser:
    """Use as a context manager; `profile` is a new folder for the browser's own files."""

    def __init__(self, profile: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        for attempt in range(100):
            try:
                self._call("GET", "/status")
                break
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.1)
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{made['sessionId']}"

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.session}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path) -> None:
        self.visit(page.as_uri())

    def visit(self, address: str) -> None:
        self._call("POST", "/url", {"url": address})

    def script(self, text: str, *arguments: Any) -> Any:
        return self._call("POST", "/execute/sync", {"script": text, "args": list(arguments)})

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
        self._call(
            "POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": presses}]}
        )

    def save_to(self, folder: Path) -> None:
        call = {"cmd": "Browser.setDownloadBehavior"}
        call["params"] = {"behavior": "allow", "downloadPath": str(folder)}
        self._call("POST", "/goog/cdp/execute", call)

    def resize(self, width: int, height: int) -> None:
        """The size of the page in CSS pixels, also below the least that a window can have."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        call = {"cmd": "Emulation.setDeviceMetricsOverride", "params": size}
        self._call("POST", "/goog/cdp/execute", call)

    def errors(self) -> list[str]:
        log = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: Any) -> None:
        self._call("DELETE", "")
        self.driver.terminate()
        self.driver.wait()
