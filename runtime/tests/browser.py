# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A real browser without a window, driven over its debugging pipe: JSON between zero bytes on descriptors 3 and 4."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

from processes import PATIENCE_S, wait_for

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""


class Browser:
    """One page of a browser with a profile of its own."""

    def __init__(self, folder: Path, *, width: int, height: int) -> None:
        to_browser, self._write_end = os.pipe()
        self._read_end, from_browser = os.pipe()
        arguments = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
        ]
        # Its own sandbox needs rights that a container does not give; what it shows is our page and nothing else.
        arguments += ["--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={folder}", "about:blank"]
        # The shell puts the pipes where the browser looks for them; descriptors of ours may be 3 and 4 themselves.
        script = f'exec 8<&{to_browser} 9>&{from_browser} 3<&8 4>&9 8<&- 9>&-; exec "$0" "$@"'
        with (folder / "browser.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", script, PROGRAM, *arguments],
                pass_fds=(to_browser, from_browser), stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._number = 0
        self._received = b""
        self._session = ""
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 640}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Runtime.enable")
        self.complaints: list[str] = []

    def call(self, method: str, **parameters):
        """The result of one command; complaints of the page that come meanwhile are kept."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write_end, json.dumps(command).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"])[:2000])

    def _next(self):
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._received:
            ready, _write, _error = select.select([self._read_end], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._read_end, 1024 * 1024) if ready else b""
            assert part, "the browser does not answer"
            self._received += part
        message, _zero, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        self.call("Log.enable")
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        wait_for(lambda: self.eval("document.readyState") == "complete", what="the page is loaded")

    def eval(self, expression: str):
        """The value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def click(self, selector: str) -> None:
        """A real click in the middle of what is there to be seen."""
        box = "(e => { const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })"
        x, y = self.eval(f"{box}(document.querySelector({json.dumps(selector)}))")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """What is to be seen, as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait(PATIENCE_S)
        os.close(self._write_end)
        os.close(self._read_end)
