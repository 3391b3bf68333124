# relais_library(NAME [ASIO] SOURCES … DEPS …)   a library target relais::NAME
# relais_test(NAME [ASIO] SOURCES … DEPS …)      one GoogleTest program, each test known to ctest
# relais_fuzz(NAME SOURCES … DEPS …)             one fuzz target whose seeds lie in tests/fuzz/seeds/NAME and dictionary in
#                                                tests/fuzz/dict/NAME.dict, where present: with libFuzzer in the fuzz preset, elsewhere
#                                                a test that replays the seeds, shortened and altered
# ASIO: the sources use Boost.Asio; they share the precompiled header that has it.
include(GoogleTest)

# RPC and storage code is found as "folder/file.h" from the root.
function(relais_common target)
  target_include_directories(${target} SYSTEM PRIVATE ${RELAIS_SYSTEM_INCLUDES})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${RELAIS_WARNINGS})
endfunction()

function(relais_pch target asio)
  if(asio)
    target_precompile_headers(${target} REUSE_FROM relais_pch_asio)
    target_link_libraries(${target} PRIVATE relais_asio)
  else()
    target_precompile_headers(${target} REUSE_FROM relais_pch_std)
  endif()
endfunction()

function(relais_library name)
  cmake_parse_arguments(ARG "ASIO" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  add_library(relais::${name} ALIAS ${name})
  relais_common(${name})
  relais_pch(${name} ${ARG_ASIO})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

function(relais_test name)
  cmake_parse_arguments(ARG "ASIO" "" "SOURCES;DEPS" ${ARGN})
  if(RELAIS_FUZZ)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  relais_common(${name})
  relais_pch(${name} ${ARG_ASIO})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE RELAIS_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS unit)
endfunction()

function(relais_fuzz name)
  cmake_parse_arguments(ARG "ASIO" "" "SOURCES;DEPS" ${ARGN})
  set(seeds ${CMAKE_SOURCE_DIR}/tests/fuzz/seeds/${name})
  if(NOT RELAIS_FUZZ)
    list(APPEND ARG_SOURCES ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  relais_common(${name})
  relais_pch(${name} ${ARG_ASIO})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  if(RELAIS_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_test(NAME fuzz.${name} COMMAND ${name} ${seeds} ${CMAKE_SOURCE_DIR}/tests/mail)
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz)
  endif()
endfunction()
