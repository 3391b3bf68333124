// Verifies everything that a shard holds: entries, blob rows, segments, records.
#pragma once

#include "storage/engine.h"
#include "storage/engine/index.h"
#include "storage/engine/layers.h"
#include "storage/engine/segments.h"

namespace relais::storage {

/// As Engine::check(): one consistent view, every entry's checksum, every record with its chunks decompressed, and that the
/// segments' counters agree with what lies in them. Blocks for as long as reading everything takes.
Result<CheckReport> check_shard(const Index& index, const TableSet& tables, const SegmentFolder& folder);

}  // namespace relais::storage
