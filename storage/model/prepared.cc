// Preparing messages.
#include "storage/model/prepared.h"

#include "storage/model/digest.h"

namespace relais::storage {

PreparedMessage::PreparedMessage(std::string_view octets, Compression compression)
    : size_(octets.size()), chunks_(encode_chunks(octets, compression)), summary_(message::summarize(octets)), digest_(model::sha256_prefix(octets)) {}

}  // namespace relais::storage
