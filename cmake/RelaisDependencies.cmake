# Libraries: all of them Debian 12 packages (./dev deps installs them).
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET libidn2)
pkg_check_modules(ARGON2 REQUIRED IMPORTED_TARGET libargon2)
pkg_check_modules(GSASL REQUIRED IMPORTED_TARGET libgsasl)
pkg_check_modules(CRYPT REQUIRED IMPORTED_TARGET libcrypt)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(TOMLPP REQUIRED IMPORTED_TARGET tomlplusplus)

# Boost.Asio is compiled once, in net/asio_impl.cc; every user sees declarations only.
find_package(Boost 1.81 REQUIRED)
add_library(relais_asio INTERFACE)
target_compile_definitions(relais_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(relais_asio INTERFACE Boost::headers Threads::Threads)

# The two precompiled headers: the standard library alone, and with Asio.
file(WRITE ${CMAKE_BINARY_DIR}/pch_anchor.cc "// carries a precompiled header\n")
add_library(relais_pch_std OBJECT ${CMAKE_BINARY_DIR}/pch_anchor.cc)
target_precompile_headers(relais_pch_std PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch_std.h)
target_compile_options(relais_pch_std PRIVATE ${RELAIS_WARNINGS})
add_library(relais_pch_asio OBJECT ${CMAKE_BINARY_DIR}/pch_anchor.cc)
target_precompile_headers(relais_pch_asio PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch_asio.h)
target_compile_options(relais_pch_asio PRIVATE ${RELAIS_WARNINGS})
target_link_libraries(relais_pch_asio PUBLIC relais_asio)

# ccache identifies a precompiled header by the .sum beside it, here made of what goes into it: the compiled file itself holds paths of this
# build folder and would never match another one's.
foreach(kind std asio)
  file(READ ${CMAKE_SOURCE_DIR}/cmake/pch_${kind}.h text)
  string(SHA256 sum "${text};${CMAKE_CXX_COMPILER_VERSION};${Boost_VERSION};${CMAKE_CXX_FLAGS_RELWITHDEBINFO};${RELAIS_SANITIZE};${RELAIS_FUZZ};${RELAIS_WARNINGS}")
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/relais_pch_${kind}.dir/cmake_pch.hxx.pch.sum ${sum})
endforeach()
