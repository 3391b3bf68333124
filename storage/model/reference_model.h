// The mailbox model in its simplest form, for tests: maps of maps, no storage, no mod-sequences.
#pragma once

#include "storage/store.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace relais::storage::testing {

struct RefMessage {
  std::string content;
  FlagBits system_flags = 0;
  std::set<std::string> keywords;
  std::int64_t internal_date = 0;
  std::string uidl;
  friend bool operator==(const RefMessage&, const RefMessage&) = default;
};

struct RefMailbox {
  Uid uid_next = 1;
  bool selectable = true;
  std::uint8_t special_use = 0;
  std::map<Uid, RefMessage> messages;
  friend bool operator==(const RefMailbox&, const RefMailbox&) = default;
};

/// One account. Each operation returns the refusal's code, or an empty text where it was done; a refused one changes nothing.
struct ReferenceModel {
  std::map<std::string, RefMailbox> mailboxes;
  std::set<std::string> subscribed;
  std::map<std::string, std::pair<std::string, std::vector<Uid>>> once;  ///< id → mailbox and UIDs of the append
  std::uint64_t octets_limit = 0;
  std::uint64_t messages_limit = 0;

  ReferenceModel();

  struct NewMessage {
    RefMessage message;
    std::optional<Uid> uid;
  };
  std::string append(const std::string& mailbox, const std::vector<NewMessage>& messages, bool create_missing, const std::string& once_id,
                     std::vector<Uid>& uids);
  /// `refused`: UIDs that unchanged_since protects.
  void store_flags(const std::string& mailbox, const NumberSet& uids, const NumberSet& refused, FlagOperation operation, FlagBits system_flags,
                   const std::set<std::string>& keywords);
  void expunge(const std::string& mailbox, const std::optional<NumberSet>& uids, bool any_flag, NumberSet& expunged);
  std::string copy(const std::string& from, const NumberSet& uids, const std::string& to, bool move, std::vector<std::pair<Uid, Uid>>& pairs);
  std::string create(const std::string& name, std::uint8_t special_use);
  std::string rename(const std::string& from, const std::string& to);
  std::string remove(const std::string& name);

  std::uint64_t octets() const;
  std::uint64_t messages() const;
  bool has_children(const std::string& name) const;

 private:
  bool fits(std::uint64_t more_octets, std::uint64_t more_messages) const;
  void make_parents(const std::string& name);
};

}  // namespace relais::storage::testing
