#include <spdkio/nvme/transport_id.hpp>

#include <spdkio/base/error.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace spdkio::nvme {
namespace {

std::string refusal(std::string_view text) {
  try {
    (void)TransportId::parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), make_error_code(Misuse::invalid_argument));
    return error.message();
  }
  ADD_FAILURE() << "accepted: " << text;
  return {};
}

TEST(TransportId, ParsesAllKeys) {
  const auto id = TransportId::parse(
      "trtype:TCP adrfam:IPv4 traddr:192.0.2.7 trsvcid:4420 subnqn:nqn.2026-11.io.spdkio:disk0 hostaddr:192.0.2.1 "
      "hostsvcid:5000 priority:3");
  EXPECT_EQ(id.trtype, TransportType::tcp);
  EXPECT_EQ(id.adrfam, AddressFamily::ipv4);
  EXPECT_EQ(id.traddr, "192.0.2.7");
  EXPECT_EQ(id.port(), 4420);
  EXPECT_EQ(id.subnqn, "nqn.2026-11.io.spdkio:disk0");
  EXPECT_EQ(id.hostaddr, "192.0.2.1");
  EXPECT_EQ(id.hostsvcid, "5000");
  EXPECT_EQ(id.priority, 3);
}

TEST(TransportId, TakesOtherSpellings) {
  const auto id = TransportId::parse("\tTRTYPE=tcp\n traddr=[2001:db8::1]  trsvcid=1 ");
  EXPECT_EQ(id.trtype, TransportType::tcp);
  EXPECT_EQ(id.traddr, "2001:db8::1");
  EXPECT_EQ(id.adrfam, AddressFamily::ipv6);
  EXPECT_EQ(TransportId::parse("trtype:rdma traddr:::1 trsvcid:4420").traddr, "::1");
  EXPECT_EQ(TransportId::parse("trtype:TCP traddr:storage.example.org trsvcid:4420").adrfam,
            AddressFamily::unspecified);
  EXPECT_EQ(TransportId::parse("trtype:pcie traddr:01:00.0").traddr, "0000:01:00.0");
  EXPECT_EQ(TransportId::parse("trtype:PCIe traddr:10000:AB:1f.7").traddr, "10000:ab:1f.7");
}

TEST(TransportId, PrintsWhatItParses) {
  for (const std::string text : {
           "trtype:PCIe traddr:0000:01:00.0",
           "trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420",
           "trtype:TCP adrfam:IPv6 traddr:fe80::1%eth0 trsvcid:4420 subnqn:nqn.2014-08.org.nvmexpress.discovery",
           "trtype:RDMA adrfam:IPv4 traddr:10.0.0.1 trsvcid:1 hostaddr:10.0.0.2 hostsvcid:2 priority:-1",
       }) {
    const auto id = TransportId::parse(text);
    EXPECT_EQ(id.to_string(), text);
    EXPECT_EQ(TransportId::parse(id.to_string()), id);
  }
}

TEST(TransportId, MadeByHand) {
  const auto id = TransportId::tcp("[::1]", 4420, "nqn.2026-11.io.spdkio:disk0");
  EXPECT_EQ(id.to_string(), "trtype:TCP adrfam:IPv6 traddr:::1 trsvcid:4420 subnqn:nqn.2026-11.io.spdkio:disk0");
  EXPECT_EQ(TransportId::pcie("0000:5e:00.0").to_string(), "trtype:PCIe traddr:0000:5e:00.0");
  EXPECT_THROW(TransportId::tcp("", 4420), Error);
  EXPECT_THROW(TransportId::tcp("two words", 4420), Error);
  EXPECT_THROW(TransportId::pcie("0000:01:20.0"), Error);
}

TEST(TransportId, SaysWhatIsWrong) {
  struct Case {
    std::string_view text;
    std::string_view part;
  };
  for (const Case& wrong : {
           Case{"", "trtype is missing"},
           Case{"traddr:127.0.0.1", "trtype is missing"},
           Case{"trtype:TCP trtype:TCP", "trtype stands twice"},
           Case{"trtype:carrier_pigeon", "'carrier_pigeon' is unknown"},
           Case{"trtype:TCP colour:red", "'colour' at position 11 is unknown"},
           Case{"trtype:TCP nonsense", "'nonsense' at position 11 is not of the form"},
           Case{"trtype:TCP traddr: trsvcid:1", "traddr has no value"},
           Case{"trtype:TCP trsvcid:1", "traddr has 0 characters"},
           Case{"trtype:TCP traddr:127.0.0.1", "trsvcid is missing"},
           Case{"trtype:TCP traddr:127.0.0.1 trsvcid:65536", "'65536' is not a port"},
           Case{"trtype:TCP traddr:127.0.0.1 trsvcid:44x0", "'44x0' is not a port"},
           Case{"trtype:TCP traddr:127.0.0.1 trsvcid:1 adrfam:IPv9", "adrfam 'IPv9' is unknown"},
           Case{"trtype:TCP traddr:127.0.0.1 trsvcid:1 adrfam:IPv6", "is no IPv6 address"},
           Case{"trtype:TCP traddr:127.0.0.1 trsvcid:1 subnqn:disk0", "subnqn 'disk0'"},
           Case{"trtype:TCP traddr:127.0.0.1 trsvcid:1 priority:high", "priority 'high' is not a number"},
           Case{"trtype:PCIe traddr:first", "no PCI address"},
           Case{"trtype:PCIe traddr:0000:00:00.8", "no PCI address"},
       }) {
    EXPECT_NE(refusal(wrong.text).find(wrong.part), std::string::npos) << wrong.text << " -> " << refusal(wrong.text);
  }
  EXPECT_NE(refusal(std::string(5000, ' ')).find("too many"), std::string::npos);
}

TEST(TransportId, MessagesCarryNoControlCharacters) {
  const std::string message = refusal("trtype:\x1b[2J");
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace spdkio::nvme
