# SPDX-License-Identifier: Apache-2.0
"""relayout.open: names, layouts, and any slice of any tensor."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import pathlib
import pickle
import random
import struct
import subprocess
import sys
import textwrap
import threading
import unittest

import files
from case import Case, retrain
from layouts import Layout, Strategy

import relayout

try:
    import ml_dtypes
    import numpy
except ImportError:
    numpy = ml_dtypes = None

SEED = int(os.environ.get("SEED", 1))
WHOLE = {
    "matrix": files.counting("Float32", [8, 12], 1),
    "cube": files.counting("Int16", [4, 6, 8], 2),
    "vector": files.counting("Float64", [24], 3),
    "zero_d": files.counting("Int64", [], 4),
    "empty": files.counting("Float32", [0, 4], 5),
    "bias": files.counting("BFloat16", [8], 6),
}
STRATEGIES = {
    "rows": Strategy([{"matrix": Layout([4], [[0], []]), "cube": Layout([4], [[0], [], []])}]),
    "mesh": Strategy(
        [
            {
                "matrix": Layout([2, 2, 2], [[2], [0]], optimizer=2),
                "cube": Layout([2, 2, 2], [[1], [0], [2]]),
                "vector": Layout([2, 2, 2], [[0, 2]]),
            }
        ]
    ),
    "stages": Strategy(
        [
            {"matrix": Layout([2], [[], [0]]), "bias": Layout([2], [[0]])},
            {"cube": Layout([2], [[], [0], []]), "bias": Layout([2], [[]])},
        ]
    ),
}


def write_zeros(path: pathlib.Path, name: str, shape: list[int], size: int) -> None:
    """A safetensors file of one tensor of zeros, whose blocks are not on the disk."""
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({name: entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    os.truncate(path, 8 + len(header) + size)


class Read(Case):
    def open(self, name: str) -> relayout.Checkpoint:
        strategy = STRATEGIES[name]
        known = {parameter for stage in strategy.stages for parameter in stage}
        whole = {key: tensor for key, tensor in WHOLE.items() if key in known}
        carried = {key: tensor for key, tensor in WHOLE.items() if key not in known}
        carried["note"] = files.string("gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n")
        files.write_set(self.folder / name, whole, strategy, carried)
        files.write_strategy(self.folder / f"{name}.ckpt", strategy)
        return relayout.open(self.folder / name, strategy=self.folder / f"{name}.ckpt")

    def test_bytes_of_any_box(self) -> None:
        """Against the definition, without numpy."""
        rng = random.Random(SEED)
        for name in STRATEGIES:
            checkpoint = self.open(name)
            for key, want in WHOLE.items():
                tensor = checkpoint[key]
                self.assertEqual(list(tensor.shape), want.shape)
                self.assertEqual(tensor.nbytes, len(want.contents))
                self.assertEqual(tensor.read(), want.contents, (name, key))
                for _ in range(30):
                    box = []
                    for length in want.shape:
                        begin = rng.randint(0, length)
                        box.append(slice(begin, rng.randint(begin, length)))
                    self.assertEqual(
                        tensor.read(tuple(box)), want.part(tuple(box)).contents, (name, key, box)
                    )

    @unittest.skipUnless(numpy, "needs numpy and ml_dtypes")
    def test_numpy_indices(self) -> None:
        """The same arrays as numpy's own indexing, in value, shape and type."""
        cube = self.open("mesh")["cube"]
        want = numpy.frombuffer(WHOLE["cube"].contents, numpy.int16).reshape(4, 6, 8)
        parts = [0, -1, 2, slice(None), slice(1, 3), slice(None, None, 2), slice(None, None, -1),
                 slice(5, 0, -2), slice(2, 2), slice(-100, 100), ..., None]  # fmt: skip
        indices = [part for part in parts]
        for count in (2, 3):
            indices += list(itertools.product(parts, repeat=count))
        compared = 0
        for index in indices:
            try:
                expected = want[index]
            except IndexError:
                with self.assertRaises(IndexError, msg=str(index)):
                    cube[index]
                continue
            array = cube[index]
            self.assertEqual((array.shape, array.dtype), (expected.shape, expected.dtype), index)
            self.assertTrue(numpy.array_equal(array, expected), index)
            compared += 1
        self.assertGreater(compared, 1000)

    @unittest.skipUnless(numpy, "needs numpy and ml_dtypes")
    def test_steps_that_skip_much(self) -> None:
        """Read part by part: the same values."""
        import relayout._checkpoint as module

        limit = module._SKIP_BYTES
        self.addCleanup(setattr, module, "_SKIP_BYTES", limit)
        matrix = self.open("mesh")["matrix"]
        want = matrix[...]
        for module._SKIP_BYTES in (1, 60, 130):
            for rows, columns in itertools.product((1, 2, 3, -2, -5), repeat=2):
                index = (slice(None, None, rows), slice(None, None, columns))
                self.assertTrue(numpy.array_equal(matrix[index], want[index]), index)

    @unittest.skipUnless(numpy, "needs numpy and ml_dtypes")
    def test_types(self) -> None:
        """MindSpore's types as numpy's, bit for bit."""
        types = {"Float32": "float32", "Float16": "float16", "Float64": "float64", "Int8": "int8",
                 "UInt8": "uint8", "Int16": "int16", "UInt16": "uint16", "Int32": "int32",
                 "UInt32": "uint32", "Int64": "int64", "UInt64": "uint64", "Bool": "bool",
                 "BFloat16": "bfloat16", "Int4": "int4"}  # fmt: skip
        values = {key: files.counting(key, [3, 4]) for key in types}
        files.write_ckpt(self.folder / "all.ckpt", values)
        checkpoint = relayout.open(self.folder / "all.ckpt")
        self.assertEqual(checkpoint.names(), list(types))
        for key, name in types.items():
            self.assertEqual(checkpoint[key].dtype, name)
            array = checkpoint[key][...]
            self.assertEqual(str(array.dtype), "int8" if name == "int4" else name)
            self.assertEqual(array.tobytes(), values[key].contents)
        self.assertIs(checkpoint["BFloat16"][0, 0].dtype.type, ml_dtypes.bfloat16)

    @unittest.skipUnless(numpy, "needs numpy and ml_dtypes")
    def test_dlpack(self) -> None:
        matrix = self.open("mesh")["matrix"]
        array = numpy.from_dlpack(matrix.dlpack((slice(1, 3), slice(4, 9))))
        self.assertTrue(numpy.array_equal(array, matrix[1:3, 4:9]))
        self.assertEqual(array.dtype, numpy.float32)
        memory = matrix.dlpack()
        arrays = [numpy.from_dlpack(memory) for _ in range(2)]
        del memory
        self.assertTrue(numpy.array_equal(arrays[0], matrix[...]))
        self.assertTrue(numpy.shares_memory(*arrays))

    def test_dlpack_types(self) -> None:
        """What the capsule says, read as C: pointer, device, dims, type (code, bits, lanes)."""
        codes = {"Int8": 0, "UInt16": 1, "Float32": 2, "BFloat16": 4, "Bool": 6}
        values = {key: files.counting(key, [2, 3]) for key in codes}
        files.write_ckpt(self.folder / "all.ckpt", values)
        checkpoint = relayout.open(self.folder / "all.ckpt")
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        for key, code in codes.items():
            memory = checkpoint[key].dlpack()
            self.assertEqual(memory.__dlpack_device__(), (1, 0))
            capsule = memory.__dlpack__()
            header = ctypes.string_at(get(capsule, b"dltensor"), 48)
            data, device, _, dims, kind, bits, lanes, shape, _, offset = struct.unpack(
                "<QiiiBBHQQQ", header
            )
            size = len(values[key].contents)
            self.assertEqual((device, dims, kind, bits, lanes), (1, 2, code, size // 6 * 8, 1))
            self.assertEqual(struct.unpack("<qq", ctypes.string_at(shape, 16)), (2, 3))
            self.assertEqual(ctypes.string_at(data + offset, size), values[key].contents)

    def test_strings(self) -> None:
        note = self.open("rows")["note"]
        self.assertEqual((note.is_string, note.dtype, note.shape), (True, "str", ()))
        self.assertEqual(note.text(), "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n")
        with self.assertRaisesRegex(relayout.InputError, "is a string; use text()"):
            note.read()
        with self.assertRaisesRegex(relayout.InputError, "float64, not a string"):
            self.open("rows")["vector"].text()

    def test_what_is_known(self) -> None:
        checkpoint = self.open("stages")
        self.assertEqual(set(checkpoint), {*WHOLE, "note"})
        self.assertEqual(len(checkpoint), len(WHOLE) + 1)
        self.assertEqual((checkpoint.ranks, checkpoint.missing_ranks), ((0, 1, 2, 3), ()))
        self.assertEqual((checkpoint.format, checkpoint.step), ("ckpt", None))
        self.assertEqual(checkpoint.strategy.stage_count, 2)
        first, second = checkpoint["bias"].placements
        self.assertEqual((first.stage, first.first_rank, first.shape), (0, 0, (8,)))
        self.assertEqual((str(first.layout), str(second.layout)), ("{a:2} (a)", "{a:2} (-)"))
        self.assertEqual(second.first_rank, 2)
        self.assertEqual(checkpoint["vector"].placements, ())
        self.assertIsNone(checkpoint["vector"].layout)
        self.assertIn("matrix", checkpoint)
        self.assertNotIn("no", checkpoint)
        self.assertIsNone(checkpoint.get("no"))
        # As with any mapping, what cannot be a name is in it no more than another.
        for key in (5, None, "matrix\udc80"):
            self.assertNotIn(key, checkpoint)
            self.assertIsNone(checkpoint.get(key))  # type: ignore[call-overload]
        with self.assertRaisesRegex(relayout.MissingTensorError, "^[^'\"]*near it: matrix"):
            checkpoint["matrux"]

    def test_missing_files(self) -> None:
        """What others hold can be read; what nobody holds is named."""
        self.open("mesh")
        for rank in (0, 4):
            os.remove(files.rank_path(self.folder / "mesh", rank))
            os.rmdir(self.folder / "mesh" / f"rank_{rank}")
        checkpoint = relayout.open(self.folder / "mesh", strategy=self.folder / "mesh.ckpt")
        self.assertEqual(checkpoint.missing_ranks, (0, 4))
        self.assertEqual(checkpoint["vector"].read(), WHOLE["vector"].contents)
        with self.assertRaisesRegex(relayout.InputError, r"matrix.*rank") as caught:
            checkpoint["matrix"].read()
        self.assertEqual(caught.exception.code, "not_found")
        self.assertEqual(checkpoint["matrix"].read((slice(2, 4),)),
                         WHOLE["matrix"].part((slice(2, 4), slice(0, 12))).contents)  # fmt: skip

    @unittest.skipUnless(numpy, "needs numpy and ml_dtypes")
    def test_rows_one_by_one(self) -> None:
        checkpoint = self.open("mesh")
        cube = checkpoint["cube"]
        self.assertEqual(len(cube), 4)
        for row, expected in zip(cube, cube[...]):
            self.assertTrue(numpy.array_equal(row, expected))
        self.assertEqual(len(list(cube)), 4)
        self.assertTrue(cube)
        with self.assertRaisesRegex(TypeError, "note: iteration over a 0-d tensor"):
            iter(checkpoint["note"])
        with self.assertRaisesRegex(TypeError, r"note: len\(\) of a 0-d tensor"):
            len(checkpoint["note"])

    def test_bad_indices(self) -> None:
        matrix = self.open("rows")["matrix"]
        for index, error in (
            (8, IndexError),
            (-9, IndexError),
            ((0, 0, 0), IndexError),
            ((..., ...), IndexError),
            ([0, 1], TypeError),
            (True, TypeError),
            (1.0, TypeError),
            ("0", TypeError),
        ):
            with self.assertRaisesRegex(error, "^matrix: ", msg=str(index)):
                matrix.read(index)
        with self.assertRaisesRegex(relayout.InputError, "without a step"):
            matrix.read(slice(None, None, 2))

    def test_by_rank_and_pickled(self) -> None:
        checkpoint = relayout.open(
            {rank: files.rank_path(self.folder / "rows", rank) for rank in (1, 2)}
            if self.open("rows")
            else {},
            strategy=self.folder / "rows.ckpt",
        )
        self.assertEqual(checkpoint.ranks, (1, 2))
        again = pickle.loads(pickle.dumps(checkpoint))
        part = slice(2, 6)
        self.assertEqual(again["matrix"].read(part), checkpoint["matrix"].read(part))

    def test_threads_share(self) -> None:
        checkpoint = self.open("mesh")
        wrong = []

        def look() -> None:
            for key in ("matrix", "cube", "vector"):
                if checkpoint[key].read() != WHOLE[key].contents:
                    wrong.append(key)

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_outlives_its_checkpoint(self) -> None:
        matrix = self.open("mesh")["matrix"]
        strategy = self.open("rows").strategy
        self.assertEqual(matrix.read(), WHOLE["matrix"].contents)
        self.assertEqual(str(strategy["matrix"][0].layout), "{a:4} (a,-)")

    def test_unified(self) -> None:
        """A model in several files is one checkpoint."""
        source = {key: retrain()[key] for key in ("source", "source_strategy")}
        relayout.convert(**source, target=self.folder / "model",
                         unify={"part_bytes": "100KiB"}, format="safetensors")  # fmt: skip
        model = relayout.open(self.folder / "model")
        parts = relayout.open(source["source"], strategy=source["source_strategy"])
        self.assertEqual(set(model), set(parts))
        self.assertGreater(len(model.files), 2)
        for name in model:
            if not model[name].is_string:
                self.assertEqual(model[name].read(), parts[name].read(), name)

    @unittest.skipUnless(numpy, "needs numpy and ml_dtypes")
    def test_memory_follows_the_slice(self) -> None:
        """Of 2 GiB; the file has holes, so it is small on the disk."""
        path = self.folder / "large.safetensors"
        write_zeros(path, "w", [1 << 15, 1 << 14], 1 << 31)
        script = f"""
            import resource, numpy, relayout
            def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            tensor = relayout.open({str(path)!r})["w"]
            tensor[0]
            before = peak()
            assert tensor[100:200, :1000].shape == (100, 1000)
            assert tensor[:, 77].shape == (1 << 15,)
            assert tensor[::1024, ::1024].shape == (32, 16)
            assert len(tensor.read((slice(5, 6), slice(1, 9)))) == 32
            print(peak() - before)
            """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)],
                              capture_output=True, text=True, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(int(done.stdout), 40, "MiB")


if __name__ == "__main__":
    print(f"SEED={SEED}")
    unittest.main()
