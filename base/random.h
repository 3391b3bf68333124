// Random octets from the kernel.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace relais {

/// Fills the span with octets fit for keys. Threads: any. Never fails (a kernel without getrandom ends the process).
void random_octets(std::span<unsigned char> out) noexcept;
/// n octets.
std::string random_octets(std::size_t n);
/// n characters of [a-z0-9], each uniformly chosen: about 5.17 bits a character.
std::string random_id(std::size_t n);

}  // namespace relais
