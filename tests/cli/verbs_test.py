# SPDX-License-Identifier: Apache-2.0
"""Each verb on real checkpoints: results, --json, help, exit codes, what goes to which stream."""

import json
import pathlib
import unittest

import check_hashes
from cli import TUTORIAL, CliTest, hashes, retrain

RETRAIN = TUTORIAL / "retrain"
PIPELINE = TUTORIAL / "pipeline"
VERBS = ["transform", "ranks", "merge-strategies", "strategy", "inspect", "draw", "verify", "diff"]


class Help(CliTest):
    def test_program_names_every_verb_and_the_exit_codes(self) -> None:
        text = self.ok("--help")
        for word in [*VERBS, "Exit codes", "130"]:
            self.assertIn(word, text)

    def test_each_verb_explains_itself_with_an_example(self) -> None:
        for verb in VERBS:
            with self.subTest(verb):
                text = self.ok(verb, "--help")
                self.assertIn(f"  relayout {verb} ", text)
                self.assertIn("--json", text)

    def test_examples_in_help_and_readme_are_accepted(self) -> None:
        """The command lines shown to users parse: nothing of exit code 2."""
        readme = (TUTORIAL.parents[2] / "README.md").read_text()
        for text in [readme, *(self.ok(verb, "--help") for verb in VERBS)]:
            lines = text.replace("\\\n", " ").splitlines()
            for line in lines:
                words = line.split("#")[0].split()
                if words[:1] != ["relayout"] or words[1] not in VERBS or "VERB" in words:
                    continue
                with self.subTest(line=line):
                    done = self.run_cli(*words[1:], cwd=self.folder)
                    self.assertNotEqual(done.returncode, 2, done.stderr)

    def test_version(self) -> None:
        self.assertRegex(self.ok("--version"), r"^\d+\.\d+\.\d+ \((with|without) MPI\)\n$")


