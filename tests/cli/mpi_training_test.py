# SPDX-License-Identifier: Apache-2.0
"""mpirun tutorial: a process that dies, stops, or is started otherwise than the others ends all of
them within seconds, with one message. Skipped (77) without mpirun, MPI or the training programs."""

import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time
import unittest

from cli import CliTest, has_mpi, launcher

RANK = "$OMPI_COMM_WORLD_RANK"
SECONDS = 60  # For a busy machine. It takes about two.


def tutorial() -> str | None:
    return os.environ.get("TUTORIAL")


class TrainingTest(CliTest):
    """Each test runs in its own folder, with 128 images of the classes 0 to 9 in data/."""

    def setUp(self) -> None:
        super().setUp()
        self.write_data("data", labels=bytes(i % 10 for i in range(128)))

    def write_data(self, name: str, labels: bytes) -> None:
        folder = self.folder / name / "train"
        folder.mkdir(parents=True)
        count = len(labels)
        pixels = bytes((i * 7 + i // 784) % 256 for i in range(count * 784))
        (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 28, 28) + pixels)
        (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)

    def start(self, script: str) -> subprocess.Popen:
        """`script` as sh runs it in each of four processes."""
        return subprocess.Popen([*launcher(), "4", "sh", "-c", script], cwd=self.folder, text=True,
                                env=os.environ | {"DATA_PATH": "data"},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def end(self, process: subprocess.Popen) -> tuple[int, str, str]:
        try:
            output, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            output, errors = process.communicate(timeout=20)
            self.fail(f"it hangs:\n{output}\n{errors}")
        return process.returncode, output, errors

    def train(self, options: str = "", on_rank: str = "") -> str:
        """A script that trains on: `on_rank` is run before, and may set $more options."""
        return (f"{on_rank}\nexec {tutorial()} train_saving --ranks 4 --hidden 8 --batch_size 16 "
                f"--epochs 2 {options} $more")  # fmt: skip

    def fails(self, code: int, on_rank: str, *words: str, options: str = "") -> str:
        with self.start(self.train(options, on_rank)) as process:
            status, _, errors = self.end(process)
        messages = [line for line in errors.splitlines() if line.startswith("tutorial: error: ")]
        self.assertEqual(len(messages), 1, errors)
        for word in words:
            self.assertIn(word, messages[0])
        self.assertEqual(status, code, errors)
        return messages[0]


class Different(TrainingTest):
    def test_nothing_is(self) -> None:
        with self.start(self.train()) as process:
            status, output, errors = self.end(process)
        self.assertEqual((status, errors), (0, ""), output)
        self.assertEqual(len(list(self.folder.glob("src_checkpoints/rank_[0-3]/*.ckpt"))), 4)

    def test_batch_size(self) -> None:
        self.fails(1, f'[ "{RANK}" = 2 ] && more="--batch_size 8"',
                   "ranks run different networks: rank 0 has 'image input f32[16,1,28,28]' where rank 2 "
                   "has 'image input f32[8,1,28,28]'")  # fmt: skip

    def test_hidden(self) -> None:
        self.fails(1, f'[ "{RANK}" = 1 ] && more="--hidden 16"',
                   "rank 0 has 'layer1.weight parameter f32[784,8]", "where rank 1 has 'layer1.weight "
                   "parameter f32[784,16]")  # fmt: skip

    def test_learning_rate(self) -> None:
        self.fails(1, f'[ "{RANK}" = 3 ] && more="--learning_rate 0.5"',
                   "ranks train differently: rank 0 has ", "where rank 3 has ")  # fmt: skip

    def test_epochs(self) -> None:
        self.fails(1, f'[ "{RANK}" = 3 ] && more="--epochs 5"',
                   "rank 0 has '2 epochs of 8 steps", "where rank 3 has '5 epochs of 8 steps")  # fmt: skip


    def test_one_that_does_not_train(self) -> None:
        """It leaves, and is content; the others wait for it and find out."""
        message = self.fails(3, f'[ "{RANK}" = 2 ] && more="--only_compile=1"', "process 2 left")
        self.assertIn("process 0", message)

    def test_optimizer(self) -> None:
        self.fails(1, f'[ "{RANK}" = 1 ] && more="--optimizer adam"',
                   "rank 0 has 'optimizer sgd", "where rank 1 has 'optimizer adam")  # fmt: skip


class Data(TrainingTest):
    def test_a_label_that_is_no_class(self) -> None:
        """In the middle of the first epoch: row 5 of batch 3."""
        labels = bytearray(i % 10 for i in range(128))
        labels[2 * 16 + 5] = 12
        self.write_data("bad", bytes(labels))
        self.fails(1, f'[ "{RANK}" = 2 ] && export DATA_PATH=bad', "process 2 (",
                   "epoch 1, step 3: label: row 5 is 12, which is none of the 10 classes")  # fmt: skip
        self.assertEqual(list(self.folder.glob("src_checkpoints/rank_*/*")), [])

    def test_data_that_is_not_there(self) -> None:
        self.fails(1, f'[ "{RANK}" = 3 ] && export DATA_PATH=nowhere', "process 3 (", "nowhere")

    def test_a_file_that_is_cut_off(self) -> None:
        self.write_data("short", bytes(128))
        images = self.folder / "short" / "train" / "train-images-idx3-ubyte"
        images.write_bytes(images.read_bytes()[:-1000])
        self.fails(1, f'[ "{RANK}" = 1 ] && export DATA_PATH=short', "process 1 (",
                   "short/train/train-images-idx3-ubyte")  # fmt: skip


class Dead(TrainingTest):
    def train_for_long(self, on_rank: str = "") -> subprocess.Popen:
        """Returns when the first line of a loss is there."""
        process = self.start(f"echo $$ > pid.{RANK}; " + self.train("--epochs 100000 --print_steps 1", on_rank))
        self.assertRegex(process.stdout.readline(), "epoch: 1, step: 1, loss is ")
        return process

    def pid_of(self, rank: int) -> int:
        return int((self.folder / f"pid.{rank}").read_text())

    def test_killed(self) -> None:
        for rank in (0, 2):
            with self.subTest(rank), self.train_for_long() as process:
                os.kill(self.pid_of(rank), signal.SIGKILL)
                status, _, errors = self.end(process)
                self.assertNotEqual(status, 0)
                self.assertEqual(len(re.findall("exited on signal 9", errors)), 1, errors)
                self.wait_for_the_others()

    def wait_for_the_others(self) -> None:
        """mpirun need not wait for those that it ends."""
        deadline = time.monotonic() + SECONDS
        for rank in range(4):
            while pathlib.Path(f"/proc/{self.pid_of(rank)}").exists():
                self.assertLess(time.monotonic(), deadline, f"process {rank} lives on")
                time.sleep(0.05)

    def test_that_cannot_write(self) -> None:
        """A full disk on one machine, played by `ulimit -f` (blocks of 512 bytes)."""
        self.fails(3, f"""[ "{RANK}" = 1 ] && trap '' XFSZ && ulimit -f 64""", "process 1 (", "rank_1/",
                   "File too large", options="--hidden 64")  # fmt: skip
        self.assertEqual(list(self.folder.glob("src_checkpoints/rank_*/*.ckpt")), [])


if __name__ == "__main__":
    if launcher() is None or not has_mpi() or tutorial() is None:
        print("skipped: no Open MPI here, or a relayout without MPI or training")
        sys.exit(77)
    unittest.main()
