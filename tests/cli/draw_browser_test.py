# SPDX-License-Identifier: Apache-2.0
"""The page of relayout draw in a real browser: it draws, finds, explains, and says nothing on the
console. Skipped (77) without Chromium. How long a page takes to open is printed, not judged.

With SCREENSHOTS=folder the pages are also saved as pictures there.
"""

import dataclasses
import json
import os
import pathlib
import re
import sys
import unittest

import files
from browser import Browser, NoBrowser
from cli import TUTORIAL, CliTest
from layouts import Layout, Strategy

RETRAIN = TUTORIAL / "retrain"
PIPELINE = TUTORIAL / "pipeline"
BLOCKS = 250
HOSTILE = '</script><script>console.log("hacked")</script><img src=x onerror=console.log(1)>'


def gpt(mesh: list[int]) -> Strategy:
    """2,000 parameters on 64 devices."""
    stage = {}
    for block in range(BLOCKS):
        name = f"backbone.blocks.{block}"
        stage |= {
            f"{name}.attention.qkv.weight": Layout(mesh, [[1], []], -1),
            f"{name}.attention.qkv.bias": Layout(mesh, [[1]], -1),
            f"{name}.attention.out.weight": Layout(mesh, [[], [1]], mesh[0]),
            f"{name}.ffn.up.weight": Layout(mesh, [[1], []], 2),
            f"{name}.ffn.down.weight": Layout(mesh, [[0], [1]]),
            f"{name}.ffn.down.bias": Layout(mesh, [[]], -1),
            f"{name}.norm.gamma": Layout(mesh, [[]]),
            f"{name}.norm.beta": Layout(mesh, [[]]),
        }
    return Strategy([stage])


