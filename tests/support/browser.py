# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven through its DevTools protocol over a pipe (no port, no websocket).

    with Browser() as browser:
        browser.open(page_path)
        browser.evaluate("document.title")

Raises NoBrowser where there is no Chromium that starts.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time
from typing import Any, Optional

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_SECONDS = 60


class NoBrowser(Exception):
    """There is none, or it does not start here."""


class BrowserError(Exception):
    """The browser refused a command, or a script in the page failed."""


class Browser:
    """One window. `messages` are what the pages wrote to the console, and errors, as text."""

    def __init__(self, width: int = 1400, height: int = 900) -> None:
        program = next((path for path in map(shutil.which, NAMES) if path), None)
        if program is None:
            raise NoBrowser(f"none of {', '.join(NAMES)} is installed")
        self.messages: list[str] = []
        self._events: list[dict] = []
        self._received = b""
        self._last_id = 0
        self._session: Optional[str] = None
        self._folder = tempfile.mkdtemp(prefix="relayout-browser-")
        self._start(program, width, height)
        try:
            self._attach()
        except BrowserError as error:
            self.close()
            raise NoBrowser(str(error)) from error

    def _start(self, program: str, width: int, height: int) -> None:
        """The browser reads commands from descriptor 3 and answers on 4."""
        command_read, self._write_fd = os.pipe()
        self._read_fd, answer_write = os.pipe()

        def place_descriptors() -> None:
            # Both are moved away first, so that none overwrites the other.
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate((command_read, answer_write))]
            for fd, target in zip(high, (3, 4)):
                os.dup2(fd, target)

        arguments = [program, "--headless=new", "--remote-debugging-pipe", "--disable-gpu",
                     "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage",
                     "--hide-scrollbars", "--force-color-profile=srgb",
                     f"--user-data-dir={self._folder}", f"--window-size={width},{height}",
                     "about:blank"]  # fmt: skip
        if os.getuid() == 0:
            arguments.insert(1, "--no-sandbox")
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=(3, 4), preexec_fn=place_descriptors,
            start_new_session=True)  # fmt: skip
        os.close(command_read)
        os.close(answer_write)

    def _attach(self) -> None:
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        answer = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for fd in (self._write_fd, self._read_fd):
            try:
                os.close(fd)
            except OSError:
                pass
        try:
            self._process.wait(timeout=10)  # It ends when the pipe does.
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    # --- the protocol: JSON texts, each ended by a zero byte

    def _call(self, method: str, **parameters: Any) -> dict:
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        except OSError as error:
            raise BrowserError(f"{method}: {error}") from error
        while True:
            answer = self._receive(method)
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _receive(self, waiting_for: str) -> dict:
        """The next message; events are also kept."""
        end = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read_fd], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self._read_fd, 1 << 16) if ready else b""
            if not chunk:
                raise BrowserError(f"{waiting_for}: no answer from the browser")
            self._received += chunk
        text, _, self._received = self._received.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self._note(message["method"], message.get("params", {}))
        return message

    def _note(self, method: str, parameters: dict) -> None:
        self._events.append({"method": method, **parameters})
        if method == "Runtime.consoleAPICalled":
            texts = [str(argument.get("value", argument.get("description", "")))
                     for argument in parameters["args"]]  # fmt: skip
            self.messages.append(f"{parameters['type']}: {' '.join(texts)}")
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            exception = details.get("exception", {}).get("description", "")
            self.messages.append(f"exception: {details['text']} {exception}")
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self.messages.append(f"{entry['level']}: {entry['text']}")

    # --- what tests do

    def open(self, path: pathlib.Path, fragment: str = "") -> None:
        """Loads a file and waits until it is loaded."""
        self._events.clear()
        url = path.resolve().as_uri() + fragment
        self._call("Page.navigate", url="about:blank")
        self._wait_for("Page.loadEventFired")
        self._events.clear()
        answer = self._call("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserError(f"{url}: {answer['errorText']}")
        self._wait_for("Page.loadEventFired")

    def _wait_for(self, event: str) -> None:
        while not any(seen["method"] == event for seen in self._events):
            self._receive(event)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True,
                            awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def type(self, text: str) -> None:
        """Types into what has the focus."""
        self._call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        codes = {"ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "ArrowLeft": 37, "Enter": 13,
                 "Escape": 27, "Tab": 9, "End": 35, "Home": 36}  # fmt: skip
        for kind in ("rawKeyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                       windowsVirtualKeyCode=codes[key])  # fmt: skip

    def point_at(self, selector: str) -> None:
        """Moves the mouse over the middle of the first element that matches."""
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'});"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()")  # fmt: skip
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def show_as(self, width: int, height: int, color_scheme: str = "light",
                media: str = "screen") -> None:  # fmt: skip
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)  # fmt: skip
        self._call("Emulation.setEmulatedMedia", media=media,
                   features=[{"name": "prefers-color-scheme", "value": color_scheme}])  # fmt: skip

    def screenshot(self, path: pathlib.Path) -> None:
        answer = self._call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: pathlib.Path) -> None:
        answer = self._call("Page.printToPDF", printBackground=True)
        path.write_bytes(base64.b64decode(answer["data"]))
