// A controller that breaks the rules, from a table: every case ends the connection with an error that names what was
// wrong, and every command that was in flight ends.
#include <spdkio/nvme/controller.hpp>
#include <spdkio/runtime/as_result.hpp>
#include <spdkio/spec/nvm_command.hpp>
#include <spdkio/spec/tcp_pdu.hpp>

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "nvme/test_support.hpp"
#include "nvme/test_target.hpp"

namespace spdkio::nvme {
namespace {

namespace pdu = spec::tcp;
using pdu::PduType;
using test::FakeConnection;
using test::FakeTarget;

pdu::CapsuleResp response(std::uint16_t cid) {
  pdu::CapsuleResp out;
  out.common.type = PduType::capsule_resp;
  out.common.hlen = sizeof out;
  out.common.plen = static_cast<std::uint32_t>(sizeof out);
  out.completion.cid = cid;
  return out;
}

pdu::DataPdu data_header(std::uint16_t cid, std::uint32_t offset, std::uint32_t length,
                         std::uint8_t flags = pdu::pdu_flag::last_pdu) {
  pdu::DataPdu out;
  out.common.type = PduType::c2h_data;
  out.common.flags = flags;
  out.common.hlen = sizeof out;
  out.common.pdo = sizeof out;
  out.common.plen = static_cast<std::uint32_t>(sizeof out + length);
  out.cccid = cid;
  out.datao = offset;
  out.datal = length;
  return out;
}

pdu::R2t r2t(std::uint16_t cid, std::uint32_t offset, std::uint32_t length) {
  pdu::R2t out;
  out.common.type = PduType::r2t;
  out.common.hlen = sizeof out;
  out.common.plen = static_cast<std::uint32_t>(sizeof out);
  out.cccid = cid;
  out.ttag = 1;
  out.r2to = offset;
  out.r2tl = length;
  return out;
}

void send_zeroes(FakeConnection& connection, std::size_t count) {
  connection.send_bytes(std::vector<std::byte>(count));
}

struct Case {
  std::string_view name;
  bool write;  // the command that is answered wrongly: a write of 64 KiB, or a read of 4 KiB
  void (*misbehave)(FakeConnection&, const spec::Command&);
  std::string_view message;
};
std::ostream& operator<<(std::ostream& out, const Case& given) { return out << given.name; }

const Case cases[] = {
    {"ResponseToNothing", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(response(static_cast<std::uint16_t>(cmd.cid ^ 1)));
     },
     "CapsuleResp for a command that is not in flight"},
    {"ResponseWithAStaleCid", true,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(response(static_cast<std::uint16_t>(cmd.cid + 0x8000)));
     },
     "CapsuleResp for a command that is not in flight"},
    {"ResponseTooShort", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = response(cmd.cid);
       bad.common.plen = 20u;
       c.send_struct(bad);
     },
     "Invalid PDU Header Field"},
    {"ResponseTooLong", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = response(cmd.cid);
       bad.common.plen = 0xFFFF'FFFFu;
       c.send_struct(bad);
     },
     "Invalid PDU Header Field"},
    {"HeaderLengthWrong", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = response(cmd.cid);
       bad.common.hlen = 16;
       c.send_struct(bad);
     },
     "Invalid PDU Header Field"},
    {"UnknownType", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = response(cmd.cid);
       bad.common.type = static_cast<PduType>(0x77);
       c.send_struct(bad);
     },
     "Invalid PDU Header Field"},
    {"TypeThatOnlyHostsSend", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = response(cmd.cid);
       bad.common.type = PduType::capsule_cmd;
       c.send_struct(bad);
     },
     "Invalid PDU Header Field"},
    {"DigestFlagWithoutDigest", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = response(cmd.cid);
       bad.common.flags = pdu::pdu_flag::header_digest;
       c.send_struct(bad);
     },
     "Invalid PDU Header Field"},
    {"SecondIcResp", false,
     [](FakeConnection& c, const spec::Command&) {
       pdu::IcResp bad;
       bad.common.type = PduType::ic_resp;
       bad.common.hlen = sizeof bad;
       bad.common.plen = static_cast<std::uint32_t>(sizeof bad);
       bad.maxh2cdata = 8192u;
       c.send_struct(bad);
     },
     "a second ICResp"},
    {"DataForNothing", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(data_header(static_cast<std::uint16_t>(cmd.cid ^ 1), 0, 512));
       send_zeroes(c, 512);
     },
     "C2HData for a command that is not in flight"},
    {"DataForAWrite", true,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(data_header(cmd.cid, 0, 512));
       send_zeroes(c, 512);
     },
     "C2HData for a command that reads nothing"},
    {"DataOutOfOrder", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(data_header(cmd.cid, 512, 512));
       send_zeroes(c, 512);
     },
     "C2HData out of order"},
    {"DataTwice", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       for (int i = 0; i < 2; ++i) {
         c.send_struct(data_header(cmd.cid, 0, 512, 0));
         send_zeroes(c, 512);
       }
     },
     "C2HData out of order"},
    {"DataBeyondTheEnd", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(data_header(cmd.cid, 0, 8192));
       send_zeroes(c, 8192);
     },
     "beyond the end of the buffer"},
    {"DataLengthLies", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = data_header(cmd.cid, 0, 4096);
       bad.datal = 512u;
       c.send_struct(bad);
       send_zeroes(c, 4096);
     },
     "DATAL is not the length of its data"},
    {"SuccessBeforeTheLast", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(data_header(cmd.cid, 0, 512, pdu::pdu_flag::success));
       send_zeroes(c, 512);
     },
     "SUCCESS but not LAST_PDU"},
    {"DataOffsetInsideTheHeader", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       auto bad = data_header(cmd.cid, 0, 512);
       bad.common.pdo = 8;
       c.send_struct(bad);
       send_zeroes(c, 512);
     },
     "Invalid PDU Header Field"},
    {"R2tForARead", false, [](FakeConnection& c, const spec::Command& cmd) { c.send_struct(r2t(cmd.cid, 0, 512)); },
     "R2T for a command that writes nothing"},
    {"R2tForNothing", true,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(r2t(static_cast<std::uint16_t>(cmd.cid ^ 1), 0, 512));
     },
     "R2T for a command that is not in flight"},
    {"R2tOutOfOrder", true, [](FakeConnection& c, const spec::Command& cmd) { c.send_struct(r2t(cmd.cid, 4096, 512)); },
     "R2T for data out of order"},
    {"R2tBeyondTheEnd", true,
     [](FakeConnection& c, const spec::Command& cmd) { c.send_struct(r2t(cmd.cid, 0, 65537)); },
     "R2T for data out of order or beyond the end"},
    {"R2tOfNothing", true, [](FakeConnection& c, const spec::Command& cmd) { c.send_struct(r2t(cmd.cid, 0, 0)); },
     "R2T for data out of order or beyond the end"},
    {"R2tTwice", true,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(r2t(cmd.cid, 0, 65536));
       c.send_struct(r2t(cmd.cid, 0, 65536));
     },
     "R2T for data out of order or beyond the end"},
    {"TerminationRequest", false,
     [](FakeConnection& c, const spec::Command&) {
       pdu::TermReq bad;
       bad.common.type = PduType::c2h_term_req;
       bad.common.hlen = sizeof bad;
       bad.common.plen = static_cast<std::uint32_t>(sizeof bad);
       bad.fes = std::uint16_t{2};
       c.send_struct(bad);
     },
     "the controller ended the connection"},
    {"HalfAResponse", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       const auto whole = response(cmd.cid);
       c.send_bytes(std::as_bytes(std::span(&whole, 1)).first(13));
       c.hang_up();
     },
     "the controller closed the connection"},
    {"HalfTheData", false,
     [](FakeConnection& c, const spec::Command& cmd) {
       c.send_struct(data_header(cmd.cid, 0, 4096));
       send_zeroes(c, 100);
       c.hang_up();
     },
     "the controller closed the connection"},
    {"HangUp", true, [](FakeConnection& c, const spec::Command&) { c.hang_up(); }, "connection"},
};

