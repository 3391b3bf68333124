// Where things lie in a platform's directory.
#pragma once

#include <filesystem>
#include <string>

namespace relais::admin {

/// DIR/relais.toml          configuration
/// DIR/tls/                 certificate.pem, key.pem (as made by init; the configuration may name others)
/// DIR/data/directory/      the directory's LMDB environment
/// DIR/data/shards/NNN/     one folder per shard: index/ and segments/
/// DIR/data/spool/          messages too large for memory while they arrive, most often without a name; emptied at each start
/// DIR/data/queue/qNNN/     one folder per shard of the queue
/// DIR/data/trace/          what happened to each message: YYYYMMDDHH.log (UTC)
/// DIR/data/migrate/        what moves of accounts have come to
/// DIR/data/outbound/       policies and TLS reports of other domains, what accounts have sent lately
/// DIR/run/lock             held by the one process that has the data open
/// DIR/run/admin.sock       where the running platform takes administrative commands
struct Layout {
  explicit Layout(std::filesystem::path dir) : root(std::move(dir)) {}
  std::filesystem::path root;
  std::filesystem::path config() const { return root / "relais.toml"; }
  std::filesystem::path certificate() const { return root / "tls" / "certificate.pem"; }
  std::filesystem::path key() const { return root / "tls" / "key.pem"; }
  std::filesystem::path data() const { return root / "data"; }
  std::filesystem::path spool() const { return data() / "spool"; }
  std::filesystem::path trace() const { return data() / "trace"; }
  std::filesystem::path migrate() const { return data() / "migrate"; }
  std::filesystem::path outbound() const { return data() / "outbound"; }
  std::filesystem::path sending() const { return outbound() / "sending"; }
  std::filesystem::path run() const { return root / "run"; }
  std::filesystem::path lock() const { return run() / "lock"; }
  std::filesystem::path socket() const { return run() / "admin.sock"; }
};

}  // namespace relais::admin
