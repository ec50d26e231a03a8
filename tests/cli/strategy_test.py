# SPDX-License-Identifier: Apache-2.0
"""`relayout strategy`: files, options, what is explained, what is refused and how."""

import json
import unittest

from cli import ROOT, CliTest

NETWORKS = ROOT / "tests" / "data" / "strategies"
SAVE = NETWORKS / "save_8.mindir"
PIPELINE = NETWORKS / "pipeline_8.mindir"
TWO_STAGES = ["--stages", 2, "--stage", "layer1=0,layer2=1,layer3=1"]


class Files(CliTest):
    def layouts(self, path: object) -> dict[str, str]:
        """Each parameter's layout, as `relayout inspect` says it."""
        stages = self.ok_json("inspect", path)["stages"]
        return {p["name"]: p["layout"] for stage in stages for p in stage["parameters"]}

    def test_protobuf_and_json_say_the_same(self) -> None:
        protobuf, as_json = self.folder / "s.ckpt", self.folder / "s.json"
        text = self.ok("strategy", SAVE, "--devices", 8, "-o", protobuf)
        self.assertEqual(text, f"{protobuf}: 8 devices, 18 parameters\n")
        self.ok("strategy", SAVE, "--devices", 8, "-o", as_json)
        self.assertEqual(self.layouts(protobuf), self.layouts(as_json))
        self.assertEqual(self.layouts(protobuf), self.layouts(NETWORKS / "save_8_0.ckpt"))
        whole = json.loads(as_json.read_text())["parallel_layout_item"]["layer1.weight"]
        self.assertEqual(whole["tensor_shape"], [784, 512])

    def test_a_network_for_inference_has_no_optimizer(self) -> None:
        self.ok("strategy", SAVE, "--devices", 8, "--phase", "predict", "-o", self.folder / "s.ckpt")
        self.assertEqual(len(self.layouts(self.folder / "s.ckpt")), 6)

    def test_a_file_a_stage_or_one_for_all(self) -> None:
        result = self.ok_json("strategy", PIPELINE, "--devices", 8, *TWO_STAGES,
                              "-o", self.folder / "s_{stage}.ckpt")  # fmt: skip
        names = [str(self.folder / "s_0.ckpt"), str(self.folder / "s_1.ckpt")]
        self.assertEqual([f["file"] for f in result["files"]], names)
        merged = self.folder / "merged.json"
        text = self.ok("strategy", PIPELINE, "--devices", 8, *TWO_STAGES, "--merged", "-o", merged)
        self.assertEqual(text, f"{merged}: 8 devices, 24 parameters\n")
        one, two = map(self.layouts, names)
        self.assertEqual(self.layouts(merged), one | two)

    def test_what_it_writes_can_be_converted_to_and_drawn(self) -> None:
        target = self.folder / "dst.ckpt"
        self.ok("strategy", NETWORKS / "retrain_4.mindir", "--devices", 4, "--full-batch",
                "--optimizer-parallel", "-o", target)  # fmt: skip
        ranks = self.ok("ranks", "--src-strategy", NETWORKS / "save_8_0.ckpt",
                        "--dst-strategy", target)  # fmt: skip
        self.assertEqual(len(ranks.splitlines()), 4)
        self.ok("draw", target, "-o", self.folder / "page.html")

    def test_files_are_replaced_only_when_asked_for(self) -> None:
        target = self.folder / "s.ckpt"
        target.write_text("mine")
        message = self.refused(1, "strategy", SAVE, "--devices", 8, "-o", target)
        self.assertIn("--overwrite", message)
        self.assertEqual(target.read_text(), "mine")
        self.ok("strategy", SAVE, "--devices", 8, "-o", target, "--overwrite")


