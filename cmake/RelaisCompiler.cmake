# The compiler: which one, and with what flags for our own targets.

# GCC 12 destroys some temporaries inside co_await expressions twice, silently.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR "GCC below 13 miscompiles coroutines (a temporary in a co_await expression is destroyed twice). Use clang 19: cmake --preset dev")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

set(RELAIS_OPTIMIZE "-O2" CACHE STRING "optimisation flags")
set(RELAIS_DEBUG_INFO "-g1" CACHE STRING "debug information flags")
set(RELAIS_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
option(RELAIS_FUZZ "build the libFuzzer targets" OFF)

# CHECK stays on in every build, so NDEBUG only silences libraries' asserts.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "${RELAIS_OPTIMIZE} ${RELAIS_DEBUG_INFO} -DNDEBUG")

find_program(RELAIS_CCACHE ccache)
if(RELAIS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/cmake/ccache.sh ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR})
endif()

# The same code model everywhere, so that programs and libraries share precompiled headers.
add_compile_options(-fPIE -fno-omit-frame-pointer)
add_link_options(-pie)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  find_program(RELAIS_LLD NAMES ld.lld-19 ld.lld)
  if(RELAIS_LLD)
    add_link_options(-fuse-ld=lld)
  endif()
endif()
if(RELAIS_SANITIZE)
  add_compile_options(-fsanitize=${RELAIS_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RELAIS_SANITIZE})
endif()
if(RELAIS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

set(RELAIS_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(APPEND RELAIS_WARNINGS -Wthread-safety)
endif()
