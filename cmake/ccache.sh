#!/bin/sh
# ccache.sh BINARY_DIR SOURCE_DIR COMPILER ARGS…: compiles through ccache so that checkouts in different folders share results.
# Ninja runs the compiler in BINARY_DIR; what CMake names by absolute path below it is named relative to it.
binary=$1 source=$2
shift 2
n=$#
while [ "$n" -gt 0 ]; do
  a=$1
  shift
  case $a in "$binary"/*) a=${a#"$binary"/} ;; esac
  set -- "$@" "$a"
  n=$((n - 1))
done
CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1 CCACHE_BASEDIR=$source exec ccache "$@"