class ProtocolErrorTest : public test::NvmeTest, public ::testing::WithParamInterface<Case> {};

TEST_P(ProtocolErrorTest, EndsTheConnectionWithAReason) {
  FakeTarget target;
  const Case& given = GetParam();
  const auto opcode = given.write ? spec::NvmOpcode::write : spec::NvmOpcode::read;
  target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
    if (connection.qid() != 1 || command.opcode != spec::raw(opcode)) return false;
    given.misbehave(connection, command);
    return true;
  });
  ControllerOptions options;
  options.reconnect.enabled = false;
  with_controller(target, options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(given.write ? 65536 : 4096);
    const LbaRange range{Lba{0}, BlockCount{data.size() / 512}};
    auto operation = given.write ? ns.write(qpair, data, range) : ns.read(qpair, data, range);
    const auto done = co_await as_result(operation);
    EXPECT_FALSE(done);
    if (!done) {
      EXPECT_NE(std::string_view(done.error().what()).find(given.message), std::string_view::npos)
          << done.error().what();
      EXPECT_EQ(done.error().outcome(), Outcome::may_have_executed);
    }
    EXPECT_EQ(controller.state(), ControllerState::failed);
  });
}

INSTANTIATE_TEST_SUITE_P(Tcp, ProtocolErrorTest, ::testing::ValuesIn(cases),
                         [](const auto& one) { return std::string(one.param.name); });

