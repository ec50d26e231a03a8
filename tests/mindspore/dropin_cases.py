# SPDX-License-Identifier: Apache-2.0
"""Bad calls of the functions that relayout.mindspore has in common with MindSpore, one a line.

Each is made of both sides on folders that hold the same files. The outcomes, the type of the
exception or what is returned, are equal, or the case names the row of the table in
docs/mindspore.md that says why they are not. "B/" in an argument is the folder of the files.
"""

import dataclasses
import json
import pathlib
import shutil

import files
from layouts import Layout, Strategy

ROWS = Strategy([{"w": Layout([2], [[0], []]), "v": Layout([2], [[0], []])}])
COLUMNS = Strategy([{"w": Layout([2], [[], [0]]), "v": Layout([2], [[], [0]])}])
STAGES = Strategy([{"w": Layout([2], [[0], []])}, {"v": Layout([2], [[0], []])}])
WHOLE = {"w": files.counting("Float32", [4, 4]), "v": files.counting("Float32", [4, 4], 1)}
STEP = {"global_step": files.Tensor("Int64", [], (7).to_bytes(8, "little"))}


class Bench:
    """Small files of every kind below a folder; `bench / "name"` is a path as a string."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.text = str(folder)
        for rank in range(2):
            values = files.rank_values(WHOLE, ROWS, rank) | STEP
            files.write_ckpt(folder / f"src/rank_{rank}/net.ckpt", values)
            files.write_safetensors(folder / f"safe/rank_{rank}/net.safetensors", values)
            files.write_safetensors(folder / f"both/rank_{rank}/net.safetensors", values)
        shutil.copytree(folder / "src/rank_0", folder / "both/rank_0", dirs_exist_ok=True)
        shutil.copytree(folder / "src/rank_0", folder / "first_only/rank_0")
        shutil.copytree(folder / "safe/rank_0", folder / "safe_first_only/rank_0")
        files.write_ckpt(folder / "string.ckpt", {"who": files.string("me")})
        files.write_safetensors(folder / "unified/part0.safetensors", WHOLE)
        (folder / "unified/param_name_map.json").write_text(
            json.dumps({"weight_map": {name: "part0.safetensors" for name in WHOLE}}))
        for name, strategy in (("rows", ROWS), ("columns", COLUMNS), ("pipeline", STAGES)):
            files.write_strategy(folder / f"{name}.ckpt", strategy)
            files.write_strategy(folder / f"{name}.json", strategy)
        files.write_stage_files(folder / "stages", STAGES)
        files.write_stage_files(folder / "two_kinds", STAGES, ".ckpt")
        files.write_stage_files(folder / "two_kinds", STAGES, ".json")
        (folder / "empty_folder").mkdir()
        (folder / "no_rank/net").mkdir(parents=True)
        for name, contents in (("empty.ckpt", b""), ("empty.json", b""), ("text.ckpt", b"hello"),
                               ("text.json", b"hello"), ("text.pb", b"hello, world"),
                               ("bytes.json", b"\xff\xfe"), ("list.json", b"[]"),
                               ("no_layouts.json", b"{}"), ("text.safetensors", b"hello"),
                               ("file", b"hello"),
                               ("group.pb", bytes.fromhex("12040800 0802"))):  # fmt: skip
            (folder / name).write_bytes(contents)
        (folder / "json_text.ckpt").write_bytes((folder / "rows.json").read_bytes())
        whole_ckpt = (folder / "src/rank_0/net.ckpt").read_bytes()
        (folder / "cut.ckpt").write_bytes(whole_ckpt[:-3])

    def __truediv__(self, name: str) -> str:
        return f"{self.text}/{name}"

    def resolve(self, value: object) -> object:
        """`value` with "B/" replaced in all paths of it."""
        if isinstance(value, str) and value.startswith("B/"):
            return self / value[2:]
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        return value


@dataclasses.dataclass(frozen=True)
class Case:
    function: str
    text: str
    arguments: tuple[object, ...]
    options: dict[str, object]
    row: str = ""  # Of the table in docs/mindspore.md, when the sides differ.

    def call(self, side: object, bench: Bench) -> object:
        arguments = [bench.resolve(value) for value in self.arguments]
        options = {name: bench.resolve(value) for name, value in self.options.items()}
        return getattr(side, self.function)(*arguments, **options)

    def __str__(self) -> str:
        return f"{self.function}: {self.text}"


def call(function: str, text: str, *arguments: object, row: str = "", **options: object) -> Case:
    return Case(function, text, arguments, options, row)


def transform(text: str, *, row: str = "", safe: bool = False, **changes: object) -> Case:
    """transform_checkpoints with arguments that are right but for `changes`."""
    right = {"src_checkpoints_dir": "B/safe" if safe else "B/src", "dst_checkpoints_dir": "B/dst",
             "ckpt_prefix": "net", "src_strategy_file": "B/rows.ckpt",
             "dst_strategy_file": "B/columns.ckpt",
             "output_format": "safetensors" if safe else "ckpt"}  # fmt: skip
    text += " (safetensors)" if safe else ""
    return Case("transform_checkpoints", text, (), right | changes, row)


def by_rank(text: str, row: str = "", **changes: object) -> Case:
    right = {"rank_id": 0, "checkpoint_files_map": FILES, "save_checkpoint_file_name": "B/out.ckpt",
             "src_strategy_file": "B/rows.ckpt", "dst_strategy_file": "B/columns.ckpt"}  # fmt: skip
    return Case("transform_checkpoint_by_rank", text, (), right | changes, row)


def unify(text: str, row: str = "", **changes: object) -> Case:
    right = {"src_dir": "B/safe", "src_strategy_file": "B/rows.ckpt", "dst_dir": "B/dst",
             "max_process_num": 1}  # fmt: skip
    return Case("unified_safetensors", text, (), right | changes, row)


def load(text: str, row: str = "", **changes: object) -> Case:
    right = {"network": None, "predict_strategy": "B/columns.ckpt", "format": "safetensors",
             "unified_safetensors_dir": "B/unified", "dst_safetensors_dir": "B/dst", "rank_id": 0,
             "max_process_num": 1}  # fmt: skip
    return Case("load_distributed_checkpoint", text, (), right | changes, row)


FILES = {rank: f"B/src/rank_{rank}/net.ckpt" for rank in range(2)}
SAFE_FILES = {rank: f"B/safe/rank_{rank}/net.safetensors" for rank in range(2)}

LONG = "B/" + "x" * 1100

TRANSFORM = [
    transform("right"),
    transform("right, safetensors", safe=True),
    transform("src is None", src_checkpoints_dir=None),
    transform("src is a number", src_checkpoints_dir=5),
    transform("src is missing", src_checkpoints_dir="B/none"),
    transform("src is a file", src_checkpoints_dir="B/file"),
    transform("src is empty", src_checkpoints_dir="B/empty_folder"),
    transform("src has no rank folder", src_checkpoints_dir="B/no_rank"),
    transform("src has both formats", src_checkpoints_dir="B/both"),
    transform("dst is None", dst_checkpoints_dir=None),
    transform("dst is None", dst_checkpoints_dir=None, safe=True),
    transform("dst is a number", dst_checkpoints_dir=5),
    transform("dst is blank", dst_checkpoints_dir=" "),
    transform("dst is a file", dst_checkpoints_dir="B/file"),
    transform("dst is too long", dst_checkpoints_dir=LONG, row="paths"),
    transform("dst has ..", dst_checkpoints_dir="B/src/../dst", row="paths"),
    transform("dst has //", dst_checkpoints_dir="B//dst", row="paths"),
    transform("dst has ~", dst_checkpoints_dir="B/d~", row="paths"),
    transform("prefix is None", ckpt_prefix=None),
    transform("prefix is None", ckpt_prefix=None, safe=True),
    transform("prefix is a number", ckpt_prefix=1),
    transform("prefix is empty", ckpt_prefix="", row="paths"),
    transform("prefix has ..", ckpt_prefix="../x"),
    transform("prefix has a slash", ckpt_prefix="a/b", row="prefix"),
    transform("src strategy is missing", src_strategy_file="B/none.ckpt"),
    transform("src strategy's folder is missing", src_strategy_file="B/none/none.ckpt"),
    transform("dst strategy is missing", dst_strategy_file="B/none.ckpt"),
    transform("dst strategy's folder is missing", dst_strategy_file="B/none/none.ckpt"),
    transform("dst strategy is missing", dst_strategy_file="B/none.ckpt", safe=True),
    transform("src strategy is a number", src_strategy_file=5),
    transform("dst strategy is a number", dst_strategy_file=5),
    transform("dst strategy is a list", dst_strategy_file=["B/columns.ckpt"]),
    transform("dst strategy is a folder", dst_strategy_file="B/empty_folder"),
    transform("src strategy is empty", src_strategy_file="B/empty.ckpt"),
    transform("src strategy is text", src_strategy_file="B/text.ckpt"),
    transform("dst strategy is text", dst_strategy_file="B/text.ckpt"),
    transform("dst strategy is JSON by another name", dst_strategy_file="B/json_text.ckpt"),
    transform("dst strategy is bad JSON", dst_strategy_file="B/text.json"),
    transform("dst strategy is bytes", dst_strategy_file="B/bytes.json"),
    transform("dst strategy has no layouts", dst_strategy_file="B/no_layouts.json",
              row="no layouts"),
    transform("both strategies are None", src_strategy_file=None, dst_strategy_file=None),
    transform("both are None", src_strategy_file=None, dst_strategy_file=None, safe=True,
              row="nothing written"),
    transform("a rank is missing", src_checkpoints_dir="B/first_only"),
    transform("a rank is missing", src_checkpoints_dir="B/safe_first_only", safe=True),
    transform("an unknown format", output_format="npz", row="output_format"),
    transform("an unknown format", output_format="npz", safe=True),
    transform("another format", output_format="safetensors", row="formats"),
    transform("another format", output_format="ckpt", safe=True),
    transform("process_num is text", process_num="2", row="process_num"),
    transform("process_num is 0", process_num=0, row="process_num"),
]  # fmt: skip

BY_RANK = [
    by_rank("right"),
    by_rank("the map is a list", checkpoint_files_map=["B/src/rank_0/net.ckpt"]),
    by_rank("the map is None", checkpoint_files_map=None),
    by_rank("the map is empty", checkpoint_files_map={}),
    by_rank("a file is missing", checkpoint_files_map=FILES | {1: "B/none.ckpt"}),
    by_rank("a file is None", checkpoint_files_map=FILES | {1: None}),
    by_rank("a needed rank is missing", checkpoint_files_map={0: FILES[0]}),
    by_rank("the other needed rank is missing", checkpoint_files_map={1: FILES[1]}),
    by_rank("a key is text", checkpoint_files_map={"0": FILES[0], "1": FILES[1]}),
    by_rank("a stray rank", checkpoint_files_map=FILES | {3: FILES[0]}, row="stray rank"),
    by_rank("a file is cut short", checkpoint_files_map=FILES | {1: "B/cut.ckpt"}),
    by_rank("rank is None", rank_id=None),
    by_rank("rank is text", rank_id="0"),
    by_rank("rank is a float", rank_id=0.0),
    by_rank("rank is too high", rank_id=2),
    by_rank("rank is negative", rank_id=-1),
    by_rank("target is None", save_checkpoint_file_name=None),
    by_rank("target has no extension", save_checkpoint_file_name="B/out"),
    by_rank("target is safetensors", save_checkpoint_file_name="B/out.safetensors", row="formats"),
    by_rank("target's folder is missing", save_checkpoint_file_name="B/none/o.ckpt", row="folders"),
    by_rank("src strategy is missing", src_strategy_file="B/none.ckpt"),
    by_rank("its folder is missing", src_strategy_file="B/none/none.ckpt"),
    by_rank("dst strategy's folder is missing", dst_strategy_file="B/none/none.ckpt"),
    by_rank("dst strategy is a number", dst_strategy_file=5),
    by_rank("both strategies are None", src_strategy_file=None, dst_strategy_file=None),
    by_rank("sources are safetensors", checkpoint_files_map=SAFE_FILES, row="formats"),
]  # fmt: skip

RANK_LIST = [
    call("rank_list_for_transform", "right", 1, "B/rows.ckpt", "B/columns.ckpt"),
    call("rank_list_for_transform", "no source strategy", 5, None, "B/none.ckpt"),
    call("rank_list_for_transform", "no strategy", 0),
    call("rank_list_for_transform", "rank is text", "0", "B/rows.ckpt"),
    call("rank_list_for_transform", "rank is text, no strategy", "0"),
    call("rank_list_for_transform", "rank is None", None, "B/rows.ckpt"),
    call("rank_list_for_transform", "rank is True", True, "B/rows.ckpt", "B/columns.ckpt"),
    call("rank_list_for_transform", "rank is too high", 2, "B/rows.ckpt", "B/columns.ckpt"),
    call("rank_list_for_transform", "rank is too high for one", 1, "B/rows.ckpt", row="ranks"),
    call("rank_list_for_transform", "rank is negative", -1, "B/rows.ckpt", "B/columns.ckpt"),
    call("rank_list_for_transform", "too high for the stages", 4, "B/rows.ckpt", "B/pipeline.ckpt"),
    call("rank_list_for_transform", "strategy is missing", 0, "B/none.ckpt"),
    call("rank_list_for_transform", "dst is missing", 0, "B/rows.ckpt", "B/none.ckpt"),
    call("rank_list_for_transform", "strategy is empty", 0, "B/empty.json"),
    call("rank_list_for_transform", "strategy is text", 0, "B/text.ckpt"),
    call("rank_list_for_transform", "strategy is a list", 0, [1]),
    call("rank_list_for_convert", "right", 1, "B/rows.ckpt", "B/columns.ckpt"),
]  # fmt: skip

STRATEGIES = [
    call("merge_pipeline_strategys", "right", "B/stages", "B/new/merged.ckpt"),
    call("merge_pipeline_strategys", "no such folder", "B/none", "B/merged.ckpt"),
    call("merge_pipeline_strategys", "a file", "B/file", "B/merged.ckpt"),
    call("merge_pipeline_strategys", "None", None, "B/merged.ckpt"),
    call("merge_pipeline_strategys", "a number", "B/stages", 5),
    call("merge_pipeline_strategys", "both kinds", "B/two_kinds", "B/merged.ckpt"),
    call("merge_pipeline_strategys", "nothing to merge", "B/empty_folder", "B/m.ckpt",
         row="nothing to merge"),
    call("build_searched_strategy", "None", None),
    call("build_searched_strategy", "a number", 5),
    call("build_searched_strategy", "missing", "B/none.ckpt"),
    call("build_searched_strategy", "a folder", "B/src"),
    call("build_searched_strategy", "empty", "B/empty.ckpt"),
    call("build_searched_strategy", "text", "B/text.ckpt"),
    call("build_searched_strategy", "JSON by another name", "B/json_text.ckpt"),
    call("build_searched_strategy", "bad JSON", "B/text.json"),
    call("build_searched_strategy", "bytes as JSON", "B/bytes.json"),
    call("build_searched_strategy", "JSON without layouts", "B/no_layouts.json", row="no layouts"),
    call("restore_group_info_list", "right", "B/group.pb"),
    call("restore_group_info_list", "a number", 5),
    call("restore_group_info_list", "None", None),
    call("restore_group_info_list", "missing", "B/none.pb"),
    call("restore_group_info_list", "a folder", "B/src"),
    call("restore_group_info_list", "empty", "B/empty.ckpt"),
    call("restore_group_info_list", "text", "B/text.pb", row="group file"),
]  # fmt: skip


def formats(function: str, source: str, other: str) -> list[Case]:
    """ckpt_to_safetensors and its inverse: `source` is a folder and extension, `other` a folder."""
    folder, extension = source.split()
    late = "folders" if function == "ckpt_to_safetensors" else ""
    one = f"B/{folder}/rank_0/net.{extension}"
    return [
        call(function, "right, a file", one),
        call(function, "right, a folder", f"B/{folder}", "B/out"),
        call(function, "right, renamed", one, "B/out", {"w": "x"}),
        call(function, "a number", 1.5),
        call(function, "None", None),
        call(function, "missing", "B/none"),
        call(function, "empty text", ""),
        call(function, "no rank folders", "B/empty_folder"),
        call(function, "the other format's folder", f"B/{other}", "B/out"),
        call(function, "another extension", "B/file"),
        call(function, "contents are text", f"B/text.{extension}"),
        call(function, "save_path is a file's name", one, "B/out.ckpt"),
        call(function, "save_path is an existing file", one, "B/file", row=late),
        call(function, "save_path is a number", one, 5),
        call(function, "name_map is a list", one, None, [1]),
        call(function, "name_map is text", f"B/{folder}", None, "w"),
        call(function, "names collide", one, "B/out", {"w": "v"}, row="names collide"),
        call(function, "regex does not match", one, None, None, "xyz"),
        call(function, "regex matches none in a folder", f"B/{folder}", "B/out", None, "xyz"),
        call(function, "regex is no regex", one, None, None, "("),
        call(function, "regex is a number", one, None, None, 5),
        call(function, "processes_num is 0", f"B/{folder}", "B/out", processes_num=0),
        call(function, "processes_num is text", f"B/{folder}", "B/out", processes_num="2"),
    ]  # fmt: skip


FORMATS = [
    *formats("ckpt_to_safetensors", "src ckpt", "safe"),
    *formats("safetensors_to_ckpt", "safe safetensors", "src"),
    call("ckpt_to_safetensors", "a string", "B/string.ckpt", row="strings"),
]  # fmt: skip

UNIFY = [
    unify("right"),
    unify("right, part 1 of 1", split_dst_file=(1, 1)),
    unify("src is a file", src_dir="B/safe/rank_0/net.safetensors"),
    unify("src is None", src_dir=None),
    unify("src is missing", src_dir="B/none"),
    unify("src has both formats", src_dir="B/both"),
    unify("src has ckpt only", src_dir="B/src", row="formats"),
    unify("a rank is missing", src_dir="B/safe_first_only"),
    unify("strategy is None", src_strategy_file=None, row="unify whole"),
    unify("strategy is missing", src_strategy_file="B/none.ckpt"),
    unify("its folder is missing", src_strategy_file="B/none/none.ckpt"),
    unify("strategy is a number", src_strategy_file=5),
    unify("strategy is text", src_strategy_file="B/text.ckpt"),
    unify("dst is None", dst_dir=None),
    unify("dst is blank", dst_dir=""),
    unify("dst is a file", dst_dir="B/file"),
    unify("no file has the suffix", file_suffix="1_1"),
    unify("suffix is a number", file_suffix=5),
    unify("choice_func is no function", choice_func=5),
    unify("choice_func returns a number", choice_func=lambda name: 1),
    unify("choice_func returns None", choice_func=lambda name: None),
    unify("choice_func leaves all out", choice_func=lambda name: False),
    unify("choice_func leaves one out", choice_func=lambda name: name == "w"),
    unify("choice_func renames", choice_func=lambda name: name + "_new"),
    unify("split_dst_file is a number", split_dst_file=5),
    unify("split_dst_file has one number", split_dst_file=(1,), row="split_dst_file"),
    unify("split_dst_file 2 of 1", split_dst_file=(2, 1), row="split_dst_file"),
    unify("split_dst_file 0 of 0", split_dst_file=(0, 0), row="split_dst_file"),
    unify("split_dst_file 0 of 2", split_dst_file=(0, 2), row="split_dst_file"),
    unify("split_dst_file is text", split_dst_file=("1", "2")),
    unify("max_process_num is 0", max_process_num=0),
    unify("max_process_num is text", max_process_num="2"),
]  # fmt: skip

LOAD = [
    load("right"),
    load("right, all ranks", rank_id=None),
    load("right, whole", predict_strategy=None),
    load("right, as ckpt", output_format="ckpt"),
    load("unknown format", format="npz"),
    load("unknown output format", output_format="npz"),
    load("no unified_safetensors_dir", unified_safetensors_dir=None),
    load("no dst_safetensors_dir", dst_safetensors_dir=None),
    load("checkpoint_filenames", checkpoint_filenames=["a"]),
    load("train_strategy_filename", train_strategy_filename="a"),
    load("dec_key", dec_key=b"k"),
    load("dec_mode", dec_mode="AES-CBC"),
    load("strict_load", strict_load=True),
    load("unified dir is missing", unified_safetensors_dir="B/none"),
    load("unified dir is empty", unified_safetensors_dir="B/empty_folder"),
    load("unified dir is a number", unified_safetensors_dir=1.5),
    load("predict_strategy is missing", predict_strategy="B/none.ckpt"),
    load("predict_strategy is a number", predict_strategy=5),
    load("predict_strategy is text", predict_strategy="B/text.ckpt"),
    load("rank is too high", rank_id=2),
    load("rank is text", rank_id="0"),
    load("name_map is text", name_map="w", row="name_map"),
    load("name_map is a list", name_map=[1], row="name_map"),
    load("dst is a file", dst_safetensors_dir="B/file"),
    load("max_process_num is 0", rank_id=None, max_process_num=0),
    load("ckpt, no network", format="ckpt"),
    load("ckpt, network is text", format="ckpt", network="net"),
]  # fmt: skip

CASES = [*TRANSFORM, *BY_RANK, *RANK_LIST, *STRATEGIES, *FORMATS, *UNIFY, *LOAD]
