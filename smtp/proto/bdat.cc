// BDAT.
#include "smtp/proto/bdat.h"

#include "base/ascii.h"

namespace relais::smtp {

// bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF; chunk-size = 1*DIGIT; end-marker = "LAST"     RFC 3030 §2
Result<BdatArgs> parse_bdat(std::string_view rest) {
  BdatArgs args;
  const auto space = rest.find(' ');
  const auto size = parse_u64(rest.substr(0, space));
  if (!size) return fail(Fault::syntax, "expected BDAT size [LAST]", "5.5.4");
  args.size = *size;
  if (space != std::string_view::npos) {
    if (!iequals(trim(rest.substr(space)), "LAST")) return fail(Fault::syntax, "expected BDAT size [LAST]", "5.5.4");
    args.last = true;
  }
  return args;
}

}  // namespace relais::smtp
