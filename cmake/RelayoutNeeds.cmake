# SPDX-License-Identifier: Apache-2.0
# What has to be installed, said in the words of whoever has to install it. `pip install .` shows
# these messages to people who have never seen this repository.

# relayout_needs("libisal" libisal-dev ISAL_FOUND): stops unless the variable is true.
function(relayout_needs what package found)
  if(NOT ${found})
    message(FATAL_ERROR "relayout needs ${what}, which was not found. On Debian or Ubuntu:\n"
                        "  apt-get install g++ pkg-config libfmt-dev libsimdjson-dev libxxhash-dev "
                        "libisal-dev\n(${what} is in ${package})")
  endif()
endfunction()

# find_package with that message.
macro(relayout_needs_package name package)
  find_package(${name} QUIET)
  relayout_needs(${name} ${package} ${name}_FOUND)
endmacro()