class HandshakeTest : public test::NvmeTest {};

TEST_F(HandshakeTest, RefusesWhatCanNotBe) {
  struct Answer {
    void (*edit)(pdu::IcResp&);
    std::string_view message;
  };
  for (const Answer& answer : {
           Answer{[](pdu::IcResp& r) { r.pfv = std::uint16_t{1}; }, "unknown PDU format version"},
           Answer{[](pdu::IcResp& r) { r.cpda = 32; }, "CPDA beyond 31"},
           Answer{[](pdu::IcResp& r) { r.maxh2cdata = 4092u; }, "MAXH2CDATA"},
           Answer{[](pdu::IcResp& r) { r.dgst = pdu::dgst_header; }, "digests header on"},
           Answer{[](pdu::IcResp& r) { r.common.plen = 127u; }, "Invalid PDU Header Field"},
           Answer{[](pdu::IcResp& r) { r.common.type = PduType::capsule_resp; }, "Invalid PDU Header Field"},
       }) {
    FakeTarget target;
    target.on_ic_req = [&](FakeConnection& connection) {
      pdu::IcResp response;
      response.common.type = PduType::ic_resp;
      response.common.hlen = sizeof response;
      response.common.plen = static_cast<std::uint32_t>(sizeof response);
      response.maxh2cdata = 8192u;
      answer.edit(response);
      connection.send_struct(response);
    };
    const auto connect = [&]() -> Task<> {
      const TransportId id = target.id();
      auto connecting = Controller::connect(id);
      Controller controller = co_await std::move(connecting);
    };
    const Error error = test::failure_of(connect());
    EXPECT_NE(std::string_view(error.what()).find(answer.message), std::string_view::npos) << error.what();
  }
}

TEST_F(HandshakeTest, DigestErrorsOfData) {
  test::FakeTargetOptions options;
  options.data_digest = true;
  FakeTarget target(options);
  std::atomic<int> wrong{1};
  target.set_hook([&](FakeConnection& connection, const spec::Command& command) {
    if (connection.qid() != 1 || command.opcode != spec::raw(spec::NvmOpcode::read)) return false;
    if (wrong.fetch_sub(1) <= 0) return false;
    auto header =
        data_header(command.cid, 0, 512, pdu::pdu_flag::last_pdu | pdu::pdu_flag::success | pdu::pdu_flag::data_digest);
    header.common.plen = header.common.plen + 4;
    connection.send_struct(header);
    send_zeroes(connection, 512 + 4);  // whose CRC is not zero
    return true;
  });
  ControllerOptions controller_options;
  controller_options.data_digest = true;
  with_controller(target, controller_options, [&](Controller& controller, Qpair& qpair, Namespace ns) -> Task<> {
    DmaBuf data(512);
    auto reading = ns.read(qpair, data, {Lba{0}, BlockCount{1}});
    co_await reading;  // sent again
    EXPECT_EQ(controller.connections(), 1u);
  });
  EXPECT_LT(wrong, 0);
  EXPECT_NE(log_text().find("data digest error"), std::string::npos);
}

}  // namespace
}  // namespace spdkio::nvme
