# SPDX-License-Identifier: Apache-2.0
"""Measures relayout beside `cp -r` and other converters; `./dev bench --help` is the manual.

scenario    what is converted into what, and how fast it should be
workplace   the folder everything happens in: sets, outputs, room on the disk
measure     one command: seconds, peak memory, bytes read and written (by stopwatch.cc)
cache       the state of the page cache before a command
contest     commands that take turns, and what came out
bench       one whole run
converter   the command lines of relayout and cp
results     what was found, as data and as JSON
machine     what the numbers were measured on
peers       MindSpore's and PyTorch's converters on the same work (run by peer_programs/)
report      Markdown
chart       SVG
"""
