# SPDX-License-Identifier: Apache-2.0
"""Files that relayout writes, in MindSpore's and safetensors' own readers."""

import os
import pathlib
import unittest

import ms  # First: it sets MindSpore up.
import check_hashes
import files
import mindspore
import numpy as np
import safetensors
import worlds
from cli import CliTest
from layouts import Layout, Strategy

MIB = 1 << 20


class Formats(CliTest):
    """All loadable types in slices on two ranks, made whole."""

    def setUp(self) -> None:
        super().setUp()
        rng = np.random.default_rng(ms.SEED)
        self.whole = {dtype.lower(): worlds.random_bits(rng, dtype, [4, 3], nan=True)
                      for dtype in files.ITEM_BYTES}  # fmt: skip
        self.scalars = {"scalar": worlds.random_bits(rng, "Float32", [], nan=True),
                        "one": worlds.random_bits(rng, "BFloat16", [1], nan=True)}  # fmt: skip
        strategy = Strategy([{name: Layout([2], [[0], []]) for name in self.whole}])
        world = worlds.World(self.whole, strategy, None, self.scalars, set())
        for rank in range(2):
            ms.save(files.rank_path(self.folder / "src", rank), world.held(strategy, rank))
        files.write_strategy(self.folder / "s.ckpt", strategy)
        self.case = [self.folder / "src", self.folder / "dst", "--src-strategy", self.folder / "s.ckpt"]

    def result(self, suffix: str) -> pathlib.Path:
        return self.folder / "dst" / "rank_0" / f"checkpoint_0{suffix}"

    def test_safetensors(self) -> None:
        self.ok("transform", *self.case, "--format", "safetensors")
        path = self.result(".safetensors")
        self.assertEqual(ms.differences(ms.load(path), self.whole | self.scalars), [])
        with safetensors.safe_open(path, framework="np") as file:
            self.assertEqual(set(file.keys()), set(self.whole | self.scalars))
            self.assertEqual(file.metadata()["format"], "ms")
            for name, value in (self.whole | self.scalars).items():
                if value.dtype == "BFloat16":  # numpy has no such type; the shape at least.
                    self.assertEqual(file.get_slice(name).get_shape(), list(value.bits.shape))
                    continue
                got = file.get_tensor(name)
                self.assertEqual((got.shape, got.tobytes()), (value.bits.shape, value.bits.tobytes()))

    def test_safetensors_of_mindspore_as_source(self) -> None:
        path = self.folder / "whole" / "rank_0" / "net.safetensors"
        values = {name: value for name, value in (self.whole | self.scalars).items()}
        ms.save(path, values, format="safetensors")
        self.ok("transform", self.folder / "whole", self.folder / "cut", "--dst-strategy",
                self.folder / "s.ckpt", "--format", "ckpt")  # fmt: skip
        for rank in range(2):
            mine, source = (check_hashes.read_file(path) for path in (
                self.folder / "cut" / f"rank_{rank}" / f"checkpoint_{rank}.ckpt",
                files.rank_path(self.folder / "src", rank)))  # fmt: skip
            self.assertEqual(mine, source)

    def test_crc(self) -> None:
        self.ok("transform", *self.case, "--crc")
        path = self.result(".ckpt")
        self.assertEqual(ms.differences(ms.load(path, crc_check=True), self.whole | self.scalars), [])
        data = bytearray(path.read_bytes())
        at = data.index(self.whole["float64"].bits.tobytes()) + 17
        data[at] ^= 0x10
        path.write_bytes(data)
        with self.assertRaises(ValueError):
            ms.load(path, crc_check=True)
        message = self.refused(1, "transform", path, self.folder / "x", "--dst-strategy",
                               self.folder / "s.ckpt")  # fmt: skip
        self.assertIn(str(path), message)
        self.assertIn("crc_num", message)

    def test_crc_written_by_mindspore(self) -> None:
        for rank in range(2):
            path = files.rank_path(self.folder / "src", rank)
            values = ms.load(path)
            path.unlink()
            ms.save(path, values, crc_check=True)
        self.ok("transform", *self.case)
        data = bytearray(path.read_bytes())
        data[-40] ^= 1
        path.chmod(0o600)
        path.write_bytes(data)
        self.assertIn(str(path), self.refused(1, "transform", *self.case, "--overwrite"))

    def test_same_file_as_mindspore_writes(self) -> None:
        """Whole again, in MindSpore's order, the file is the same to the byte."""
        self.ok("transform", *self.case)
        ms.save(self.folder / "want.ckpt", self.whole | self.scalars)
        self.assertEqual(self.result(".ckpt").read_bytes(), (self.folder / "want.ckpt").read_bytes())


class Large(CliTest):
    def test_parameter_in_several_records(self) -> None:
        """MindSpore cuts a parameter of 600 MiB into records of 512 and 88 MiB; so do we."""
        if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 5000 * MIB:
            self.skipTest("less than 5 GB of free memory")
        rng = np.random.default_rng(ms.SEED)
        block = np.frombuffer(rng.bytes(60 * MIB), np.uint32)
        value = worlds.Array("Float32", np.tile(block, 10).reshape(600, -1))
        value.bits[:, 0] = np.arange(600)  # No two rows are the same.
        theirs = self.folder / "whole" / "rank_0" / "net.ckpt"
        ms.save(theirs, {"large": value, "small": worlds.Array("Int8", np.zeros(3, np.uint8))})
        files.write_strategy(self.folder / "s.ckpt", Strategy([{"large": Layout([2], [[0], []])}]))
        self.ok("transform", self.folder / "whole", self.folder / "cut", "--dst-strategy",
                self.folder / "s.ckpt", "--no-sync")  # fmt: skip
        half = check_hashes.read_file(self.folder / "cut" / "rank_1" / "checkpoint_1.ckpt")["large"]
        self.assertEqual(half[:2], ("Float32", [300, value.bits.shape[1]]))
        self.assertTrue(np.array_equal(np.frombuffer(half[2], np.uint32), value.bits[300:].reshape(-1)))
        del half
        self.ok("transform", self.folder / "cut", self.folder / "again", "--src-strategy",
                self.folder / "s.ckpt", "--no-sync")  # fmt: skip
        ours = self.folder / "again" / "rank_0" / "checkpoint_0.ckpt"
        self.assertTrue(np.array_equal(np.fromfile(ours, np.uint8), np.fromfile(theirs, np.uint8)))
        self.assertEqual(mindspore.load_checkpoint(str(ours))["large"].shape, value.bits.shape)


if __name__ == "__main__":
    print(f"SEED={ms.SEED}")
    unittest.main()
