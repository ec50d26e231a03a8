# SPDX-License-Identifier: Apache-2.0
"""relayout.convert: results, arguments, errors, progress."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import resource
import subprocess
import sys
import threading
import time
import unittest

import check_hashes
import files
from case import TUTORIAL, Case, everything, hashes, large_set, retrain
from layouts import Layout, Strategy
from relayout._errors import in_python

import relayout


class Convert(Case):
    def test_tutorial(self) -> None:
        """The files hold what MindSpore's own conversion gives."""
        for case in ("retrain", "pipeline"):
            folder = TUTORIAL / case
            report = relayout.convert(
                folder / "src_checkpoints",
                self.folder / case,
                source_strategy=folder / "src_strategy.ckpt",
                target_strategy=folder / "dst_strategy.ckpt",
            )
            want = json.loads((folder / "want.json").read_text())
            problems, _ = check_hashes.check(self.folder / case, want)
            self.assertEqual(problems, [])
            self.assertEqual(sorted(report.files), sorted(map(int, want)))
            for rank, path in report.files.items():
                self.assertEqual(
                    path, str(self.folder / case / f"rank_{rank}" / f"checkpoint_{rank}.ckpt")
                )
            self.assertEqual(report.target_rank_count, 4)
            self.assertEqual(
                report.target_bytes, sum(os.path.getsize(path) for path in report.files.values())
            )

    def test_needs_nothing(self) -> None:
        """Neither numpy nor MindSpore nor MPI is loaded."""
        script = """
import sys, relayout
loaded = {name for name in sys.modules if "." not in name} | {"relayout._mpi"} & set(sys.modules)
print(sorted(loaded & {"numpy", "ml_dtypes", "mindspore", "relayout._mpi"}))
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertEqual(done.stdout, "[]\n")

    def test_paths_of_all_kinds(self) -> None:
        """str, PathLike, stage folders, {rank: file}; names that are not UTF-8 come back."""
        report = relayout.convert(**retrain(), target=self.folder / "want")
        want = hashes(self.folder / "want")
        texts = {key: str(path) for key, path in retrain().items()}
        relayout.convert(**texts, target=str(self.folder / "str"))
        self.assertEqual(hashes(self.folder / "str"), want)
        source = retrain()["source"]
        by_rank = {r: source / f"rank_{r}" / f"checkpoint_{r}.ckpt" for r in range(8)}
        relayout.convert(**{**retrain(), "source": by_rank}, target=self.folder / "by_rank")
        self.assertEqual(hashes(self.folder / "by_rank"), want)
        odd = os.fsdecode(os.fsencode(self.folder) + b"/\xff\xe4")
        report = relayout.convert(**retrain(), target=odd)
        self.assertEqual(report.files[0], odd + "/rank_0/checkpoint_0.ckpt")
        self.assertEqual(hashes(pathlib.Path(odd)), want)
        with self.assertRaisesRegex(relayout.InputError, r"\\xff\\xe4: holds checkpoints already"):
            relayout.convert(**retrain(), target=odd)

    def test_one_rank_to_one_file(self) -> None:
        relayout.convert(**retrain(), target=self.folder / "want")
        needed = relayout.ranks_for(
            3,
            source_strategy=retrain()["source_strategy"],
            target_strategy=retrain()["target_strategy"],
        )
        source = retrain()["source"]
        by_rank = {r: source / f"rank_{r}" / f"checkpoint_{r}.ckpt" for r in needed}
        report = relayout.convert(
            **{**retrain(), "source": by_rank}, target_file=self.folder / "three.ckpt", ranks=[3]
        )
        self.assertEqual(report.files, {3: str(self.folder / "three.ckpt")})
        self.assertEqual(
            (self.folder / "three.ckpt").read_bytes(),
            (self.folder / "want" / "rank_3" / "checkpoint_3.ckpt").read_bytes(),
        )

    def test_options_arrive(self) -> None:
        """Each option does what it says, or is refused by the engine for the right reason."""
        dst = self.folder / "dst"
        relayout.convert(**retrain(), target=dst, prefix="net_", format="safetensors", sync=False)
        self.assertTrue((dst / "rank_1" / "net_1.safetensors").exists())
        with self.assertRaises(relayout.InputError):
            relayout.convert(**retrain(), target=dst)
        relayout.convert(**retrain(), target=dst, overwrite=True, crc_trailer=True, threads=1)
        data = (dst / "rank_1" / "checkpoint_1.ckpt").read_bytes()
        self.assertEqual(data[-17:-10], b"crc_num")
        self.assertFalse((dst / "rank_1" / "net_1.safetensors").exists())
        report = relayout.convert(
            **retrain(), target=dst, overwrite=True, resume=True, memory=1 << 26
        )
        self.assertFalse(report.is_complete)
        report = relayout.convert(**retrain(), target=dst, resume=True, check_replicas=True)
        self.assertTrue(report.is_complete)
        relayout.convert(
            source=retrain()["source"],
            source_strategy=retrain()["source_strategy"],
            target=self.folder / "whole",
        )
        self.assertEqual(len(hashes(self.folder / "whole")), 1)

    def test_replicas(self) -> None:
        whole = {"w": files.counting("Float32", [8, 4])}
        files.write_set(self.folder / "src", whole, Strategy([{"w": Layout([1], [[], []])}]))
        files.write_strategy(self.folder / "dst.ckpt", Strategy([{"w": Layout([2], [[], []])}]))
        report = relayout.convert(
            self.folder / "src",
            self.folder / "dst",
            target_strategy=self.folder / "dst.ckpt",
            replicas="hardlink",
        )
        self.assertTrue(os.path.samefile(report.files[0], report.files[1]))

    def test_contents_options(self) -> None:
        """keep_extra, strict and allow_missing decide what is in the target."""
        whole = {name: files.counting("Float32", [4, 4]) for name in ("both", "source_only")}
        source = Strategy([{name: Layout([2], [[0], []]) for name in whole}])
        files.write_set(self.folder / "src", whole, source)
        files.write_strategy(self.folder / "src.ckpt", source)
        target = Strategy([{name: Layout([2], [[], [0]]) for name in ("both", "nowhere")}])
        files.write_strategy(self.folder / "dst.ckpt", target)
        case = {
            "source": self.folder / "src",
            "source_strategy": self.folder / "src.ckpt",
            "target_strategy": self.folder / "dst.ckpt",
        }
        report = relayout.convert(**case, target=self.folder / "plain")
        self.assertEqual(report.value_count, 1)
        kinds = {note.kind for note in report.notes}
        self.assertIn("left_out", kinds)
        left_out = next(note.message for note in report.notes if note.kind == "left_out")
        self.assertIn("keep_extra=True keeps", left_out)
        report = relayout.convert(**case, target=self.folder / "extra", keep_extra=True)
        self.assertEqual(report.value_count, 2)
        with self.assertRaisesRegex(relayout.InputError, r"\(strict=True\)"):
            relayout.convert(**case, target=self.folder / "strict", strict=True)

    def test_step(self) -> None:
        whole = {"w": files.counting("Float32", [8, 4])}
        files.write_strategy(self.folder / "dst.ckpt", Strategy([{"w": Layout([1], [[], []])}]))
        for name in ("net-9_5", "net-10_5"):
            files.write_ckpt(files.rank_path(self.folder / "src", 0, name), whole)
        for step, want in ((None, (10, 5)), ("9_5", (9, 5)), ((9, 5), (9, 5))):
            report = relayout.convert(
                self.folder / "src",
                self.folder / f"dst{step}",
                target_strategy=self.folder / "dst.ckpt",
                step=step,
            )
            self.assertEqual(report.step, want)
            self.assertEqual(report.step.epoch, want[0])

    def test_names(self) -> None:
        """Files get other names; values get other names or are left out."""
        rename = {"layer1.weight": "first.weight", "learning_rate": None}
        case = {"source": retrain()["source"], "source_strategy": retrain()["source_strategy"]}
        report = relayout.convert(
            **case, target=self.folder / "dst", file_name="net", rename=rename
        )
        self.assertEqual(report.files, {0: str(self.folder / "dst" / "rank_0" / "net.ckpt")})
        names = set(relayout.open(report.files[0]))
        self.assertIn("first.weight", names)
        self.assertTrue(names.isdisjoint(rename))
        self.assertEqual(report.value_count, 20)

    def test_file_suffix(self) -> None:
        for name in ("net-10_5", "net_1-10_5"):
            whole = {name: files.counting("Float32", [8, 4])}
            files.write_ckpt(files.rank_path(self.folder / "src", 0, name), whole)
        for suffix, want in (("1-10_5", "net_1-10_5"), ("10_5", "net-10_5")):
            report = relayout.convert(
                self.folder / "src",
                self.folder / suffix,
                file_suffix=suffix,
                format="safetensors",
            )
            self.assertEqual(relayout.open(report.files[0]).names(), [want])

    def test_unified(self) -> None:
        """In one run and in shares: the same files."""
        case = {"source": retrain()["source"], "source_strategy": retrain()["source_strategy"]}
        whole = self.folder / "whole"
        report = relayout.convert(**case, target=whole, unify={"part_bytes": "100KiB"})
        self.assertTrue(report.is_unified)
        names = {path.name for path in whole.glob("[!.]*")}
        self.assertLess({"part0.safetensors", "param_name_map.json"}, names)
        self.assertEqual({os.path.basename(path) for path in report.files.values()}, names)
        for share in range(3):
            unify = relayout.UnifiedOptions(part_bytes=100 << 10, part=(share, 3))
            relayout.convert(**case, target=self.folder / "shares", unify=unify)
        for name in names:
            self.assertEqual(
                (whole / name).read_bytes(), (self.folder / "shares" / name).read_bytes(), name
            )
        self.assertTrue(relayout.convert(**case, target=self.folder / "one", unify=True).is_unified)

    def test_remove_redundancy(self) -> None:
        report = relayout.convert(**retrain(), target=self.folder / "dst", remove_redundancy=True)
        plain = relayout.convert(**retrain(), target=self.folder / "plain")
        self.assertLess(report.written_bytes, plain.written_bytes)
        self.assertTrue(
            relayout.verify(**retrain(), target=self.folder / "dst", remove_redundancy=True)
        )
        self.assertFalse(relayout.verify(**retrain(), target=self.folder / "dst"))


class Refusals(Case):
    def refused(self, message: str, **arguments: object) -> relayout.Error:
        with self.assertRaisesRegex(relayout.InputError, message) as caught:
            relayout.convert(**{**retrain(), "target": self.folder / "dst", **arguments})
        self.assertEqual(everything(self.folder), set())
        return caught.exception

    def test_arguments(self) -> None:
        self.refused("give either target.* or target_file", target_file="x.ckpt")
        self.refused("give either target.* or target_file", target=None)
        self.refused("format='pickle': choose one of 'ckpt', 'safetensors'", format="pickle")
        self.refused("replicas='none': choose one of", replicas="none")
        self.refused("memory='much' is not a size", memory="much")
        self.refused("memory 1 KiB: at least", memory=1024)
        self.refused("threads=-1: give 1 to 1024", threads=-1)
        self.refused("threads=2000", threads=2000)
        self.refused("rank -1", ranks=[-1])
        self.refused("ranks 9: .* has ranks 0-3", ranks=[9])
        # Python's integers have no end, the engine's have.
        for name, value in (("ranks", [1 << 70]), ("source", {1 << 70: "x"}),
                            ("memory", 1 << 70), ("step", (1 << 70, 1)), ("step", f"{1 << 70}_1"),
                            ("unify", {"part": (1, 1 << 70)}),
                            ("unify", {"part_bytes": 1 << 70})):  # fmt: skip
            self.refused(f"={1 << 70} is out of range", **{name: value})
        self.refused("step '3': give 'EPOCH_STEP'", step="3")
        self.refused(r"part=\(2, 2\)", unify={"part": (2, 2)})
        self.refused("target is an empty path", target="")
        self.refused("part_bytes='big' is not a size", unify={"part_bytes": "big"})
        self.refused("empty mapping", source={})
        self.refused("path of the checkpoint is empty", source="")
        for name, value in (("ranks", ["1"]), ("source", 3), ("threads", "2"), ("sync", "no"),
                            ("target", 1.5), ("source", {"0": "x"}), ("wrong", 1),
                            ("rename", {"w": 3}), ("progress", 5), ("unify", 5)):  # fmt: skip
            wrong = {name: value}
            with self.assertRaises(TypeError, msg=str(wrong)):
                relayout.convert(**{**retrain(), "target": self.folder / "dst", **wrong})

        with self.assertRaisesRegex(TypeError, "^sync='no' is of a type that sync"):
            relayout.convert(**retrain(), target=self.folder / "dst", sync="no")

    def test_codes(self) -> None:
        error = self.refused("no-such-folder", source="no-such-folder")
        self.assertEqual(error.code, "not_found")
        self.assertIsInstance(error, ValueError)
        broken = self.folder / "broken.ckpt"
        broken.write_bytes(b"\xff" * 64)
        with self.assertRaisesRegex(relayout.InputError, "broken.ckpt") as caught:
            relayout.load_strategy(broken)
        self.assertEqual(caught.exception.code, "invalid_input")

    def test_machine_error(self) -> None:
        """Beyond `ulimit -f`, writing fails as on a full disk."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with self.assertRaisesRegex(relayout.MachineError, "File too large") as caught:
                relayout.convert(**retrain(), target=self.folder / "dst")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.assertEqual(everything(self.folder), set())
        self.assertEqual(caught.exception.code, "io_error")
        self.assertIsInstance(caught.exception, OSError)
        self.assertNotIsInstance(caught.exception, ValueError)

    def test_errors_travel(self) -> None:
        """Between processes, as multiprocessing does it."""
        error = self.refused("no-such-folder", source="no-such-folder")
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(again), again.code, str(again)),
                         (relayout.InputError, "not_found", str(error)))  # fmt: skip


