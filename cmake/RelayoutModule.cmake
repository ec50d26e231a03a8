# SPDX-License-Identifier: Apache-2.0
# relayout_module(base DEPS ... LINK ...)
#
# One folder of relayout/ (with its sub-folders) = one static library relayout_<folder>, with the
# folder's *_test.cc files as one GoogleTest program. DEPS are modules and PUBLIC; tools/check_includes.py
# holds them against the #include lines. LINK are third-party targets, PRIVATE unless said otherwise.
function(relayout_module folder)
  cmake_parse_arguments(arg "" "" "DEPS;LINK;LINK_PUBLIC;TEST_DEPS;TEST_LINK" ${ARGN})
  set(name ${folder})
  set(dir ${PROJECT_SOURCE_DIR}/relayout/${folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")

  add_library(relayout_${name} STATIC ${sources})
  target_link_libraries(relayout_${name} PRIVATE relayout_warnings ${arg_LINK})
  target_link_libraries(relayout_${name} PUBLIC relayout_options ${arg_LINK_PUBLIC})
  foreach(dep ${arg_DEPS})
    target_link_libraries(relayout_${name} PUBLIC relayout_${dep})
  endforeach()

  if(RELAYOUT_TESTS AND tests)
    relayout_test(${name}_test SOURCES ${tests} LINK relayout_${name} ${arg_TEST_LINK})
    foreach(dep ${arg_TEST_DEPS})
      target_link_libraries(${name}_test PRIVATE relayout_${dep})
    endforeach()
  endif()
endfunction()

# relayout_test(name SOURCES ... LINK ... [LABEL unit])
function(relayout_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES;LINK" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  add_executable(${name} ${arg_SOURCES})
  # What is tested is optimized; the tests themselves compile a third faster without.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${name} PRIVATE relayout_warnings ${arg_LINK} GTest::gtest_main)
  gtest_discover_tests(${name} NO_PRETTY_VALUES PROPERTIES LABELS ${arg_LABEL} DISCOVERY_TIMEOUT 60)
endfunction()