class Page(CliTest):
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.browser.close()

    def open(self, *arguments: object, fragment: str = "") -> None:
        """Draws and opens a page. Nothing may be written to the console, ever."""
        page = self.folder / "layout.html"
        self.ok("draw", *arguments, "-o", page, "--overwrite")
        self.browser.show_as(1400, 900)
        self.browser.messages.clear()
        self.addCleanup(lambda: self.assertEqual(self.browser.messages, []))
        self.browser.open(page, fragment)

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that match."""
        return self.browser.evaluate(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")

    def text(self, selector: str) -> str:
        texts = self.texts(selector)
        self.assertEqual(len(texts), 1, f"{selector}: {texts}")
        return texts[0]

    def count(self, selector: str) -> int:
        return len(self.texts(selector))

    def search(self, words: str) -> None:
        self.browser.evaluate("document.getElementById('search').value = ''")
        self.browser.evaluate("document.getElementById('search').focus()")
        self.browser.type(words)

    def open_table(self, index: int) -> None:
        """Opens the table at `index` and waits until it is built, which is when it is opened."""
        self.browser.evaluate(
            "new Promise((done) => {"
            f" const table = [...document.querySelectorAll('details')].at({index});"
            " table.addEventListener('toggle', () => setTimeout(done));"
            " table.open = true; })")  # fmt: skip

    def save(self, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            self.browser.screenshot(pathlib.Path(folder) / f"{name}.png")


class OneStrategy(Page):
    def test_draws_devices_shards_and_words(self) -> None:
        self.open(RETRAIN / "src_strategy.ckpt", fragment="#layer3.weight")
        self.assertEqual(self.text("h2"), "layer3.weight")
        self.assertEqual(self.text(".notation"), "{a:2,b:2,c:2} (b,-)")
        self.assertIn("Rows (dim 0) are cut in 2 along axis b", self.text(".words"))
        # Rank over shard, in the order of the ranks.
        self.assertEqual(self.texts(".device"),
                         ["0#0", "1#0", "2#1", "3#1", "4#0", "5#0", "6#1", "7#1"])  # fmt: skip
        self.assertEqual(self.texts(".map .piece"), ["#0", "#1"])
        fills = self.browser.evaluate(
            "[...document.querySelectorAll('.device rect, .map .piece rect')]"
            ".map((e) => e.getAttribute('fill'))")  # fmt: skip
        self.assertEqual(len(set(fills)), 2)
        self.assertEqual(fills[2], fills[9])  # Rank 2 has the colour of shard 1.
        self.save("one")

    def test_pointing_lights_the_shard_and_its_replicas(self) -> None:
        self.open(RETRAIN / "src_strategy.ckpt", fragment="#layer3.weight")
        self.browser.point_at('.device[data-rank="3"]')
        self.assertEqual(self.texts(".device.on"), ["2#1", "3#1", "6#1", "7#1"])
        self.assertEqual(self.texts(".device.self"), ["3#1"])
        self.assertEqual(self.texts(".piece.on"), ["#1"])
        self.assertEqual(self.text("#told"), "Rank 3 holds shard #1: rows 1/2 to 2/2, all columns. "
                                             "The same is on ranks 2, 6, 7.")  # fmt: skip
        self.browser.point_at("h2")
        self.assertEqual(self.count(".device.on"), 0)

    def test_keyboard(self) -> None:
        self.open(RETRAIN / "src_strategy.ckpt")
        first = self.text("h2")
        self.browser.evaluate("document.getElementById('list').focus()")
        self.browser.press("ArrowDown")
        self.assertNotEqual(self.text("h2"), first)
        self.browser.press("End")
        self.assertEqual(self.text("h2"), "layer3.bias")
        self.assertEqual(self.text('[aria-selected="true"] .name'), "layer3.bias")
        # One device can be reached with Tab, the others from there with arrows.
        self.assertEqual(self.count('.device[tabindex="0"]'), 1)
        self.browser.evaluate("document.querySelector('.device').focus()")
        self.browser.press("ArrowRight")
        self.browser.press("Enter")
        self.assertEqual(self.texts('.device[aria-pressed="true"]'), ["1#0"])
        self.assertIn("Rank 1 holds shard #0", self.text("#told"))
        self.browser.press("Escape")
        self.assertEqual(self.count('.device[aria-pressed="true"]'), 0)

    def test_devices_have_words_for_who_does_not_see_them(self) -> None:
        self.open(RETRAIN / "src_strategy.ckpt", fragment="#layer3.weight")
        label = self.browser.evaluate("document.querySelector('.device').ariaLabel")
        self.assertEqual(label, "Rank 0: shard 0, also on ranks 1, 4, 5")
        self.open_table(0)
        self.assertEqual(self.texts("tbody td"),
                         ["#0", "rows 0/2 to 1/2, all columns", "ranks 0, 1, 4, 5",
                          "#1", "rows 1/2 to 2/2, all columns", "ranks 2, 3, 6, 7"])  # fmt: skip

    def test_stages(self) -> None:
        self.open(PIPELINE / "src_strategy.ckpt", fragment="#layer3.weight")
        self.assertEqual(self.texts(".stages span"), ["stage 0, ranks 0\u20133: does not",
                                                      "stage 1, ranks 4\u20137: holds it"])  # fmt: skip
        ranks = [text.split("#")[0] for text in self.texts(".device")]
        self.assertEqual(ranks, ["4", "5", "6", "7"])
        menus = self.texts("#filters .field > span")
        self.assertEqual(menus, ["Layout", "Stage"])
        self.browser.evaluate(
            "(() => { const menu = document.querySelectorAll('select')[1]; menu.value = '0';"
            " menu.dispatchEvent(new Event('change')); })()")  # fmt: skip
        self.assertRegex(self.text("#count"), r"^\d+ of \d+ parameters$")
        self.assertIn("layer1.weight", self.texts(".row .name"))
        self.assertNotIn("layer3.weight", self.texts(".row .name"))

    def test_hostile_names_stay_text(self) -> None:
        strategy = self.folder / "s.ckpt"
        files.write_strategy(strategy, Strategy([{HOSTILE: Layout([2], [[0]])}]))
        self.open(strategy)
        self.assertEqual(self.text("h2"), HOSTILE)
        self.assertEqual(self.count("img"), 0)

    def test_odd_tensors(self) -> None:
        """No dims, one, three that are cut, a stated shape that does not divide."""
        strategy = self.folder / "s.json"
        names = {"scalar": Layout([2, 2], []), "vector": Layout([4], [[0]], 0, [8]),
                 "cube": Layout([2, 4, 2], [[0], [1], [2]], 0, [8, 8, 8]),
                 "indivisible": Layout([4], [[0], []], 0, [6, 5])}  # fmt: skip
        wants = {"scalar": ["#0"], "vector": ["#0", "#1", "#2", "#3"],
                 "cube": [f"#{shard}" for shard in range(0, 16, 2)],
                 "indivisible": ["#0", "#1", "#2", "#3"]}  # fmt: skip
        for name, layout in names.items():
            with self.subTest(name):
                files.write_strategy(strategy, Strategy([{name: layout}]))
                self.open(strategy)
                self.assertEqual(self.texts(".map .piece"), wants[name])
        self.assertIn("dim 0 = 6 is not divisible by 4", self.text(".note"))
        # The slab with the shard comes to the front.
        files.write_strategy(strategy, Strategy([{"cube": names["cube"]}]))
        self.open(strategy)
        self.browser.point_at('.device[data-rank="13"]')
        self.assertEqual(self.texts(".piece.on"), ["#13"])


class TwoStrategies(Page):
    def test_copies(self) -> None:
        self.open(RETRAIN / "src_strategy.ckpt", "--dst-strategy", RETRAIN / "dst_strategy.ckpt",
                  "--checkpoint", RETRAIN / "src_checkpoints",
                  fragment="#layer1.weight")  # fmt: skip
        self.assertIn("f32[784,64], 196 KiB", self.texts(".facts")[0])
        self.assertEqual(self.texts("h3"), ["Source", "Target", "Copies"])
        # Two source shards to four target shards, each of a half of both.
        self.assertEqual(self.count(".ribbon"), 8)
        self.assertEqual(sorted(self.texts(".piece[data-from]")),
                         sorted(f"{s} \u2192 {t}" for s in (0, 2) for t in range(4)))  # fmt: skip
        self.browser.point_at('[data-side="1"][data-rank="2"]')
        self.assertEqual(
            self.text("#told"), "Target rank 2 holds shard #2: rows 392:588, all columns. "
            "No other device has it. It is read from ranks 0, 2 of the source.")  # fmt: skip
        self.assertEqual(self.texts(".device.linked"), ["0#0", "2#1"])
        self.assertEqual(self.count(".device.also"), 6)
        self.assertEqual(self.count(".ribbon.on"), 2)
        self.browser.point_at('[data-side="0"][data-rank="3"]')
        self.assertIn("It goes to ranks 0\u20133 of the target.", self.text("#told"))
        self.assertEqual(self.count('[data-side="1"].device.linked'), 4)
        self.open_table(-1)
        self.assertEqual(self.texts("tbody tr")[5],
                         "#2" "rank 2" "rows 392:588, columns 32:64" "#1 of rank 2")  # fmt: skip
        self.save("two")
        self.browser.show_as(1400, 900, "dark")
        self.save("two_dark")

    def test_what_only_one_side_knows(self) -> None:
        source, target = self.folder / "s.ckpt", self.folder / "t.ckpt"
        before = {"both": Layout([4], [[0]]), "old": Layout([4], [[]])}
        after = {"both": Layout([6], [[0]]), "new": Layout([6], [[0], []])}
        files.write_strategy(source, Strategy([before]))
        files.write_strategy(target, Strategy([after]))
        self.open(source, "--dst-strategy", target)
        self.assertEqual(self.texts(".row .name"), ["both", "old", "new"])
        self.assertEqual(self.count(".ribbon"), 8)  # 4 pieces to 6 of a vector of 12.
        self.search("old")
        self.assertEqual(self.text("h2"), "old")
        self.assertIn(f"{target} does not know this parameter.", self.texts(".facts"))


class AgainstTheDefinition(Page):
    """What the page says is copied, beside what layouts.py says that the ranks hold."""

    SHAPE = [24, 48]
    SOURCES = [Layout([2, 4], [[1], []], -1), Layout([8], [[], [0]]), Layout([2, 2, 2], [[2], [0]]),
               Layout([4, 2], [[0], []], 2), Layout([8], [[], []])]  # fmt: skip
    TARGETS = [Layout([6], [[0], []]), Layout([2, 3], [[1], [0]]), Layout([3, 2], [[], [0]], 2),
               Layout([6], [[], []], -1)]  # fmt: skip

    def test_copies(self) -> None:
        pairs = {f"from{s}to{t}": (source, target) for s, source in enumerate(self.SOURCES)
                 for t, target in enumerate(self.TARGETS)}  # fmt: skip
        paths = [self.folder / "s.json", self.folder / "t.json"]
        for side, path in enumerate(paths):
            stage = {name: dataclasses.replace(pair[side], whole_shape=self.SHAPE)
                     for name, pair in pairs.items()}  # fmt: skip
            files.write_strategy(path, Strategy([stage]))
        self.open(paths[0], "--dst-strategy", paths[1])
        for name, (source, target) in pairs.items():
            with self.subTest(name):
                self.search(name)
                self.assertEqual(self.text("h2"), name)
                self.assertEqual(self.copies_told(), self.copies_of(source, target))

    def copies_told(self) -> set[tuple]:
        """(target ranks, source rank, box) of each row of the last table."""
        self.open_table(-1)
        rows = self.browser.evaluate(
            "[...document.querySelectorAll('tbody tr')]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent))")  # fmt: skip
        told = set()
        for _, ranks, box, source in rows:
            sides = [re.fullmatch(r"(?:all )?(?:rows|columns)(?: (\d+):(\d+))?", part)
                     for part in box.split(", ")]  # fmt: skip
            corners = tuple((int(side[1] or 0), int(side[2] or length))
                            for side, length in zip(sides, self.SHAPE))  # fmt: skip
            told.add((frozenset(ranks_in(ranks)), int(source.split("rank ")[1]), corners))
        self.assertEqual(len(told), len(rows))
        return told

    def copies_of(self, source: Layout, target: Layout) -> set[tuple]:
        def boxes(layout: Layout) -> dict[tuple, list[int]]:
            holders: dict[tuple, list[int]] = {}
            for rank in range(layout.device_count()):
                box = tuple((part.start, part.stop) for part in layout.box(self.SHAPE, rank))
                holders.setdefault(box, []).append(rank)
            return holders

        copies = set()
        for wanted, ranks in boxes(target).items():
            for held, holders in boxes(source).items():
                common = tuple((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(wanted, held))
                if all(begin < end for begin, end in common):
                    copies.add((frozenset(ranks), holders[0], common))
        return copies


def ranks_in(text: str) -> list[int]:
    """ "ranks 0\u20132, 5" -> [0, 1, 2, 5]."""
    ranks: list[int] = []
    for run in text.split(" ", 1)[1].split(", "):
        first, _, last = run.partition("\u2013")
        ranks += range(int(first), int(last or first) + 1)
    return ranks


class Large(Page):
    def test_2000_parameters_on_64_devices(self) -> None:
        source, target = self.folder / "s.ckpt", self.folder / "t.ckpt"
        files.write_strategy(source, gpt([8, 8]))
        files.write_strategy(target, gpt([4, 16]))
        for arguments in ([source], [source, "--dst-strategy", target]):
            self.open(*arguments)
            self.assertEqual(self.text("#count"), "2,000 parameters")
            self.assertEqual(self.count('[data-side="0"].device'), 64)
            self.assertLess(self.count(".row"), 60)  # Those in view.
            size = (self.folder / "layout.html").stat().st_size
            drawn, loaded = self.browser.evaluate(
                "[performance.getEntriesByName('relayout-drawn')[0].startTime,"
                " performance.getEntriesByType('navigation')[0].loadEventEnd]")  # fmt: skip
            print(f"strategies: {len(arguments) // 2 + 1}, page of {size >> 10} KiB: "
                  f"drawn after {drawn:.0f} ms, loaded after {loaded:.0f} ms",
                  file=sys.stderr)  # fmt: skip
            self.find_the_last()
        self.save("large")

    def find_the_last(self) -> None:
        self.search(f"blocks.{BLOCKS - 1}. DOWN weight")
        self.assertEqual(self.text("#count"), "1 of 2,000 parameters")
        self.assertEqual(self.text("h2"), f"backbone.blocks.{BLOCKS - 1}.ffn.down.weight")
        self.search("no such thing")
        self.assertEqual(self.text("#count"), "No parameter matches.")
        self.assertEqual(self.count(".row"), 0)
        self.search("")
        self.browser.evaluate("document.getElementById('search').dispatchEvent(new Event('input'))")
        self.assertEqual(self.text("#count"), "2,000 parameters")


if __name__ == "__main__":
    try:
        Browser().close()
    except NoBrowser as error:
        print(f"skipped: {error}")
        sys.exit(77)
    unittest.main()