class Words(unittest.TestCase):
    def test_advice(self) -> None:
        """Options become arguments; what only looks like one stays."""
        for message, want in (
            ("use --overwrite to replace it", "use overwrite=True to replace it"),
            ("--rank 9: no such", "ranks 9: no such"),
            ("(--no-crc-check: not)", "(check_crc=False: not)"),
            ("give --allow-missing.", "give allow_missing=True."),
            ("use --replicas=copy; or", 'use replicas="copy"; or'),
            ("a--resume.ckpt, x/--force/y, --step.ckpt: bad", None),
            ("srun --mpi=pmix", None),
        ):
            self.assertEqual(in_python(message), want or message)


class Progress(Case):
    def setUp(self) -> None:
        super().setUp()
        self.case = large_set(self.folder / "set")

    def test_calls(self) -> None:
        calls: list[tuple[int, int]] = []
        threads = set()

        def progress(written: int, total: int) -> None:
            calls.append((written, total))
            threads.add(threading.get_ident())

        report = relayout.convert(**self.case, target=self.folder / "dst", progress=progress)
        total = 200 * (1 << 20)
        self.assertEqual(report.written_bytes, total)
        self.assertEqual(calls[-1], (total, total))
        self.assertEqual({whole for _, whole in calls}, {total})
        self.assertEqual(calls, sorted(calls))
        self.assertEqual(threads, {threading.get_ident()})

    def test_raising_stops(self) -> None:
        """At whatever call it raises: the exception arrives, and nothing is left."""

        class Enough(Exception):
            pass

        def stop(written: int, total: int) -> None:
            raise Enough(written)

        with self.assertRaises(Enough) as caught:
            relayout.convert(**self.case, target=self.folder / "dst", progress=stop, threads=1)
        self.assertLess(caught.exception.args[0], 200 << 20)
        self.assertFalse((self.folder / "dst").exists())

    def test_other_threads_run(self) -> None:
        """The interpreter is free while the engine works."""
        ticks = 0
        done = threading.Event()

        def tick() -> None:
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                time.sleep(0.001)

        thread = threading.Thread(target=tick)
        thread.start()
        before = ticks
        try:
            relayout.convert(**self.case, target=self.folder / "dst", threads=1)
            after = ticks
        finally:
            done.set()
            thread.join()
        self.assertGreater(after - before, 3)

    def test_two_at_once(self) -> None:
        """In threads of one program."""
        reports = []

        def run(name: str) -> None:
            reports.append(relayout.convert(**self.case, target=self.folder / name))

        threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(reports), 2)
        self.assertEqual(hashes(self.folder / "a"), hashes(self.folder / "b"))

    def test_nested(self) -> None:
        """A progress function may use relayout itself."""
        seen = []

        def progress(written: int, total: int) -> None:
            strategies = {name: path for name, path in self.case.items() if name != "source"}
            seen.append(relayout.ranks_for(0, **strategies))

        relayout.convert(**self.case, target=self.folder / "dst", progress=progress)
        self.assertEqual(seen[0], [0, 1, 2, 3])


if __name__ == "__main__":
    unittest.main()
