# SPDX-License-Identifier: Apache-2.0
"""relayout draw and inspect --draw from outside; what the page does is in draw_browser_test.py."""

import json
import os
import pathlib
import pty
import re
import subprocess
import unittest

import files
from cli import TUTORIAL, CliTest, program
from layouts import Layout, Strategy

RETRAIN = TUTORIAL / "retrain"
PIPELINE = TUTORIAL / "pipeline"


def data_of(page: pathlib.Path) -> dict:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found, "the page has no data"
    return json.loads(found[1])


class Draw(CliTest):
    def draw(self, *arguments: object) -> dict:
        """Draws into a page and returns its data."""
        page = self.folder / "layout.html"
        report = self.ok_json("draw", *arguments, "-o", page, "--overwrite")
        self.assertEqual(report["size_bytes"], page.stat().st_size)
        data = data_of(page)
        self.assertEqual(report["parameters"], len(data["names"]))
        return data

    def layout_of(self, data: dict, name: str, side: int = 0) -> dict:
        form = data["forms"][data["form"][data["names"].index(name)]]
        return data["layouts"][form["sides"][side][0][1]]

    def test_one_strategy(self) -> None:
        data = self.draw(RETRAIN / "src_strategy.ckpt")
        self.assertEqual(len(data["names"]), 18)
        self.assertEqual([side["role"] for side in data["sides"]], ["Strategy"])
        layout = self.layout_of(data, "layer3.weight")
        self.assertEqual(layout["text"], "{a:2,b:2,c:2} (b,-)")
        self.assertEqual(layout["shards"], [0, 0, 1, 1, 0, 0, 1, 1])

    def test_two_strategies_with_shapes_of_a_checkpoint(self) -> None:
        data = self.draw(RETRAIN / "src_strategy.ckpt", "--dst-strategy",
                         RETRAIN / "dst_strategy.ckpt", "--checkpoint",
                         RETRAIN / "src_checkpoints")  # fmt: skip
        index = data["names"].index("layer1.weight")
        self.assertEqual(data["tensors"][data["tensor"][index]],
                         {"shape": [784, 64], "type": "f32", "item_bytes": 4})  # fmt: skip
        form = data["forms"][data["form"][index]]
        # Columns cut in two to rows cut in four: each target reads both, of the lowest ranks.
        self.assertEqual(form["chosen"], [0, 2])
        self.assertEqual(form["reads"], [[[[0, 1]] * 4, [[0, 2]]]])

    def test_stages(self) -> None:
        for strategy in ("src_strategy.ckpt", "src_strategys"):
            data = self.draw(PIPELINE / strategy)
            self.assertEqual(data["sides"][0]["stages"], [[0, 0, 4], [1, 4, 4]])
            names = {name: data["forms"][form]["sides"][0][0][0]
                     for name, form in zip(data["names"], data["form"])}  # fmt: skip
            self.assertEqual((names["layer1.weight"], names["layer3.weight"]), (0, 1))
        # The file of one stage can be looked at, its ranks counted within the stage.
        data = self.draw(PIPELINE / "src_strategys" / "src_strategy_4.ckpt")
        self.assertEqual(data["sides"][0]["stages"], [[1, 0, 4]])

    def test_json_strategies_state_shapes(self) -> None:
        strategy = self.folder / "s.json"
        files.write_strategy(strategy, Strategy([{"w": Layout([2], [[0], []], 0, [6, 4])}]))
        self.assertEqual(self.draw(strategy)["tensors"], [{"shape": [6, 4]}])

    def test_the_same_page_again(self) -> None:
        pages = []
        for name in ("a.html", "b.html"):
            self.ok("draw", RETRAIN / "src_strategy.ckpt", "-o", self.folder / name)
            pages.append((self.folder / name).read_bytes())
        self.assertEqual(pages[0], pages[1])

    def test_report_and_folders(self) -> None:
        page = self.folder / "new" / "folder" / "layout.html"
        text = self.ok("draw", RETRAIN / "src_strategy.ckpt", "-o", page)
        self.assertRegex(text, r"layout\.html: 18 parameters, [\d.]+ KiB; open it in a browser\n$")
        self.assertEqual([path.name for path in page.parent.iterdir()], ["layout.html"])

    def test_hostile_names(self) -> None:
        name = '</script><script>alert("1")</script><!--'
        strategy = self.folder / "s.ckpt"
        files.write_strategy(strategy, Strategy([{name: Layout([2], [[0]])}]))
        self.assertEqual(self.draw(strategy)["names"], [name])
        self.assertNotIn("<script>alert", (self.folder / "layout.html").read_text())


