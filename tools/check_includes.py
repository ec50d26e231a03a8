#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the #include lines against the layers.

The layers are the relayout_module() lines of relayout/CMakeLists.txt: a folder of relayout/ may
include itself and the DEPS of its line, and what those may include. A *_test.cc may also include
the TEST_DEPS. cli, tests, fuzz, benchmarks, examples and python stand above and may include every
module.

Also checked: each third-party header is included by the one module that owns it; the modules that
are pure include nothing of the operating system, of threads or of clocks; each header says
#pragma once; no include goes in a circle; no chain of our own headers is CHAIN_LIMIT long.

Usage: tools/check_includes.py [ROOT]     exit status 1 and one line per finding, or a summary.
"""

import pathlib
import re
import sys

CHAIN_LIMIT = 10

# Who stands above the modules.
TOP_FOLDERS = ("cli", "tests", "fuzz", "benchmarks", "examples", "python")

# Third-party header (as a pattern) -> the folders that own it. "test" is any *_test.cc.
THIRD_PARTY = {
    r"fmt/.*": {"base"},
    r"xxhash\.h|isa-l/.*|isa-l\.h": {"base"},
    r"simdjson\.h": {"format"},
    r"CLI/.*": {"cli", "benchmarks", "examples"},
    r"mpi\.h": {"mpi"},
    r"(oneapi/)?dnnl.*": {"spmd", "benchmarks"},
    r"(eigen3/)?Eigen/.*": {"benchmarks"},
    r"nanobind/.*|Python\.h": {"python"},
    r"benchmark/.*": {"benchmarks"},
    r"(gtest|gmock)/.*": {"test", "tests", "fuzz"},
    r"google/protobuf/.*|.*\.pb\.h": {"test", "tests"},
}

# The operating system's headers: only at the seams.
OS_HEADER = re.compile(
    r"(sys|linux|arpa|netinet)/.*"
    r"|(dirent|dlfcn|fcntl|poll|pthread|sched|signal|spawn|strings|termios|unistd|immintrin)\.h"
)
OS_FOLDERS = {"base", "io", "comm", "mpi", "spmd", "test"} | set(TOP_FOLDERS)

# Modules without I/O, clocks, threads or globals, and the standard headers that would break this.
PURE = {"layout", "plan", "draw"}
IMPURE_HEADERS = set(
    "atomic chrono condition_variable cstdio filesystem fstream future iostream mutex random "
    "shared_mutex stop_token thread".split()
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
MODULE = re.compile(r"^\s*relayout_module\(([^)]*)\)", re.M)


def read_layers(path):
    """folder -> (DEPS, TEST_DEPS) as written in the CMake file."""
    keywords = {"DEPS", "LINK", "LINK_PUBLIC", "TEST_DEPS", "TEST_LINK"}
    layers = {}
    for call in MODULE.findall(re.sub(r"#.*", "", path.read_text())):
        folder, *words = call.split()
        lists, keyword = {}, None
        for word in words:
            if word in keywords:
                keyword = word
            else:
                lists.setdefault(keyword, []).append(word)
        layers[folder] = (lists.get("DEPS", []), lists.get("TEST_DEPS", []))
    return layers


def closure(layers, start):
    """The modules that can be reached from `start`, `start` included."""
    reached, todo = set(), list(start)
    while todo:
        folder = todo.pop()
        if folder not in reached:
            reached.add(folder)
            todo.extend(layers.get(folder, ([], []))[0])
    return reached


def find_cycle(graph):
    """One cycle of `graph` (node -> list of nodes) as a list that ends where it began, or None."""
    done = set()
    for root in graph:
        path, on_path, stack = [], set(), [(root, False)]
        while stack:
            node, leaving = stack.pop()
            if leaving:
                on_path.discard(path.pop())
                done.add(node)
            elif node in on_path:
                return path[path.index(node):] + [node]
            elif node not in done:
                path.append(node)
                on_path.add(node)
                stack.append((node, True))
                stack.extend((following, False) for following in graph.get(node, []))
    return None


def longest_chain(graph):
    """The longest path of `graph`, which has no cycle."""
    longest = {}

    def chain_from(node):
        if node not in longest:
            rests = [chain_from(following) for following in graph.get(node, [])]
            longest[node] = [node] + max(rests, key=len, default=[])
        return longest[node]

    return max((chain_from(node) for node in graph), key=len, default=[])


class Checker:
    def __init__(self, root):
        self.root = root
        self.layers = read_layers(root / "relayout" / "CMakeLists.txt")
        self.findings = []
        self.include_count = 0
        self.headers = {}  # our header -> the headers of ours that it includes

    def report(self, file, line, text):
        self.findings.append(f"{file}:{line}: {text}")

    def sources(self):
        for folder in ("relayout",) + TOP_FOLDERS:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in (".h", ".cc") and path.is_file():
                    yield path.relative_to(self.root).as_posix()

    def run(self):
        files = list(self.sources())
        known = set(files)
        unknown = set()
        for file in files:
            top, folder = file.split("/")[:2]
            if top == "relayout" and folder not in set(self.layers) | unknown:
                unknown.add(folder)
                self.report(file, 1, f"no relayout_module line for '{folder}'")
        for folder, (deps, test_deps) in self.layers.items():
            for dep in deps + test_deps:
                if dep not in self.layers:
                    self.report("relayout/CMakeLists.txt", 1,
                                f"{folder} depends on '{dep}', which is no module")
        for file in files:
            self.check_file(file, known)
        self.check_shape()
        return files

    def check_file(self, file, known):
        text = (self.root / file).read_text(encoding="utf-8")
        if file.endswith(".h"):
            self.headers[file] = []
            if not re.search(r"^#pragma once$", text, re.M):
                self.report(file, 1, "a header needs #pragma once")
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(2)) + 1
            self.include_count += 1
            self.check_include(file, line, match[1], match[2], known)

    def check_include(self, file, line, quote, header, known):
        parts = file.split("/")
        folder = parts[1] if parts[0] == "relayout" else parts[0]
        is_test = file.endswith("_test.cc")
        owners = {folder, "test"} if is_test else {folder}

        for pattern, allowed in THIRD_PARTY.items():
            if re.fullmatch(pattern, header):
                if not owners & allowed:
                    self.report(file, line, f"<{header}> belongs to {' and '.join(sorted(allowed))}")
                return
        if quote == '"':
            self.check_own_include(file, line, folder, is_test, header, known)
        elif folder in PURE and not is_test and header in IMPURE_HEADERS:
            self.report(file, line, f"<{header}> has no place in {folder}, which is pure")
        elif OS_HEADER.fullmatch(header):
            if not owners & OS_FOLDERS:
                self.report(file, line, f"<{header}> is the operating system's; {folder} goes "
                                        "through base, io or comm")
        elif "/" in header:
            self.report(file, line, f"<{header}> has no owner in the THIRD_PARTY table")

    def check_own_include(self, file, line, folder, is_test, header, known):
        if header not in known:
            self.report(file, line, f'"{header}" is not a file of this repository; paths start at '
                                    "its root")
            return
        if not header.endswith(".h"):
            self.report(file, line, f'"{header}" is not a header')
        elif file.endswith(".h"):
            self.headers[file].append(header)
        if file.startswith("relayout/") and folder in self.layers:
            parts = header.split("/")
            used = parts[1] if parts[0] == "relayout" else parts[0]
            deps, test_deps = self.layers[folder]
            allowed = closure(self.layers, [folder] + deps + (test_deps if is_test else []))
            if is_test:
                allowed.add("tests")
            if used not in allowed:
                self.report(file, line, f"{folder} may not include {used} (\"{header}\")")

    def check_shape(self):
        cycle = find_cycle({folder: deps for folder, (deps, _) in self.layers.items()})
        if cycle:
            self.report("relayout/CMakeLists.txt", 1, "modules in a circle: " + " -> ".join(cycle))
        cycle = find_cycle(self.headers)
        self.chain = [] if cycle else longest_chain(self.headers)
        if cycle:
            self.report(cycle[0], 1, "headers in a circle: " + " -> ".join(cycle))
        if len(self.chain) >= CHAIN_LIMIT:
            self.report(self.chain[0], 1, f"a chain of {len(self.chain)} headers: "
                        + " -> ".join(self.chain))


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).parent.parent
    checker = Checker(root.resolve())
    files = checker.run()
    for finding in checker.findings:
        print(finding)
    print(f"includes: {len(files)} files, {checker.include_count} includes, "
          f"{len(checker.layers)} modules, longest header chain {len(checker.chain)} "
          f"(limit {CHAIN_LIMIT - 1}), {len(checker.findings)} findings")
    return 1 if checker.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
