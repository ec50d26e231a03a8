#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of check_includes.py, broken once in a small repository."""

import pathlib
import tempfile
import unittest

import check_includes

LAYERS = """
relayout_module(base LINK_PUBLIC fmt::fmt)
relayout_module(layout DEPS base)
relayout_module(io DEPS base TEST_DEPS layout)  # a comment: relayout_module(no DEPS such)
relayout_module(format DEPS
                io)
if(MPI_C_FOUND)
  relayout_module(mpi DEPS base LINK MPI::MPI_C)
endif()
"""
GOOD = {
    "relayout/CMakeLists.txt": LAYERS,
    "relayout/base/text.h": "#pragma once\n#include <fmt/core.h>\n#include <string>\n",
    "relayout/layout/box.h": '#pragma once\n#include "relayout/base/text.h"\n',
    "relayout/io/file.h": '#pragma once\n#include "relayout/base/text.h"\n',
    "relayout/io/file.cc": '#include "relayout/io/file.h"\n#include <fcntl.h>\n',
    "relayout/io/file_test.cc": '#include "relayout/layout/box.h"\n#include <gtest/gtest.h>\n',
    "relayout/format/index.cc": '#include "relayout/base/text.h"\n#include "relayout/io/file.h"\n',
    "relayout/mpi/comm.cc": '#include <mpi.h>\n#include "relayout/base/text.h"\n',
    "cli/main.cc": '#include <CLI/CLI.hpp>\n#include "relayout/layout/box.h"\n',
}

# (file, its text, a part of the finding)
BAD = [
    ("relayout/layout/a.cc", '#include "relayout/io/file.h"', "layout may not include io"),
    ("relayout/layout/a_test.cc", '#include "relayout/io/file.h"', "layout may not include io"),
    ("relayout/io/a.cc", '#include "relayout/layout/box.h"', "io may not include layout"),
    ("relayout/io/a.cc", '  #  include "relayout/io/gone.h"', "not a file of this repository"),
    ("relayout/io/a.cc", '#include "file.h"', "not a file of this repository"),
    ("relayout/io/a.cc", '#include "relayout/io/file.cc"', "not a header"),
    ("relayout/format/a.cc", '#include "cli/a.h"', "not a file of this repository"),
    ("relayout/io/a.cc", "#include <gtest/gtest.h>", "belongs to fuzz and test and tests"),
    ("relayout/io/a.cc", "#include <fmt/core.h>", "belongs to base"),
    ("cli/a.cc", "#include <simdjson.h>", "belongs to format"),
    ("cli/a.cc", "#include <mpi.h>", "belongs to mpi"),
    ("relayout/io/a_test.cc", "#include <mpi.h>", "belongs to mpi"),
    ("relayout/mpi/a.cc", '#include "relayout/io/file.h"', "mpi may not include io"),
    ("relayout/base/a.cc", "#include <boost/any.hpp>", "no owner"),
    ("relayout/format/a.cc", "#include <sys/stat.h>", "operating system"),
    ("relayout/layout/a.cc", "#include <thread>", "pure"),
    ("relayout/base/a.h", "#include <string>", "#pragma once"),
    ("relayout/other/a.h", "#pragma once", "no relayout_module line for 'other'"),
    ("relayout/base/a.h", '#pragma once\n#include "relayout/base/a.h"', "headers in a circle"),
    ("relayout/CMakeLists.txt", LAYERS + "relayout_module(plan DEPS none)\n", "is no module"),
    ("relayout/CMakeLists.txt", LAYERS.replace("(base ", "(base DEPS io "), "modules in a circle"),
]


def findings(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        checker = check_includes.Checker(pathlib.Path(folder))
        checker.run()
        return checker.findings


class CheckIncludesTest(unittest.TestCase):
    def test_good(self):
        self.assertEqual(findings(GOOD), [])

    def test_each_rule(self):
        for file, text, part in BAD:
            with self.subTest(file=file, text=text):
                found = findings({**GOOD, file: text})
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(file + ":"), found)
                self.assertIn(part, found[0])

    def test_long_chain(self):
        for length, count in ((check_includes.CHAIN_LIMIT - 1, 0), (check_includes.CHAIN_LIMIT, 1)):
            files = dict(GOOD)
            for i in range(length):
                rest = f'#include "relayout/io/h{i + 1}.h"\n' if i + 1 < length else ""
                files[f"relayout/io/h{i}.h"] = "#pragma once\n" + rest
            self.assertEqual(len(findings(files)), count, length)


if __name__ == "__main__":
    unittest.main()