class Transform(CliTest):
    def test_retrain_8_to_4_is_what_mindspore_makes(self) -> None:
        text = self.ok("transform", *retrain(), self.folder / "dst")
        self.assertIn("8 ranks -> 4 ranks: 21 values", text)
        self.assertIn("learning_rate, epoch_num, step_num", text)
        self.check_want("retrain")

    def test_pipeline_8_to_4_is_what_mindspore_makes(self) -> None:
        text = self.ok("transform", PIPELINE / "src_checkpoints", self.folder / "dst",
                       "--src-strategy", PIPELINE / "src_strategy.ckpt",
                       "--dst-strategy", PIPELINE / "dst_strategy.ckpt")  # fmt: skip
        self.assertIn("gradient accumulators", text)
        self.check_want("pipeline")

    def test_folder_of_stage_files_is_a_strategy(self) -> None:
        self.ok("transform", PIPELINE / "src_checkpoints", self.folder / "dst",
                "--src-strategy", PIPELINE / "src_strategys",
                "--dst-strategy", PIPELINE / "dst_strategy.ckpt")  # fmt: skip
        self.check_want("pipeline")

    def check_want(self, case: str) -> None:
        want = json.loads((TUTORIAL / case / "want.json").read_text())
        problems, names = check_hashes.check(self.folder / "dst", want)
        self.assertEqual(problems, [])
        self.assertEqual(len(names), 21)

    def test_json(self) -> None:
        report = self.ok_json("transform", *retrain(), self.folder / "dst")
        self.assertEqual((report["source_ranks"], report["target_ranks"]), (8, 4))
        self.assertEqual(report["values"], 21)
        self.assertEqual(report["files"], {str(rank): str(self.folder / "dst" / path)
                                           for rank, path in enumerate(hashes(self.folder / "dst"))})  # fmt: skip
        sizes = [pathlib.Path(path).stat().st_size for path in report["files"].values()]
        self.assertEqual(report["target_bytes"], sum(sizes))
        self.assertLess(report["written_bytes"], sum(sizes))
        self.assertEqual([note["kind"] for note in report["notes"]], ["carried"])
        self.assertLessEqual(set(report["source_ranks_read"]), set(range(8)))

    def test_whole_and_back(self) -> None:
        """No target strategy: one whole file. No source strategy: from one whole file."""
        source, *strategies = retrain()
        self.ok("transform", source, self.folder / "whole", *strategies[:2])
        self.assertEqual(list(hashes(self.folder / "whole")), ["rank_0/checkpoint_0.ckpt"])
        file = self.folder / "whole" / "rank_0" / "checkpoint_0.ckpt"
        for name, whole in {"folder": self.folder / "whole", "file": file}.items():
            self.ok("transform", whole, self.folder / name, *strategies[2:])
        self.ok("transform", *retrain(), self.folder / "direct")
        direct = hashes(self.folder / "direct")
        self.assertEqual(hashes(self.folder / "folder"), direct)
        self.assertEqual(hashes(self.folder / "file"), direct)

    def test_prefix_and_overwrite(self) -> None:
        dst = self.folder / "dst"
        self.ok("transform", *retrain(), dst)
        message = self.refused(1, "transform", *retrain(), dst, "--prefix", "net_")
        self.assertIn("--overwrite", message)
        self.assertIn(str(dst), message)
        self.ok("transform", *retrain(), dst, "--prefix", "net_", "--overwrite")
        self.assertEqual(list(hashes(dst)), [f"rank_{r}/net_{r}.ckpt" for r in range(4)])

    def test_overwrite_leaves_no_rank_of_a_larger_set(self) -> None:
        dst = self.folder / "dst"
        source, *strategies = retrain()
        self.ok("transform", *retrain(), dst)
        self.ok("transform", source, dst, *strategies[:2], "--overwrite")
        self.assertEqual(list(hashes(dst)), ["rank_0/checkpoint_0.ckpt"])
        self.assertEqual(sorted(p.name for p in dst.iterdir()), [".relayout", "rank_0"])

    def test_one_rank_to_one_file(self) -> None:
        source, *strategies = retrain()
        self.ok("transform", *retrain(), self.folder / "dst")
        file = self.folder / "rank2.ckpt"
        self.ok("transform", source, "--output", file, "--rank", 2, *strategies)
        want = self.folder / "dst" / "rank_2" / "checkpoint_2.ckpt"
        self.assertEqual(file.read_bytes(), want.read_bytes())
        self.assertEqual({p.name for p in self.folder.iterdir()}, {"dst", "rank2.ckpt"})

    def test_source_files_by_rank(self) -> None:
        """transform_checkpoint_by_rank: a file a source rank, wherever it lies."""
        source, *strategies = retrain()
        self.ok("transform", *retrain(), self.folder / "dst")
        ranks = self.ok("ranks", 1, *strategies).split()
        files = [f"{r}={source}/rank_{r}/checkpoint_{r}.ckpt" for r in ranks]
        options = [word for file in files for word in ("--source-file", file)]
        self.ok("transform", "--output", self.folder / "x.ckpt", "--rank", 1, *options, *strategies)
        self.assertEqual((self.folder / "x.ckpt").read_bytes(),
                         (self.folder / "dst" / "rank_1" / "checkpoint_1.ckpt").read_bytes())  # fmt: skip

    def test_ckpt_to_safetensors_and_back_keeps_every_byte(self) -> None:
        source, *strategies = retrain()
        back = ["--src-strategy", RETRAIN / "dst_strategy.ckpt",
                "--dst-strategy", RETRAIN / "dst_strategy.ckpt"]  # fmt: skip
        self.ok("transform", *retrain(), self.folder / "direct")
        self.ok("transform", *retrain(), self.folder / "st", "--format", "safetensors")
        self.ok("transform", self.folder / "st", self.folder / "again", *back, "--format", "ckpt")
        for rank in range(4):
            direct, st, again = (check_hashes.read_file(next((self.folder / name / f"rank_{rank}").iterdir()))
                                 for name in ("direct", "st", "again"))  # fmt: skip
            self.assertEqual(direct, st)
            self.assertEqual(direct, again)
        self.assertIn("right", self.ok("verify", *retrain(), self.folder / "st"))

    def test_format_follows_the_source(self) -> None:
        self.ok("transform", *retrain(), self.folder / "st", "--format", "safetensors")
        same = ["--src-strategy", RETRAIN / "dst_strategy.ckpt",
                "--dst-strategy", RETRAIN / "dst_strategy.ckpt"]  # fmt: skip
        self.ok("transform", self.folder / "st", self.folder / "dst", *same)
        self.assertTrue(all(p.endswith(".safetensors") for p in hashes(self.folder / "dst")))

    def test_crc_is_written_and_checked(self) -> None:
        dst = self.folder / "dst"
        self.ok("transform", *retrain(), dst, "--crc")
        listing = self.ok_json("inspect", dst)
        self.assertTrue(all(file["has_crc"] for file in listing["files"]))
        file = dst / "rank_1" / "checkpoint_1.ckpt"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 4
        file.write_bytes(data)
        back = [dst, self.folder / "x", "--src-strategy", RETRAIN / "dst_strategy.ckpt"]
        message = self.refused(1, "transform", *back)
        self.assertIn(str(file), message)
        self.assertRegex(message, "(?i)crc")
        self.assertFalse((self.folder / "x").exists())
        self.ok("transform", *back, "--no-crc-check")


