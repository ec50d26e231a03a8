# SPDX-License-Identifier: Apache-2.0
"""relayout.plan, verify and diff: say what is so."""

from __future__ import annotations

import html.parser
import pickle
import unittest
import xml.etree.ElementTree

import files
from case import Case, everything, retrain
from layouts import Layout, Strategy

import relayout


class Plan(Case):
    def test_is_what_happens(self) -> None:
        """Its numbers are the run's, and it writes nothing."""
        plan = relayout.plan(**retrain(), target=self.folder / "dst")
        self.assertEqual(everything(self.folder), set())
        self.assertEqual(plan.problems, ())
        self.assertGreater(plan.seconds, 0)
        report = relayout.convert(**retrain(), target=self.folder / "dst")
        self.assertEqual(plan.read_bytes, report.read_bytes)
        self.assertEqual(plan.payload_bytes, report.written_bytes)
        self.assertEqual(plan.written_bytes, report.target_bytes)
        self.assertEqual(plan.value_count, report.value_count)
        self.assertEqual({target.rank: target.path for target in plan.targets}, report.files)
        self.assertEqual(tuple(source.rank for source in plan.sources), report.source_ranks_read)
        self.assertEqual(sum(source.read_bytes for source in plan.sources), plan.read_bytes)
        self.assertEqual(plan.notes, tuple(report.notes))

    def test_problems(self) -> None:
        relayout.convert(**retrain(), target=self.folder / "dst")
        plan = relayout.plan(**retrain(), target=self.folder / "dst", probe=False)
        (problem,) = plan.problems
        self.assertIsInstance(problem, relayout.InputError)
        self.assertEqual(problem.code, "already_exists")
        self.assertIsNone(plan.seconds)
        self.assertIn("it would fail", str(plan))
        self.assertEqual(str(pickle.loads(pickle.dumps(plan))), str(plan))
        with self.assertRaisesRegex(relayout.InputError, "no-such"):
            relayout.plan(**{**retrain(), "source": "no-such"}, target=self.folder / "dst")

    def test_explained(self) -> None:
        """The copies make up the tensor; words and picture are there."""
        plan = relayout.plan(
            **retrain(), target=self.folder / "dst", explain=["layer1.weight"], probe=False
        )
        (tensor,) = plan.explained
        self.assertEqual((tensor.dtype, tensor.shape), ("float32", (784, 64)))
        self.assertEqual(str(tensor.source), "{a:2,b:2,c:2} (-,b)")
        self.assertEqual([str(layout) for _, layout in tensor.targets], ["{a:4} (a,-)"])
        elements = 0
        for shard in tensor.shards:
            for copy in shard.copies:
                size = 1
                for part, whole in zip(copy.slices, shard.slices):
                    self.assertLessEqual(whole.start, part.start)
                    self.assertLessEqual(part.stop, whole.stop)
                    size *= part.stop - part.start
                elements += size
        self.assertEqual(elements, 784 * 64)
        self.assertIn("layer1.weight: f32[784,64]", str(plan))
        root = xml.etree.ElementTree.fromstring(tensor._repr_svg_())
        self.assertIn("layer1.weight", [element.text for element in root.iter()])
        page = plan._repr_html_()
        self.assertEqual(page.count("<svg"), 1)
        html.parser.HTMLParser().feed(page)
        with self.assertRaisesRegex(relayout.InputError, "^explain layer1.wieght: .*layer1.weight"):
            relayout.plan(**retrain(), target=self.folder / "dst", explain=["layer1.wieght"])


class Verify(Case):
    def test_right_and_wrong(self) -> None:
        dst = self.folder / "dst"
        relayout.convert(**retrain(), target=dst)
        for report in (
            relayout.verify(**retrain(), target=dst),
            relayout.verify(None, dst),
            relayout.verify(**retrain(), target=dst, ranks=[2], threads=1),
        ):
            self.assertTrue(report)
            self.assertEqual(report.problems, [])
            self.assertGreater(report.compared_bytes, 0)
        path = dst / "rank_1" / "checkpoint_1.ckpt"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        for report in (relayout.verify(**retrain(), target=dst), relayout.verify(None, dst)):
            self.assertFalse(report)
            self.assertEqual(report.problem_count, 1)
            self.assertRegex(report.problems[0], "rank[ _]1")
        self.assertTrue(relayout.verify(None, dst, ranks=[0, 2, 3]))

    def test_refusals(self) -> None:
        with self.assertRaisesRegex(relayout.InputError, "leave out strategies"):
            relayout.verify(None, self.folder, target_strategy="x")
        with self.assertRaisesRegex(relayout.InputError, "belongs to a folder"):
            relayout.verify(None, {0: "x"})
        with self.assertRaises(relayout.InputError) as caught:
            relayout.verify(None, self.folder)
        self.assertEqual(caught.exception.code, "not_found")

    def test_progress(self) -> None:
        calls = []
        relayout.convert(**retrain(), target=self.folder / "dst")
        report = relayout.verify(
            **retrain(), target=self.folder / "dst", progress=lambda *call: calls.append(call)
        )
        self.assertEqual(calls[-1][0], report.compared_bytes)
        self.assertLessEqual(*calls[-1])


class Diff(Case):
    def test_diff(self) -> None:
        whole = {
            "same": files.counting("Float32", [4, 4], 1),
            "other": files.counting("Float32", [4, 4], 2),
        }
        cut = Strategy([{name: Layout([2], [[0], []]) for name in whole}])
        files.write_set(self.folder / "a", whole, cut)
        files.write_strategy(self.folder / "a.ckpt", cut)
        changed = {**whole, "other": files.counting("Float32", [4, 4], 3)}
        files.write_ckpt(self.folder / "b.ckpt", {**changed, "more": whole["same"]})
        report = relayout.diff(
            self.folder / "a", self.folder / "b.ckpt", a_strategy=self.folder / "a.ckpt"
        )
        self.assertTrue(report)
        self.assertEqual(report.equal_count, 1)
        self.assertEqual([name for name, _ in report.differences], ["other", "more"])
        self.assertRegex(report.differences[0].text, "elements differ, the first at")
        self.assertFalse(relayout.diff(self.folder / "b.ckpt", self.folder / "b.ckpt"))


if __name__ == "__main__":
    unittest.main()