class Refusals(CliTest):
    def refuses(self, words: list[object], *wanted: str) -> None:
        page = self.folder / "layout.html"
        message = self.refused(1, "draw", *words, "-o", page)
        for text in wanted:
            self.assertIn(text, message)
        self.assertFalse(page.exists())

    def test_what_is_no_strategy(self) -> None:
        self.refuses([RETRAIN / "src_checkpoints"], "src_checkpoints", "strategy file")
        self.refuses([self.folder / "none"], "none", "No such file")
        checkpoint = RETRAIN / "src_checkpoints" / "rank_0" / "checkpoint_0.ckpt"
        self.refuses([checkpoint], "checkpoint_0.ckpt")
        self.refuses([RETRAIN / "src_strategy.ckpt", "--dst-strategy", checkpoint], "checkpoint_0")

    def test_a_checkpoint_of_another_model(self) -> None:
        strategy = self.folder / "s.ckpt"
        files.write_strategy(strategy, Strategy([{"other.weight": Layout([8], [[0]])}]))
        self.refuses([strategy, "--checkpoint", RETRAIN / "src_checkpoints"],
                     "holds none of the 1 parameter", "other.weight")  # fmt: skip

    def test_more_devices_than_a_page_holds(self) -> None:
        layout = {"dev_matrix": [1 << 20], "tensor_map": [0], "tensor_shape": [], "field": 0,
                  "opt_weight_shard_step": 0, "opt_weight_shard_size": 0}  # fmt: skip
        strategy = self.folder / "s.json"
        strategy.write_text(json.dumps({
            "current_stage": 1, "parallel_layout_item": {"w": layout},
            "parallel_strategy_item": {"MatMul": {"stage": 0, "parallel_strategy": [[1]]}},
        }))  # fmt: skip
        self.refuses([strategy], "s.json", "1048576 devices", "16384")

    def test_a_page_that_is_there(self) -> None:
        page = self.folder / "layout.html"
        page.write_text("mine")
        message = self.refused(1, "draw", RETRAIN / "src_strategy.ckpt", "-o", page)
        self.assertIn("--overwrite", message)
        self.assertEqual(page.read_text(), "mine")
        self.ok("draw", RETRAIN / "src_strategy.ckpt", "-o", page, "--overwrite")
        self.assertIn("layer1.weight", page.read_text())


class OnATerminal(CliTest):
    """relayout inspect --draw."""

    COMMAND = ["inspect", str(RETRAIN / "src_strategy.ckpt"), "--draw", "layer3.weight"]

    def test_one_tensor_with_its_shape(self) -> None:
        text = self.ok("inspect", RETRAIN / "src_checkpoints", "--strategy",
                       RETRAIN / "src_strategy.ckpt", "--draw", "layer1.weight")  # fmt: skip
        self.assertEqual(text, (
            "layer1.weight  [784,64] @ {a:2,b:2,c:2} (-,b)\n"
            "  8 devices, a grid of 2 x 2 x 2 (axes a, b, c).\n"
            "  Columns (dim 1) are cut in 2 along axis b. Rows (dim 0) are not cut.\n"
            "  Each piece is on 4 devices (those that differ only on axes a, c): "
            "4 copies of the same.\n"
            "  So there are 2 different shards; each device holds 1/2 of the tensor.\n"
            "\n"
            "            b=0           b=1\n"
            "         c=0    c=1    c=0    c=1\n"
            "      +------+------+------+------+\n"
            "  a=0 | 0 #0 | 1 #0 | 2 #1 | 3 #1 |\n"
            "      +------+------+------+------+\n"
            "  a=1 | 4 #0 | 5 #0 | 6 #1 | 7 #1 |\n"
            "      +------+------+------+------+\n"
            "\n"
            "  7 #1: rank 7 holds shard 1, and so on. The shards:\n"
            "    #0  [0:784,0:32]   ranks 0, 1, 4, 5\n"
            "    #1  [0:784,32:64]  ranks 2, 3, 6, 7\n"))  # fmt: skip

    def test_stages_are_told_apart(self) -> None:
        text = self.ok("inspect", PIPELINE / "src_strategy.ckpt", "--draw", "layer3.weight")
        self.assertIn("stage 1, ranks 4-7", text)

    def test_json(self) -> None:
        result = self.ok_json("inspect", RETRAIN / "src_strategy.ckpt", "--draw", "layer3.weight")
        self.assertEqual(result["places"][0]["shard_of_rank"], [0, 0, 1, 1, 0, 0, 1, 1])

    def test_a_name_that_is_not_there(self) -> None:
        message = self.refused(1, "inspect", RETRAIN / "src_strategy.ckpt",
                               "--draw", "layer1.wieght")  # fmt: skip
        self.assertIn("near it: layer1.weight", message)

    def test_a_checkpoint_without_a_strategy(self) -> None:
        message = self.refused(1, "inspect", RETRAIN / "src_checkpoints", "--draw", "layer1.weight")
        self.assertIn("--strategy", message)

    def test_colours_only_on_a_terminal_that_wants_them(self) -> None:
        escape = "\x1b["
        self.assertNotIn(escape, self.ok(*self.COMMAND))
        self.assertIn("\x1b[30;48;5;", self.on_terminal({"TERM": "xterm"}))
        self.assertIn("\x1b[38;2;0;0;0;48;2;",
                      self.on_terminal({"TERM": "xterm", "COLORTERM": "truecolor"}))  # fmt: skip
        self.assertNotIn(escape, self.on_terminal({"TERM": "xterm", "NO_COLOR": "1"}))
        self.assertNotIn(escape, self.on_terminal({"TERM": "dumb"}))

    def on_terminal(self, variables: dict[str, str]) -> str:
        """What a terminal gets to see."""
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("TERM", "COLORTERM", "NO_COLOR")} | variables  # fmt: skip
        ours, theirs = pty.openpty()
        command = [program(), *self.COMMAND]
        with subprocess.Popen(command, stdout=theirs, env=environment) as process:
            os.close(theirs)
            seen = b""
            while True:
                try:
                    chunk = os.read(ours, 4096)
                except OSError:  # Linux's way to say that the other end is closed.
                    chunk = b""
                if not chunk:
                    break
                seen += chunk
        os.close(ours)
        self.assertEqual(process.returncode, 0)
        return seen.decode()


if __name__ == "__main__":
    unittest.main()
