#include <spdkio/spec/tcp_pdu.hpp>

#include <gtest/gtest.h>

namespace spdkio::spec::tcp {
namespace {

constexpr ReceiveRules host_rules{.from_host = true, .max_capsule_data = 4096, .max_data = 131072};

CommonHeader header(PduType type, std::uint8_t hlen, std::uint32_t plen, std::uint8_t pdo = 0, std::uint8_t flags = 0) {
  CommonHeader out;
  out.type = type;
  out.flags = flags;
  out.hlen = hlen;
  out.pdo = pdo;
  out.plen = plen;
  return out;
}

TEST(TcpPdu, LayoutOfACapsuleWithDigestsAndPadding) {
  ReceiveRules rules = host_rules;
  rules.header_digest = rules.data_digest = true;
  rules.alignment = 64;
  const auto [layout, violation] = check_header(header(PduType::capsule_cmd, 72, 128 + 512 + 4, 128, 3), rules);
  ASSERT_FALSE(violation);
  EXPECT_EQ(layout.header_bytes, 76u);
  EXPECT_EQ(layout.padding, 52u);
  EXPECT_EQ(layout.data_bytes, 512u);
  EXPECT_TRUE(layout.header_digest && layout.data_digest);
  EXPECT_EQ(layout.total(), 644u);
}

TEST(TcpPdu, EverySideHearsOnlyTheOther) {
  ReceiveRules controller_rules;
  for (const PduType type :
       {PduType::ic_resp, PduType::c2h_term_req, PduType::capsule_resp, PduType::c2h_data, PduType::r2t}) {
    EXPECT_EQ(check_header(header(type, 24, 24), host_rules).violation,
              (Violation{FatalError::invalid_header_field, 0}));
  }
  for (const PduType type : {PduType::ic_req, PduType::h2c_term_req, PduType::capsule_cmd, PduType::h2c_data}) {
    EXPECT_EQ(check_header(header(type, 24, 24), controller_rules).violation,
              (Violation{FatalError::invalid_header_field, 0}));
  }
  EXPECT_FALSE(check_header(header(PduType::r2t, 24, 24), controller_rules).violation);
  EXPECT_FALSE(
      check_header(header(PduType::c2h_data, 24, 24 + 4096, 24, pdu_flag::last_pdu), controller_rules).violation);
}

// Whatever 16 bits of type and flags, the layout that is accepted adds up to the length that was announced.
TEST(TcpPdu, AcceptedLayoutsAddUp) {
  for (const bool digests : {false, true}) {
    for (unsigned type = 0; type < 256; ++type) {
      for (unsigned flags = 0; flags < 16; ++flags) {
        for (const std::uint8_t hlen : {0, 24, 72, 128}) {
          for (const std::uint32_t plen : {0u, 24u, 28u, 72u, 76u, 100u, 128u, 4000u, 0xFFFFFFFFu}) {
            for (const std::uint8_t pdo : {0, 24, 28, 72, 76, 252}) {
              for (const bool from_host : {false, true}) {
                const ReceiveRules rules{
                    .from_host = from_host, .header_digest = digests, .data_digest = digests, .max_capsule_data = 4096};
                const auto checked = check_header(
                    header(static_cast<PduType>(type), hlen, plen, pdo, static_cast<std::uint8_t>(flags)), rules);
                if (!checked.violation) EXPECT_EQ(checked.layout.total(), plen);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace spdkio::spec::tcp
