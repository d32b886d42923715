
#include "spdkio/copy/crc32c_combine.hpp"

namespace spdkio::tool {
namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // CRC-32C, bits reversed

using Matrix = std::array<std::uint32_t, 32>;

std::uint32_t times(const Matrix& matrix, std::uint32_t vector) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; vector != 0; ++i, vector >>= 1) {
    if ((vector & 1) != 0) sum ^= matrix[i];
  }
  return sum;
}

Matrix squared(const Matrix& matrix) {
  Matrix square;
  for (std::size_t i = 0; i < square.size(); ++i) square[i] = times(matrix, matrix[i]);
  return square;
}

}  // namespace

// A checksum register is a vector over GF(2); one zero bit is a matrix, and `length` zero bytes its power, found by
// repeated squaring. Initial and final inversion cancel out.
Crc32cJoin::Crc32cJoin(std::uint64_t length) {
  Matrix power;  // of one zero bit
  power[0] = polynomial;
  for (std::size_t i = 1; i < power.size(); ++i) power[i] = std::uint32_t{1} << (i - 1);
  for (std::size_t i = 0; i < shift_.size(); ++i) shift_[i] = std::uint32_t{1} << i;
  for (int i = 0; i < 3; ++i) power = squared(power);  // of one zero byte
  for (; length != 0; length >>= 1, power = squared(power)) {
    if ((length & 1) == 0) continue;
    for (std::uint32_t& column : shift_) column = times(power, column);
  }
}

std::uint32_t Crc32cJoin::operator()(std::uint32_t first, std::uint32_t second) const {
  return times(shift_, first) ^ second;
}

}  // namespace spdkio::tool
