# SPDX-License-Identifier: Apache-2.0
"""Strategies and layouts: what files say, which rank holds what, pictures."""

from __future__ import annotations

import pickle
import unittest
import xml.etree.ElementTree

import files
import layouts
from case import TUTORIAL, Case, retrain

import relayout


class Strategies(Case):
    def test_load(self) -> None:
        for name in ("s.ckpt", "s.json"):
            whole = {
                "w": layouts.Layout([2, 4], [[1], []], optimizer=2, whole_shape=[32, 8]),
                "b": layouts.Layout([2, 4], [[0]], whole_shape=[4]),
            }
            files.write_strategy(self.folder / name, layouts.Strategy([whole]))
            strategy = relayout.load_strategy(self.folder / name)
            self.assertEqual(list(strategy), ["w", "b"])
            self.assertEqual((len(strategy), strategy.rank_count, strategy.stage_count), (2, 8, 1))
            self.assertIn("w", strategy)
            self.assertNotIn("x", strategy)
            with self.assertRaises(KeyError):
                strategy["x"]
            (place,) = strategy["w"]
            self.assertEqual((place.stage, place.first_rank), (0, 0))
            self.assertEqual(place.shape, (32, 8) if name == "s.json" else None)
            self.assertEqual(str(place.layout), "{a:2,b:4} (b,-) opt:2")
            self.assertEqual(place.layout.mesh, (2, 4))
            self.assertEqual(place.layout.tensor_map, ((0,), ()))
            self.assertEqual(place.layout.optimizer_split, 2)
            self.assertEqual(place.layout.grid, (8, 1))
            self.assertEqual((place.layout.shard_count, place.layout.replica_count), (8, 1))

    def test_stages(self) -> None:
        """A folder of stage files is one strategy, and merge_strategies writes it."""
        stages = TUTORIAL / "pipeline" / "src_strategys"
        strategy = relayout.load_strategy(stages)
        self.assertEqual((strategy.stage_count, strategy.rank_count), (2, 8))
        report = relayout.merge_strategies(stages, self.folder / "all.ckpt")
        self.assertEqual((report.stage_count, report.rank_count), (2, 8))
        self.assertEqual(report.file, str(self.folder / "all.ckpt"))
        merged = relayout.load_strategy(report.file)
        self.assertEqual({**merged}, {**strategy})
        with self.assertRaisesRegex(relayout.InputError, "all.ckpt: exists; use overwrite=True"):
            relayout.merge_strategies(stages, self.folder / "all.ckpt")
        relayout.merge_strategies(stages, self.folder / "all.ckpt", overwrite=True)
        with self.assertRaises(relayout.InputError):
            relayout.load_strategy(max(stages.iterdir()))

    def test_ranks(self) -> None:
        case = {key: path for key, path in retrain().items() if key != "source"}
        self.assertEqual([relayout.ranks_for(rank, **case) for rank in range(4)], [[0, 2]] * 4)
        self.assertEqual(relayout.ranks_for(0, target_strategy=case["target_strategy"]), [0])
        with self.assertRaisesRegex(relayout.InputError, "^rank 4: .* has ranks 0-3"):
            relayout.ranks_for(4, **case)


class Layouts(Case):
    def test_notation(self) -> None:
        plain = ("{a:2,b:2,c:2} (-,b) opt:4", "{a:2,b:4} (b*a,-)", "{} ()")
        for text in (*plain, "{a:2} (a) rows:5+3"):
            layout = relayout.Layout(text)
            self.assertEqual(layout, relayout.Layout(str(layout)))
            self.assertEqual(pickle.loads(pickle.dumps(layout)), layout)
            self.assertEqual(len({layout, relayout.Layout(text)}), 1)
        self.assertEqual(relayout.Layout("{a:2} (a) rows:5+3").uneven_rows, (5, 3))
        self.assertEqual(relayout.Layout("{a:2,b:4} (b*a,-)").tensor_map, ((0, 1), ()))
        with self.assertRaises(relayout.InputError):
            relayout.Layout("{a:2} (b)")

    def test_slices(self) -> None:
        """Against the definition."""
        for text, layout in (
            ("{a:2,b:2,c:2} (-,b) opt:4", layouts.Layout([2, 2, 2], [[], [1]], 4)),
            ("{a:2,b:4} (b*a,-)", layouts.Layout([2, 4], [[1, 0], []])),
            ("{a:4} (-,-)", layouts.Layout([4], [[], []])),
        ):
            for device in range(layout.device_count()):
                self.assertEqual(
                    relayout.Layout(text).slices_of(device, [16, 8]),
                    layout.box([16, 8], device),
                )
        layout = relayout.Layout("{a:2,b:2} (b,a)")
        self.assertEqual([layout.cell_of(d) for d in range(4)], [(0, 0), (1, 0), (0, 1), (1, 1)])
        for device, shape in ((4, [4, 4]), (-1, [4, 4]), (0, [3, 4]), (0, [4]), (0, [4] * 20)):
            with self.assertRaises(relayout.InputError, msg=(device, shape)):
                layout.slices_of(device, shape)

    def test_pictures(self) -> None:
        """Well-formed SVG that says whose it is."""
        layout = relayout.Layout("{a:2,b:4} (b,-) opt:2")
        for svg in (layout._repr_svg_(), layout.svg("<name> & co", [64, 8], 8)):
            root = xml.etree.ElementTree.fromstring(svg)
            self.assertTrue(root.tag.endswith("svg"))
        texts = [element.text for element in root.iter() if element.text]
        self.assertIn("<name> & co", texts)
        self.assertIn("15", texts)


if __name__ == "__main__":
    unittest.main()