class Explain(CliTest):
    def test_operators_and_parameters(self) -> None:
        text = self.ok("strategy", SAVE, "--devices", 8, "--explain", "-o", self.folder / "s.ckpt")
        self.assertRegex(text, r"MatMul +layer1 +\(\(2,1\),\(1,2\)\) +annotation")
        self.assertRegex(text, r"MatMul +layer2 +\(\(8,1\),\(1,1\)\) +default")
        self.assertIn("{a:2,b:2,c:2} f32[784,512] @ (-,b)", text)

    def test_as_json(self) -> None:
        result = self.ok_json("strategy", SAVE, "--devices", 8, "--explain",
                              "-o", self.folder / "s.ckpt")  # fmt: skip
        first = next(op for op in result["operators"] if op["type"] == "MatMul")
        self.assertEqual((first["cuts"], first["from"]), ("((2,1),(1,2))", "annotation"))


class Refusals(CliTest):
    def strategy(self, exit_code: int, *arguments: object) -> str:
        message = self.refused(exit_code, "strategy", *arguments, "-o", self.folder / "s.ckpt")
        self.assertEqual(list(self.folder.glob("s*")), [])
        return message

    def usage_error(self, *arguments: object) -> str:
        done = self.run_cli("strategy", *arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done)
        return done.stderr

    def test_devices_that_do_not_fit(self) -> None:
        message = self.strategy(1, SAVE, "--devices", 6)
        self.assertIn("MatMul 'Default/layer1-Dense/MatMul-op0'", message)
        self.assertIn("2 x 2 pieces, which do not divide the 6 devices", message)

    def test_stages(self) -> None:
        message = self.strategy(1, PIPELINE, "--devices", 8, *TWO_STAGES)
        self.assertIn("{stage}", message)
        message = self.strategy(1, PIPELINE, "--devices", 9, *TWO_STAGES, "--merged")
        self.assertIn("9 devices cannot be dealt evenly to 2 stages", message)
        message = self.strategy(1, PIPELINE, "--devices", 8, "--merged",
                                "--stages", 2, "--stage", "layer1=0,layr2=1")  # fmt: skip
        self.assertIn("near it: layer2", message)

    def test_options_that_would_do_nothing(self) -> None:
        message = self.strategy(1, SAVE, "--devices", 8, "--search", "cost")
        self.assertIn("--mode auto", message)
        message = self.strategy(1, SAVE, "--devices", 8, "--stage", "layer1=0")
        self.assertIn("add --stages", message)
        message = self.refused(1, "strategy", PIPELINE, "--devices", 8, *TWO_STAGES, "--merged",
                               "-o", self.folder / "s_{stage}.ckpt")  # fmt: skip
        self.assertIn("--merged makes one file", message)

    def test_numbers_that_are_none(self) -> None:
        for text in ["0", "-8", "x", "8.5", "99999999999999999999"]:
            with self.subTest(text):
                message = self.usage_error(SAVE, "--devices", text, "-o", self.folder / "s.ckpt")
                self.assertIn(f"--devices: {text} is not a whole number of at least 1", message)
        message = self.strategy(1, SAVE, "--devices", 2**32, "--full-batch")
        self.assertIn("4294967296 devices", message)
        message = self.usage_error(SAVE, "--devices", 8, "-o", "")
        self.assertIn("the name of the strategy file is empty", message)

    def test_usage(self) -> None:
        for arguments in [["--devices", 0], ["--devices", "x"], [], ["--devices", 8, "--phase", "x"],
                          ["--devices", 8, "--stage", "layer1"],
                          ["--devices", 8, "--optimizer", "adamm"]]:  # fmt: skip
            with self.subTest(arguments):
                done = self.run_cli("strategy", SAVE, *arguments, "-o", self.folder / "s.ckpt")
                self.assertEqual(done.returncode, 2, done)

    def test_files_that_are_no_networks(self) -> None:
        for path in [NETWORKS / "save_8_0.ckpt", NETWORKS / "none.mindir"]:
            with self.subTest(path):
                self.assertIn(path.name, self.strategy(1, path, "--devices", 8))


if __name__ == "__main__":
    unittest.main()
