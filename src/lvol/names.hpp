// What stores and volumes are called on the disk: xattrs that end with a zero byte.
#pragma once

#include <spdkio/blob/blob.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace spdkio::lvol {

/// Throws Misuse::invalid_argument for what SPDK could not take as a name.
void check_name(const std::string& name);

std::span<const std::byte> with_zero(const std::string& text);

/// A text xattr, up to its first zero byte: SPDK fills the name of a new volume up with zeros to 64 bytes. Empty when
/// there is none, or it does not end with a zero.
std::string text_xattr(const blob::Blob& blob, std::string_view name);

}  // namespace spdkio::lvol
