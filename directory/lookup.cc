// From an address to accounts: exact, alias, tag, catch-all, postmaster.
#include "directory/lookup.h"

#include "message/address.h"

#include <set>
#include <unordered_set>

namespace relais::directory {
namespace {

constexpr std::string_view kPostmaster = "postmaster";  // RFC 5321 §4.5.1

/// The part before the tag, and the tag. nullopt where there is none.
std::optional<std::pair<Name, std::string>> without_tag(const Name& name, char separator) {
  if (separator == '\0') return std::nullopt;
  const auto at = name.local.find(separator);
  if (at == std::string::npos || at == 0) return std::nullopt;
  return std::pair(Name{name.local.substr(0, at), name.domain}, name.local.substr(at + 1));
}

/// Whether there is an alias of this name that has the name itself among its targets: "deliver and forward" for an account.
Result<bool> has_copies(const Txn& txn, const Name& name) {
  RELAIS_TRY(const auto value, txn.get(Table::aliases, name.key()));
  if (!value) return false;
  RELAIS_TRY(const auto targets, decode_targets(*value));
  for (const auto& target : targets) {
    RELAIS_TRY(const auto next, parse_name(target));
    if (next == name) return true;
  }
  return false;
}

/// One walk from an address along its aliases. Loops end where they meet an address that was visited.
class Walk {
 public:
  Walk(const Txn& txn, const ResolveRules& rules) : txn_(txn), rules_(rules) {}

  Result<Recipient> run(const Name& name) {
    RELAIS_TRY(const bool local, follow(name, name.text(), 0));
    if (auto tagged = without_tag(name, rules_.tag_separator); tagged && used_tag_) out_.detail = std::move(tagged->second);
    if (!out_.accounts.empty() || !out_.remote.empty()) {
      out_.kind = Recipient::Kind::accounts;
    } else if (!local) {
      out_.kind = Recipient::Kind::not_local;
    } else {
      out_.kind = disabled_ ? Recipient::Kind::disabled : Recipient::Kind::unknown;
    }
    return std::move(out_);
  }

 private:
  static std::unexpected<Error> too_far() {
    return fail(Fault::temporary, "alias leads too far", "4.3.5", "directory: alias deeper or wider than its bounds");
  }

  /// @param text  the address as it was written: what a remote target gets
  /// @return whether its domain is ours
  Result<bool> follow(const Name& name, std::string_view text, unsigned depth) {
    if (depth > kMaxAliasDepth || visited_.size() > kMaxAliasTargets) return too_far();
    if (!visited_.insert(name.key()).second) return true;
    RELAIS_TRY(bool taken, take(name, depth));
    if (taken) return true;
    RELAIS_TRY(const bool local, has_domain(txn_, name.domain));
    if (!local) {
      if (depth > 0) out_.remote.emplace_back(text);
      return false;
    }
    if (const auto tagged = without_tag(name, rules_.tag_separator)) {
      RELAIS_TRY(taken, take(tagged->first, depth));
      if (depth == 0) used_tag_ = taken;
      if (taken) return true;
    }
    RELAIS_TRY(taken, take_alias(Name{"", name.domain}, depth));
    if (!taken && name.local == kPostmaster && rules_.postmaster) RELAIS_TRY_VOID(follow(*rules_.postmaster, rules_.postmaster->text(), depth + 1));
    return true;
  }

  /// The account or alias of exactly this name, or both: an alias that names itself sends copies on besides what the account keeps.
  /// @return false where there is neither
  Result<bool> take(const Name& name, unsigned depth) {
    RELAIS_TRY(const auto account, find_account(txn_, name));
    if (account) {
      RELAIS_TRY(const bool copies, has_copies(txn_, name));
      if (!copies) return take_account(name);
    }
    return take_alias(name, depth);
  }

  Result<bool> take_account(const Name& name) {
    RELAIS_TRY(auto record, find_account(txn_, name));
    if (!record) return false;
    if (!record->account.enabled) disabled_ = true;
    else if (numbers_.insert(record->account.number).second) out_.accounts.push_back(std::move(record->account));
    return true;
  }

  Result<bool> take_alias(const Name& name, unsigned depth) {
    RELAIS_TRY(const auto value, txn_.get(Table::aliases, name.key()));
    if (!value) return false;
    RELAIS_TRY(const auto targets, decode_targets(*value));
    for (const auto& target : targets) {
      RELAIS_TRY(const auto next, parse_name(target));
      if (next == name) {
        RELAIS_TRY_VOID(take_account(name));
      } else {
        RELAIS_TRY_VOID(follow(next, target, depth + 1));
      }
    }
    return true;
  }

  const Txn& txn_;
  const ResolveRules& rules_;
  Recipient out_;
  std::set<std::string> visited_;  // keys
  std::unordered_set<AccountNumber> numbers_;
  bool disabled_ = false;
  bool used_tag_ = false;
};

}  // namespace

Result<std::optional<AccountRecord>> find_account(const Txn& txn, const Name& name) {
  const auto key = name.key();
  RELAIS_TRY(const auto value, txn.get(Table::accounts, key));
  if (!value) return std::optional<AccountRecord>{};
  RELAIS_TRY(auto record, decode_account(key, *value));
  return std::optional(std::move(record));
}

Result<std::optional<AccountRecord>> find_account(const Txn& txn, AccountNumber number) {
  RELAIS_TRY(const auto key, txn.get(Table::numbers, encode_number(number)));
  if (!key) return std::optional<AccountRecord>{};
  return find_account(txn, name_of_key(*key));
}

Result<Credential> find_credential(const Txn& txn, AccountNumber number) {
  RELAIS_TRY(const auto value, txn.get(Table::credentials, encode_number(number)));
  if (!value) return Credential{};
  return decode_credential(*value);
}

Result<Origin> find_origin(const Txn& txn, AccountNumber number) {
  RELAIS_TRY(const auto value, txn.get(Table::origins, encode_number(number)));
  if (!value) return Origin{};
  return decode_origin(*value);
}

Result<bool> has_domain(const Txn& txn, std::string_view domain) {
  RELAIS_TRY(const auto value, txn.get(Table::domains, domain));
  return value.has_value();
}

Result<Recipient> resolve_name(const Txn& txn, const ResolveRules& rules, const Name& name) {
  // Nearly every recipient is an account's own address, of which no copies are sent on: no walk for that.
  RELAIS_TRY(auto record, find_account(txn, name));
  if (!record) return Walk(txn, rules).run(name);
  RELAIS_TRY(const bool copies, has_copies(txn, name));
  if (copies) return Walk(txn, rules).run(name);
  Recipient found;
  found.kind = record->account.enabled ? Recipient::Kind::accounts : Recipient::Kind::disabled;
  if (record->account.enabled) found.accounts.push_back(std::move(record->account));
  return found;
}

Result<bool> is_name_of(const Txn& txn, const ResolveRules& rules, const Name& name, AccountNumber number) {
  RELAIS_TRY(const auto exact, find_account(txn, name));
  if (exact) return exact->account.number == number;
  RELAIS_TRY(const auto found, resolve_name(txn, rules, name));
  if (found.accounts.size() == 1 && found.remote.empty()) return found.accounts.front().number == number;
  // Its own address with a tag, although mail for it is forwarded.
  const auto tagged = without_tag(name, rules.tag_separator);
  if (!tagged) return false;
  RELAIS_TRY(const auto alias, txn.get(Table::aliases, name.key()));
  if (alias) return false;
  RELAIS_TRY(const auto base, find_account(txn, tagged->first));
  return base && base->account.number == number;
}

}  // namespace relais::directory