class OtherVerbs(CliTest):
    def test_ranks(self) -> None:
        _, *strategies = retrain()
        text = self.ok("ranks", 0, *strategies)
        self.assertRegex(text, r"^\d+( \d+)*\n$")
        result = self.ok_json("ranks", 0, *strategies)
        self.assertEqual(result["source_ranks"], [int(rank) for rank in text.split()])
        self.assertTrue(result["is_minimal"])
        lines = self.ok("ranks", *strategies).splitlines()
        self.assertEqual(lines[0], f"0: {text.strip()}")
        self.assertEqual(len(lines), 4)

    def test_merge_strategies(self) -> None:
        out = self.folder / "new" / "all.ckpt"
        report = self.ok_json("merge-strategies", PIPELINE / "src_strategys", out)
        self.assertEqual((report["stages"], report["ranks"], report["parameters"]), (2, 8, 24))
        json_out = self.folder / "all.json"
        self.ok("merge-strategies", PIPELINE / "src_strategys", json_out)
        json.loads(json_out.read_text())
        merged, theirs, as_json = (self.ok_json("inspect", path)["stages"] for path in
                                   (out, PIPELINE / "src_strategy.ckpt", json_out))  # fmt: skip
        self.assertEqual(merged, theirs)
        self.assertEqual(merged, as_json)
        message = self.refused(1, "merge-strategies", PIPELINE / "src_strategys", out)
        self.assertIn("--overwrite", message)
        self.ok("merge-strategies", PIPELINE / "src_strategys", out, "--overwrite")

    def test_inspect_checkpoint(self) -> None:
        source, *strategies = retrain()
        result = self.ok_json("inspect", source, "--strategy", strategies[1])
        self.assertEqual((result["kind"], len(result["files"])), ("checkpoint", 8))
        values = {value["name"]: value for value in result["values"]}
        weight = values["layer1.weight"]
        self.assertEqual(weight["stored_shape"], [784, 32])
        self.assertEqual(weight["whole_shape"], [784, 64])
        self.assertEqual(weight["ranks"], list(range(8)))
        self.assertNotIn("layout", values["epoch_num"])
        text = self.ok("inspect", source, "--strategy", strategies[1])
        for name in values:
            self.assertIn(name, text)

    def test_inspect_one_file_and_strategies(self) -> None:
        file = RETRAIN / "src_checkpoints" / "rank_3" / "checkpoint_3.ckpt"
        self.assertEqual(len(self.ok_json("inspect", file)["values"]), 21)
        self.assertEqual(self.ok_json("inspect", RETRAIN / "src_strategy.ckpt")["ranks"], 8)
        self.assertEqual(len(self.ok_json("inspect", PIPELINE / "src_strategys")["stages"]), 2)
        self.assertIn("8 ranks, 2 stages", self.ok("inspect", PIPELINE / "src_strategys"))

    def test_verify_right_and_wrong(self) -> None:
        dst = self.folder / "dst"
        self.ok("transform", *retrain(), dst)
        self.assertIn("right: 4 files, 84 values", self.ok("verify", *retrain(), dst))
        file = dst / "rank_2" / "checkpoint_2.ckpt"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1  # Of the last value, step_num.
        file.write_bytes(data)
        done = self.run_cli("verify", *retrain(), dst)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertIn("step_num", done.stdout)
        self.assertIn("1 problem", done.stdout)
        result = json.loads(self.run_cli("verify", *retrain(), dst, "--json").stdout)
        self.assertEqual((result["ok"], result["problem_count"]), (False, 1))
        self.ok("verify", *retrain(), dst, "--rank", 0)

    def test_diff(self) -> None:
        case = [RETRAIN / "src_checkpoints", self.folder / "dst",
                "--a-strategy", RETRAIN / "src_strategy.ckpt",
                "--b-strategy", RETRAIN / "dst_strategy.ckpt"]  # fmt: skip
        self.ok("transform", *retrain(), self.folder / "dst")
        self.assertEqual(self.ok_json("diff", *case)["equal"], 21)
        done = self.run_cli("diff", RETRAIN / "src_checkpoints", PIPELINE / "src_checkpoints",
                            "--a-strategy", RETRAIN / "src_strategy.ckpt",
                            "--b-strategy", PIPELINE / "src_strategys", "--json")  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        names = [entry["name"] for entry in json.loads(done.stdout)["differences"]]
        self.assertIn("layer1.weight", names)  # [784,64] and [64,784].


