# SPDX-License-Identifier: Apache-2.0
"""The tutorial's eight flows at a small size, with RANKS=threads or processes: what they print, and
what they leave where. Skipped (77) when processes are asked for and there is no mpirun or MPI."""

import os
import re
import subprocess
import sys
import unittest

from cli import ROOT, CliTest, has_mpi, launcher

FLOWS = ROOT / "examples" / "tutorial"
LOSS = re.compile(r"epoch: (\d+), step: (\d+), loss is (\d+\.\d+)")
NETWORK = ["--hidden", "32"]
TRAINING = ["--optimizer", "adam", "--learning_rate", "0.01", "--epochs", "2", "--print_steps", "4"]


def can_run() -> bool:
    if os.environ["RANKS"] == "threads":
        return True
    return launcher() is not None and has_mpi()


class FlowsTest(CliTest):
    def setUp(self) -> None:
        super().setUp()
        subprocess.run([os.environ["MAKE_DATA"], "MNIST_Data", "--train", "512", "--test", "64"],
                       cwd=self.folder, check=True, capture_output=True)

    def flow(self, name: str, *options: str) -> str:
        done = subprocess.run(["bash", FLOWS / f"run_{name}.sh", *NETWORK, *options],
                              cwd=self.folder, capture_output=True, text=True, check=False,
                              timeout=240)
        self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}{done.stderr}")
        return done.stdout

    def losses(self, output: str) -> list[float]:
        found = LOSS.findall(output)
        # 16 steps an epoch, a line every 4.
        self.assertEqual([(e, s) for e, s, _ in found],
                         [(e, s) for e in "12" for s in ("4", "8", "12", "16")], output)
        return [float(loss) for _, _, loss in found]

    def files(self, pattern: str) -> list[str]:
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.glob(pattern))

    def ranks_said(self, count: int, expected: str) -> None:
        """Every rank's output is where mpirun leaves it."""
        said = self.files("log_output/1/rank.*/stdout")
        self.assertEqual(len(said), count)
        for path in said:
            self.assertIn(expected, (self.folder / path).read_text())

    def test_train_on_8_convert_go_on_with_4_and_ask(self) -> None:
        first = self.losses(self.flow("saving", *TRAINING, "--losses", "8.csv"))
        self.ranks_said(8, f"epoch: 2, step: 16, loss is {first[-1]}")
        self.assertEqual(self.files("src_checkpoints/*/*"),
                         [f"src_checkpoints/rank_{r}/checkpoint-2_16.ckpt" for r in range(8)])
        converted = self.flow("retrain_convert")
        self.assertIn("converted src_checkpoints -> dst_checkpoints: 8 ranks -> 4", converted)
        self.assertEqual(self.files("*_strategy.ckpt"), ["dst_strategy.ckpt", "src_strategy.ckpt"])
        self.assertEqual(self.files("dst_checkpoints/rank_*/*"),
                         [f"dst_checkpoints/rank_{r}/checkpoint_{r}.ckpt" for r in range(4)])
        self.ok("verify", "src_checkpoints", "dst_checkpoints", "--src-strategy",
                "src_strategy.ckpt", "--dst-strategy", "dst_strategy.ckpt", cwd=self.folder)
        second = self.losses(self.flow("retrain", *TRAINING, "--optimizer", "sgd",
                                       "--losses", "4.csv"))
        self.ranks_said(4, f"loss is {second[-1]}")
        self.assertLess(first[-1], first[0])
        # SGD knows nothing of Adam's states, and goes on all the same.
        self.assertLess(abs(second[0] - first[-1]), 0.5 * first[0])

        self.flow("infer_convert")
        self.ok("verify", "src_checkpoints", "dst_checkpoints", "--src-strategy",
                "src_strategy.ckpt", "--dst-strategy", "dst_strategy.ckpt", cwd=self.folder)
        said = self.flow("infer")
        self.assertRegex(said, r"predictions: (\d ){9}\d\nlabels:      (\d ){9}\d\n")
        accuracy = re.search(r"accuracy: (0\.\d+|1\.0+) of 64 images", said)
        self.assertIsNotNone(accuracy, said)
        self.assertGreater(float(accuracy[1]), 0.3)

        subprocess.run([*os.environ["PROGRAM"].split(), "draw_losses", "8 ranks=8.csv",
                        "4 ranks=4.csv", "-o", "losses.svg"], cwd=self.folder, check=True)
        svg = (self.folder / "losses.svg").read_text()
        self.assertIn("8 ranks: 32 steps", svg)
        self.assertIn("4 ranks: 32 steps", svg)

    def test_a_pipeline_goes_on_without_stages(self) -> None:
        first = self.losses(self.flow("pipeline_train", *TRAINING))
        self.assertEqual(self.files("src_pipeline_strategys/*"),
                         [f"src_pipeline_strategys/src_strategy_{r}.ckpt" for r in range(8)])
        self.flow("retrain_pipeline_convert", "--optimizer", "adam")
        self.ok("verify", "src_checkpoints_pipeline", "dst_checkpoints_pipeline", "--src-strategy",
                "src_pipeline_strategy.ckpt", "--dst-strategy", "dst_pipeline_strategy.ckpt",
                cwd=self.folder)
        second = self.losses(self.flow("retrain_pipeline", *TRAINING))
        # With Adam's states, and the same batches again: it goes on down.
        self.assertLess(second[-1], first[-1])
        self.assertLess(second[0], 0.5 * first[0])

    def test_only_compile_saves_the_strategy_and_trains_nothing(self) -> None:
        self.assertEqual(self.flow("saving", "--only_compile=1"), "")
        self.assertEqual(self.files("src_*"), ["src_strategy.ckpt"])
        told = self.ok("inspect", "src_strategy.ckpt", cwd=self.folder)
        self.assertIn("layer1.weight", told)


if __name__ == "__main__":
    if not can_run():
        print("skipped: no mpirun, or relayout was built without MPI")
        sys.exit(77)
    unittest.main(verbosity=2)
