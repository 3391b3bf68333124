#!/bin/sh
# ccache.sh BINARY_DIR SOURCE_DIR COMPILER ARGS…: compiles through ccache so that checkouts in different folders share results.
# Ninja runs the compiler in BINARY_DIR; what CMake names by absolute path below it is named relative to it.
# A precompiled header holds the path of the folder it was made in, and is of no use once that is gone: it is compiled anew in each checkout.
binary=$1 source=$2
shift 2
case " $* " in *" -emit-pch "*) exec "$@" ;; esac
n=$#
while [ "$n" -gt 0 ]; do
  a=$1
  shift
  case $a in "$binary"/*) a=${a#"$binary"/} ;; esac
  set -- "$@" "$a"
  n=$((n - 1))
done
CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime CCACHE_NOHASHDIR=1 CCACHE_PCH_EXTSUM=1 CCACHE_BASEDIR=$source exec ccache "$@"