class CommandLine(CliTest):
    """What is wrong with the command line itself: exit code 2, a hint, nothing on stdout."""

    def test_usage_errors(self) -> None:
        source, *strategies = retrain()
        dst = self.folder / "dst"
        for words in [
            [],
            ["tranform"],
            ["transform", source],
            ["transform", source, dst, dst, *strategies],
            ["transform", source, dst, *strategies, "--threads", "0"],
            ["transform", source, dst, *strategies, "--threads", "many"],
            ["transform", source, dst, *strategies, "--memory", "lots"],
            ["transform", source, dst, *strategies, "--rank", "-1"],
            ["transform", source, dst, *strategies, "--format", "npz"],
            ["transform", source, dst, *strategies, "--step", "ten"],
            ["transform", source, dst, *strategies, "--unknown"],
            ["transform", dst, *strategies, "--source-file", "zero=x.ckpt"],
            ["transform", dst, *strategies, "--source-file", "0=a.ckpt", "--source-file", "0=b.ckpt"],
            ["ranks", 0, 1, *strategies],
            ["ranks", "first", *strategies],
            ["inspect"],
            ["verify"],
            ["verify", source, "--src-strategy", "x.ckpt"],
            ["verify", source, "--step", "1_1"],
            ["diff", source],
            ["merge-strategies", source],
            ["draw", strategies[1]],
            ["draw", "-o", dst],
            ["draw", strategies[1], "-o", dst, "--step", "1_1"],
        ]:  # fmt: skip
            with self.subTest(words=words):
                done = self.run_cli(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done)
                self.assertNotEqual(done.stderr, "")
                self.assertFalse(dst.exists())

    def test_errors_as_json_too(self) -> None:
        _, *strategies = retrain()
        done = self.run_cli("transform", self.folder / "none", self.folder / "dst", *strategies, "--json")
        self.assertEqual(done.returncode, 1)
        result = json.loads(done.stdout)
        self.assertIs(result["ok"], False)
        self.assertIn(str(self.folder / "none"), result["error"]["message"])
        self.assertEqual(done.stderr, f"relayout: error: {result['error']['message']}\n")

    def test_nothing_to_convert(self) -> None:
        message = self.refused(1, "transform", retrain()[0], self.folder / "dst")
        self.assertIn("strategy", message)

    def test_too_little_memory(self) -> None:
        message = self.refused(1, "transform", *retrain(), self.folder / "dst", "--memory", "1MiB")
        self.assertIn("64 MiB", message)

    def test_stdout_that_is_full(self) -> None:
        """A result that cannot be printed is a failure of the machine."""
        with open("/dev/full", "w", encoding="ascii") as full:
            done = self.run_cli("inspect", retrain()[0], capture_output=False, stdout=full, stderr=-1)
        self.assertEqual(done.returncode, 3)
        self.assertIn("stdout", done.stderr)


if __name__ == "__main__":
    unittest.main()
