// Takes the reply and forward marks off a subject.
#include "message/base_subject.h"

#include "base/ascii.h"
#include "message/decode.h"

namespace relais::message {
namespace {

constexpr std::string_view kForward = "[fwd:";

// RFC 5256 §2.1 step 1: tabs and runs of spaces become one space. The result is trimmed, which steps 2 and 3 would do bit by bit.
std::string collapse(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (!ascii_wsp(c))
      out.push_back(c);
    else if (!out.empty() && out.back() != ' ')
      out.push_back(' ');
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

void trim_front(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
}
void trim_back(std::string_view& text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
}

// subj-blob = "[" *BLOBCHAR "]" *WSP; BLOBCHAR has no brackets. Takes one off.
bool take_blob(std::string_view& text) {
  if (!text.starts_with('[')) return false;
  const auto end = text.find_first_of("[]", 1);
  if (end == std::string_view::npos || text[end] == '[') return false;
  text.remove_prefix(end + 1);
  trim_front(text);
  return true;
}

// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
bool take_refwd(std::string_view& text) {
  std::string_view rest = text;
  if (istarts_with(rest, "re"))
    rest.remove_prefix(2);
  else if (istarts_with(rest, "fwd"))
    rest.remove_prefix(3);
  else if (istarts_with(rest, "fw"))
    rest.remove_prefix(2);
  else
    return false;
  trim_front(rest);
  take_blob(rest);
  if (!rest.starts_with(':')) return false;
  rest.remove_prefix(1);
  trim_front(rest);
  text = rest;
  return true;
}

// subj-leader = (*subj-blob subj-refwd) / WSP: step 3. A run of blobs counts only if a refwd follows; looking at each run once keeps it
// linear.
bool take_leader(std::string_view& text) {
  std::string_view rest = text;
  while (take_blob(rest)) {
  }
  if (!take_refwd(rest)) return false;
  text = rest;
  return true;
}

// Steps 2 to 5.
bool strip(std::string_view& text) {
  bool reply = false;
  for (;;) {
    trim_back(text);
    if (text.size() >= 5 && iequals(text.substr(text.size() - 5), "(fwd)")) {  // subj-trailer
      text.remove_suffix(5);
      reply = true;
      continue;
    }
    break;
  }
  trim_front(text);
  while (take_leader(text)) reply = true;
  // Step 4: blobs go as long as something is left.
  for (std::string_view rest = text; take_blob(rest) && !rest.empty();) {
    text = rest;
    if (take_refwd(text)) {  // step 5: again from step 3
      reply = true;
      while (take_leader(text)) {
      }
      rest = text;
    }
  }
  return reply;
}

}  // namespace

std::string base_subject(std::string_view value, bool* is_reply) {
  const std::string subject = collapse(decode_words(value));
  std::string_view text = subject;
  bool reply = strip(text);
  // Step 6: "[fwd: … ]" around it all.
  while (text.size() > kForward.size() && istarts_with(text, kForward) && text.ends_with(']')) {
    text.remove_prefix(kForward.size());
    text.remove_suffix(1);
    strip(text);
    reply = true;
  }
  if (is_reply) *is_reply = reply;
  return std::string(text);
}

}  // namespace relais::message
