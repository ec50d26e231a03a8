# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and the end of the interpreter in the middle of a conversion: nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import unittest

from case import Case, everything, hashes, large_set

import relayout

CONVERT = """
import relayout
def convert(target={target!r}, **options):
    return relayout.convert({source!r}, target, source_strategy={source_strategy!r},
                            target_strategy={target_strategy!r}, threads=1, **options)
"""


class Interruption(Case):
    @classmethod
    def setUpClass(cls) -> None:
        cls.case_folder = Case("run")
        cls.case_folder.setUp()
        cls.case = large_set(cls.case_folder.folder)
        relayout.convert(**cls.case, target=cls.case_folder.folder / "want")
        cls.want = hashes(cls.case_folder.folder / "want")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.case_folder.doCleanups()

    def setUp(self) -> None:
        super().setUp()
        self.dst = self.folder / "new" / "dst"

    def start(self, script: str) -> subprocess.Popen:
        """Runs a script in which convert() converts the large set."""
        arguments = {key: str(path) for key, path in self.case.items()}
        head = CONVERT.format(**arguments, target=str(self.dst))
        return subprocess.Popen(
            [sys.executable, "-c", head + textwrap.dedent(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # The test is to be faster than what it interrupts, on a busy machine as well.
            preexec_fn=lambda: os.nice(19),
        )

    def wait_for_staging(self) -> None:
        deadline = time.monotonic() + 60
        while not list(self.dst.glob(".relayout/staging-*/rank_*")):
            self.assertLess(time.monotonic(), deadline, "no staging folder appeared")
            time.sleep(0.0005)

    def interrupt(self, script: str) -> tuple[int, str, str]:
        """Sends SIGINT as soon as there is something to interrupt, until it comes in time. Returns
        the exit status and what the script printed to stdout and stderr."""
        for _ in range(40):
            with self.start(script) as process:
                self.wait_for_staging()
                process.send_signal(signal.SIGINT)
                output, errors = process.communicate(timeout=120)
            if hashes(self.dst) != self.want:
                return process.returncode, output, errors
            for path in sorted(self.folder.rglob("*"), reverse=True):  # It was faster.
                path.rmdir() if path.is_dir() else path.unlink()
        raise AssertionError("every run was faster than the signal")

    def test_keyboard_interrupt(self) -> None:
        """As any Python program: a traceback, and the exit status of one that SIGINT ended."""
        status, output, errors = self.interrupt("convert()")
        self.assertEqual((status, output), (-signal.SIGINT, ""), errors)
        self.assertRegex(errors, "(?s)Traceback.*\nKeyboardInterrupt")
        self.assertEqual(everything(self.folder), set())

    def test_can_be_caught(self) -> None:
        """The program goes on, and can do the same conversion."""
        status, output, errors = self.interrupt(
            """
            import os
            try:
                convert()
            except KeyboardInterrupt:
                print("caught", os.path.exists({!r}))
                print(sorted(convert({!r}).files))
            """.format(str(self.dst), str(self.folder / "again"))
        )
        self.assertEqual((status, output, errors), (0, "caught False\n[0, 1]\n", ""))
        self.assertEqual(hashes(self.folder / "again"), self.want)

    def test_own_handler(self) -> None:
        """A handler that raises something else; it runs in the main thread."""
        status, output, errors = self.interrupt("""
            import signal
            class Stop(Exception): pass
            def handler(number, frame): raise Stop
            signal.signal(signal.SIGINT, handler)
            try:
                convert()
            except Stop:
                print("stopped")
            """)
        self.assertEqual((status, output, errors), (0, "stopped\n", ""))
        self.assertEqual(everything(self.folder), set())

    def test_with_resume(self) -> None:
        """What was done is kept, and gone on with."""
        status, _, errors = self.interrupt("convert(resume=True)")
        self.assertEqual(status, -signal.SIGINT, errors)
        self.assertEqual(hashes(self.dst), {})
        relayout.convert(**self.case, target=self.dst, threads=1, resume=True)
        self.assertEqual(hashes(self.dst), self.want)

    def test_main_thread_waits_for_another(self) -> None:
        """Ctrl-C while another thread converts goes to the main thread; the other one finishes."""
        with self.start("""
            import threading
            done = threading.Event()
            thread = threading.Thread(target=lambda: (convert(), done.set()))
            try:
                thread.start()  # Which waits for the thread to run: the signal may come here.
                while not done.wait(0.01):
                    pass
            except KeyboardInterrupt:
                print("main")
                done.wait()
            """) as process:
            self.wait_for_staging()
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=120)
        self.assertEqual((process.returncode, errors), (0, ""))
        self.assertIn(output, ("main\n", ""))  # "": the thread was faster.
        self.assertEqual(hashes(self.dst), self.want)

    def test_daemon_thread_at_the_end(self) -> None:
        """The interpreter ends while a daemon thread converts: the conversion is stopped and cleans
        up before the process is gone."""
        script = """
            import glob, threading, time
            threading.Thread(target=convert, daemon=True).start()
            while not glob.glob({!r}):
                time.sleep(0.0005)
            """.format(str(self.dst / ".relayout" / "staging-*" / "rank_*"))
        for _ in range(5):
            with self.start(script) as process:
                _, errors = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, errors)
            left = everything(self.folder)
            if left:  # It was faster.
                self.assertEqual(hashes(self.dst), self.want)
                for path in sorted(self.folder.rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()

    def test_fork(self) -> None:
        """A child that is forked while a thread of the parent converts can convert and end."""
        with self.start("""
            import os, sys, threading, time, warnings
            warnings.simplefilter("ignore")  # Newer Pythons warn of forks in threaded programs.
            thread = threading.Thread(target=convert)
            thread.start()
            time.sleep(0.05)
            child = os.fork()
            if child == 0:
                relayout.convert({!r}, {!r}, source_strategy={!r}, target_strategy={!r})
                sys.exit(7)
            _, status = os.waitpid(child, 0)
            thread.join()
            print(os.waitstatus_to_exitcode(status))
            """.format(str(self.case["source"]), str(self.folder / "child"),
                   str(self.case["source_strategy"]),
                   str(self.case["target_strategy"]))) as process:  # fmt: skip
            output, errors = process.communicate(timeout=120)
        self.assertEqual((process.returncode, output, errors), (0, "7\n", ""))
        self.assertEqual(hashes(self.dst), self.want)
        self.assertEqual(hashes(self.folder / "child"), self.want)


if __name__ == "__main__":
    unittest.main()
