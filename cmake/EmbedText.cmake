# SPDX-License-Identifier: Apache-2.0
# cmake -DOUT=page_files.cc -DHEADER=relayout/draw/page_files.h "-DFILES=kPageCss=page.css|..." -P ...
#
# Writes a C++ source with the text files as constants of namespace relayout, each a raw string.
set(source "// Written by cmake/EmbedText.cmake.\n#include \"${HEADER}\"\n\nnamespace relayout {\n")
string(REPLACE "|" ";" files "${FILES}")
foreach(pair ${files})
  string(REGEX MATCH "^([^=]+)=(.+)$" _ "${pair}")
  set(name "${CMAKE_MATCH_1}")
  file(READ "${CMAKE_MATCH_2}" text)
  string(APPEND source "\nconst std::string_view ${name} = R\"relayout(${text})relayout\";\n")
endforeach()
string(APPEND source "\n}  // namespace relayout\n")
file(WRITE "${OUT}" "${source}")
