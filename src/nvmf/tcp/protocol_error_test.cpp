// What hosts that break the protocol get: one table. After each case a host that keeps to it must be served as before.
#include <spdkio/base/crc32c.hpp>

#include <functional>
#include <ostream>

#include "nvmf/test_fixture.hpp"

namespace spdkio::nvmf::test {
namespace {

using namespace spec::tcp;

/// How far the host was when it went wrong.
enum class Point { at_once, after_handshake, after_connect };

struct Case {
  std::string name;
  Point point;
  std::function<void(RawHost&)> offend;
  /// What the C2HTermReq says; none: the connection goes without one.
  std::optional<Violation> expected;
};
[[maybe_unused]] void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

template <class T>
Bytes bytes_of(const T& value) {
  const auto bytes = std::as_bytes(std::span<const T, 1>(&value, 1));
  return {bytes.begin(), bytes.end()};
}

IcReq ic_req() {
  IcReq request;
  request.common.type = PduType::ic_req;
  request.common.hlen = sizeof request;
  request.common.plen = static_cast<std::uint32_t>(sizeof request);
  return request;
}

CapsuleCmd capsule(std::uint32_t data = 0) {
  CapsuleCmd pdu;
  pdu.common.type = PduType::capsule_cmd;
  pdu.common.hlen = sizeof pdu;
  pdu.common.pdo = data != 0 ? sizeof pdu : 0;
  pdu.common.plen = static_cast<std::uint32_t>(sizeof pdu + data);
  pdu.command = spec::nvm::flush(1);
  pdu.command.cid = std::uint16_t{500};
  return pdu;
}

DataPdu h2c(std::uint16_t cid, std::uint16_t ttag, std::uint32_t offset, std::uint32_t length) {
  DataPdu pdu;
  pdu.common.type = PduType::h2c_data;
  pdu.common.hlen = sizeof pdu;
  pdu.common.pdo = sizeof pdu;
  pdu.common.plen = static_cast<std::uint32_t>(sizeof pdu + length);
  pdu.cccid = cid;
  pdu.ttag = ttag;
  pdu.datao = offset;
  pdu.datal = length;
  return pdu;
}

/// Asks to write 8 KiB and gives the tag of the R2T.
std::uint16_t begin_write(RawHost& host, std::uint16_t* cid) {
  spec::Command command = spec::nvm::write(1, {Lba{0}, BlockCount{16}});
  command.flags = 0x40;
  command.set_sgl(spec::SglDescriptor::transport_data(8192));
  *cid = host.submit(command);
  const auto pdu = host.receive();
  EXPECT_TRUE(pdu && pdu->type() == PduType::r2t);
  return pdu->as<R2t>().ttag;
}

template <class Edit>
std::function<void(RawHost&)> handshake_with(Edit edit) {
  return [edit](RawHost& host) {
    IcReq request = ic_req();
    edit(request);
    host.send(request);
  };
}
template <class Edit>
std::function<void(RawHost&)> capsule_with(Edit edit, std::uint32_t data = 0) {
  return [edit, data](RawHost& host) {
    CapsuleCmd pdu = capsule(data);
    edit(pdu);
    host.send(pdu);
    host.send(Bytes(data));
  };
}
/// `edit` gets the H2CData that would be right for the first 4 KiB.
template <class Edit>
std::function<void(RawHost&)> data_with(Edit edit) {
  return [edit](RawHost& host) {
    std::uint16_t cid = 0;
    const std::uint16_t ttag = begin_write(host, &cid);
    DataPdu pdu = h2c(cid, ttag, 0, 4096);
    edit(pdu);
    host.send(pdu);
    host.send(Bytes(4096));
  };
}

constexpr auto header_field = FatalError::invalid_header_field;

std::vector<Case> cases() {
  return {
      // ---- the handshake
      {"capsule before the handshake", Point::at_once, capsule_with([](CapsuleCmd&) {}),
       Violation{FatalError::sequence_error, 0}},
      {"data before the handshake", Point::at_once,
       [](RawHost& h) {
         h.send(h2c(0, 0, 0, 4096));
         h.send(Bytes(4096));
       },
       Violation{FatalError::sequence_error, 0}},
      {"ICReq of another version", Point::at_once, handshake_with([](IcReq& r) { r.pfv = std::uint16_t{1}; }),
       Violation{FatalError::unsupported_parameter, 8}},
      {"ICReq with an alignment that can't be", Point::at_once, handshake_with([](IcReq& r) { r.hpda = 32; }),
       Violation{header_field, 10}},
      {"ICReq with a wrong header length", Point::at_once, handshake_with([](IcReq& r) { r.common.hlen = 64; }),
       Violation{header_field, 2}},
      {"ICReq with a wrong length", Point::at_once, handshake_with([](IcReq& r) { r.common.plen = 129u; }),
       Violation{header_field, 4}},
      {"ICReq of no length", Point::at_once, handshake_with([](IcReq& r) { r.common.plen = 0u; }),
       Violation{header_field, 4}},
      {"ICReq that claims a digest", Point::at_once, handshake_with([](IcReq& r) { r.common.flags = 1; }),
       Violation{header_field, 1}},
      {"ICResp from a host", Point::at_once, handshake_with([](IcReq& r) { r.common.type = PduType::ic_resp; }),
       Violation{header_field, 0}},
      {"PDU type that does not exist", Point::at_once,
       handshake_with([](IcReq& r) { r.common.type = static_cast<PduType>(0x55); }), Violation{header_field, 0}},
      {"second ICReq", Point::after_handshake, handshake_with([](IcReq&) {}), Violation{FatalError::sequence_error, 0}},
      {"HTTP", Point::at_once,
       [](RawHost& h) { h.send(std::as_bytes(std::span("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))); },
       Violation{header_field, 0}},

      // ---- capsules
      {"capsule with a wrong header length", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.hlen = 24; }), Violation{header_field, 2}},
      {"capsule shorter than its header", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.plen = 71u; }), Violation{header_field, 4}},
      {"capsule of 4 GiB", Point::after_connect, capsule_with([](CapsuleCmd& p) {
         p.common.plen = 0xFFFF'FFFFu;
         p.common.pdo = 72;
       }),
       Violation{FatalError::limit_exceeded, 0}},
      {"capsule with more data than fits", Point::after_connect, capsule_with([](CapsuleCmd&) {}, 4100),
       Violation{FatalError::limit_exceeded, 0}},
      {"capsule whose data begins in its header", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.pdo = 68; }, 512), Violation{header_field, 3}},
      {"capsule whose data is not aligned", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.pdo = 74; }, 512), Violation{header_field, 3}},
      {"capsule whose data begins behind its end", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.pdo = 252; }, 100), Violation{header_field, 4}},
      {"capsule that claims a header digest", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.flags = 1; }), Violation{header_field, 1}},
      {"capsule that claims a data digest", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.flags = 2; }, 512), Violation{header_field, 1}},
      {"capsule without data that claims a data digest", Point::after_connect,
       capsule_with([](CapsuleCmd& p) { p.common.flags = 2; }), Violation{header_field, 1}},
      {"response from a host", Point::after_connect,
       [](RawHost& h) {
         CapsuleResp pdu;
         pdu.common.type = PduType::capsule_resp;
         pdu.common.hlen = 24;
         pdu.common.plen = 24u;
         h.send(pdu);
       },
       Violation{header_field, 0}},
      {"R2T from a host", Point::after_connect,
       [](RawHost& h) {
         R2t pdu;
         pdu.common.type = PduType::r2t;
         pdu.common.hlen = 24;
         pdu.common.plen = 24u;
         h.send(pdu);
       },
       Violation{header_field, 0}},
      {"more commands than the queue holds", Point::after_connect,
       [](RawHost& h) {
         for (std::uint16_t i = 0; i < 64; ++i) {
           spec::Command command = spec::nvm::write(1, {Lba{0}, BlockCount{16}});
           command.flags = 0x40;
           command.set_sgl(spec::SglDescriptor::transport_data(8192));
           h.submit(command);
         }
       },
       Violation{FatalError::sequence_error, 0}},

      // ---- data
      {"data that nobody asked for", Point::after_connect,
       [](RawHost& h) {
         h.send(h2c(1, 0, 0, 4096));
         h.send(Bytes(4096));
       },
       Violation{header_field, 10}},
      {"data for a tag that can't be", Point::after_connect,
       data_with([](DataPdu& p) { p.ttag = std::uint16_t{0xFFFF}; }), Violation{header_field, 10}},
      {"data for another command", Point::after_connect,
       data_with([](DataPdu& p) { p.cccid = static_cast<std::uint16_t>(p.cccid.value() + 1); }),
       Violation{header_field, 8}},
      {"data at the wrong offset", Point::after_connect, data_with([](DataPdu& p) { p.datao = 4096u; }),
       Violation{FatalError::data_out_of_range, 0}},
      {"data at an offset near the end of numbers", Point::after_connect,
       data_with([](DataPdu& p) { p.datao = 0xFFFF'F000u; }), Violation{FatalError::data_out_of_range, 0}},
      {"data of another length than it says", Point::after_connect, data_with([](DataPdu& p) { p.datal = 4095u; }),
       Violation{header_field, 16}},
      {"data that ends early", Point::after_connect, data_with([](DataPdu& p) { p.common.flags = pdu_flag::last_pdu; }),
       Violation{FatalError::sequence_error, 0}},
      {"more data than was asked for", Point::after_connect,
       [](RawHost& h) {
         std::uint16_t cid = 0;
         const std::uint16_t ttag = begin_write(h, &cid);
         h.send(h2c(cid, ttag, 0, 16384));
         h.send(Bytes(16384));
       },
       Violation{FatalError::data_out_of_range, 0}},
      {"data PDU above MAXH2CDATA", Point::after_connect,
       [](RawHost& h) {
         std::uint16_t cid = 0;
         const std::uint16_t ttag = begin_write(h, &cid);
         h.send(h2c(cid, ttag, 0, 131076));
       },
       Violation{FatalError::limit_exceeded, 0}},
      {"data PDU without data", Point::after_connect,
       [](RawHost& h) {
         std::uint16_t cid = 0;
         const std::uint16_t ttag = begin_write(h, &cid);
         h.send(h2c(cid, ttag, 0, 0));
       },
       Violation{header_field, 4}},
      {"data after the last of it", Point::after_connect,
       [](RawHost& h) {
         std::uint16_t cid = 0;
         const std::uint16_t ttag = begin_write(h, &cid);
         h.send(h2c(cid, ttag, 0, 8192));
         h.send(Bytes(8192));
         EXPECT_TRUE(h.wait(cid).status().ok());
         h.send(h2c(cid, ttag, 0, 8192));
         h.send(Bytes(8192));
       },
       Violation{header_field, 10}},

      // ---- hosts that go
      {"termination request", Point::after_connect,
       [](RawHost& h) {
         TermReq term;
         term.common.type = PduType::h2c_term_req;
         term.common.hlen = sizeof term;
         term.common.plen = static_cast<std::uint32_t>(sizeof term + 8);
         term.fes = std::uint16_t{2};
         h.send(term);
         h.send(Bytes(8));
       },
       std::nullopt},
      {"termination request that is too long", Point::after_connect,
       [](RawHost& h) {
         TermReq term;
         term.common.type = PduType::h2c_term_req;
         term.common.hlen = sizeof term;
         term.common.plen = static_cast<std::uint32_t>(sizeof term + 129);
         h.send(term);
       },
       Violation{header_field, 4}},
      {"end inside a header", Point::after_connect,
       [](RawHost& h) {
         h.send(std::as_bytes(std::span("\x04\x00\x48", 3)));
         h.finish_sending();
       },
       std::nullopt},
      {"end inside a capsule's data", Point::after_connect,
       [](RawHost& h) {
         h.send(capsule(4096));
         h.send(Bytes(100));
         h.finish_sending();
       },
       std::nullopt},
      {"end between R2T and data", Point::after_connect,
       [](RawHost& h) {
         std::uint16_t cid = 0;
         begin_write(h, &cid);
         h.finish_sending();
       },
       std::nullopt},
      {"end in the middle of the data", Point::after_connect,
       [](RawHost& h) {
         std::uint16_t cid = 0;
         const std::uint16_t ttag = begin_write(h, &cid);
         h.send(h2c(cid, ttag, 0, 8192));
         h.send(Bytes(5000));
         h.finish_sending();
       },
       std::nullopt},
  };
}

class ProtocolError : public TargetTest {
 protected:
  void try_case(const Case& one) {
    SCOPED_TRACE(one.name);
    RawHost offender(port_);
    if (one.point != Point::at_once) ASSERT_TRUE(offender.handshake());
    if (one.point == Point::after_connect) {
      ASSERT_TRUE(offender.connect_queue(1, 15, cntlid_, subnqn).status().ok());
    }
    try {
      one.offend(offender);
    } catch (const std::system_error&) {
      // It was closed while it still sent: what comes is what counts.
    }
    std::optional<Pdu> pdu;
    do {
      pdu = offender.receive();
    } while (pdu && pdu->type() != PduType::c2h_term_req);
    ASSERT_EQ(pdu.has_value(), one.expected.has_value());
    if (pdu) {
      EXPECT_EQ(static_cast<FatalError>(pdu->as<TermReq>().fes.value()), one.expected->error);
      EXPECT_EQ(pdu->as<TermReq>().fei.value(), one.expected->information);
      EXPECT_FALSE(pdu->data.empty());
    }
    offender.finish_sending();
    EXPECT_TRUE(offender.closed_by_target());
  }
  void expect_served(RawHost& host) {
    const Bytes data = pattern(4096, 5);
    EXPECT_TRUE(host.run(write(64, 8), data).status().ok());
    EXPECT_EQ(host.run(read(64, 8), {}, 4096).data, data);
  }
};

TEST_F(ProtocolError, EachIsAnsweredAndHurtsNobodyElse) {
  RawHost control = admin();
  RawHost good = io(2);
  std::uint64_t violations = 0;
  for (const Case& one : cases()) {
    try_case(one);
    expect_served(good);
    violations += one.expected ? 1 : 0;
  }
  const auto groups = on_home([&] { return target_->poll_groups(); });
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].protocol_errors, violations);
}

TEST_F(ProtocolError, WrongHeaderDigestEndsTheConnection) {
  RawHost control = admin();
  RawHost host = io(1, dgst_header);
  CapsuleCmd pdu = capsule();
  pdu.common.flags = pdu_flag::header_digest;
  pdu.common.plen = 76u;
  host.send(pdu);
  host.send(spec::Le32{0xDEADBEEFu});
  const auto answer = host.receive();
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->type(), PduType::c2h_term_req);
  EXPECT_EQ(answer->as<TermReq>().fes.value(), 3);
  EXPECT_EQ(answer->as<TermReq>().fei.value(), 0xDEADBEEFu);
  host.finish_sending();
  EXPECT_TRUE(host.closed_by_target());
}

TEST_F(ProtocolError, WrongDataDigestFailsTheCommandOnly) {
  RawHost control = admin();
  RawHost host = io(1, dgst_data);
  const Bytes data = pattern(512);
  CapsuleCmd pdu = capsule(512);
  pdu.common.flags = pdu_flag::data_digest;
  pdu.common.plen = static_cast<std::uint32_t>(sizeof pdu + 512 + 4);
  pdu.command = write(0, 1);
  pdu.command.cid = std::uint16_t{900};
  pdu.command.set_sgl(spec::SglDescriptor::in_capsule(0, 512));
  host.send(pdu);
  host.send(data);
  host.send(spec::Le32{1u});
  EXPECT_EQ(host.wait(900).status().sc, 0x22);

  // The same behind an R2T.
  spec::Command command = write(0, 16);
  command.set_sgl(spec::SglDescriptor::transport_data(8192));
  const std::uint16_t cid = host.submit(command);
  const auto r2t = host.receive();
  ASSERT_TRUE(r2t && r2t->type() == PduType::r2t);
  DataPdu first = h2c(cid, r2t->as<R2t>().ttag, 0, 4096);
  first.common.flags = pdu_flag::data_digest;
  first.common.plen = 24u + 4096 + 4;
  host.send(first);
  host.send(Bytes(4096));
  host.send(spec::Le32{7u});
  host.send_h2c(cid, r2t->as<R2t>().ttag, 4096, Bytes(4096), true);
  EXPECT_EQ(host.wait(cid).status().sc, 0x22);
  EXPECT_TRUE(host.run(write(0, 1), data).status().ok());
  EXPECT_EQ(host.run(read(0, 1), {}, 512).data, data);
}

TEST_F(ProtocolError, IdentifierInUseIsRefused) {
  RawHost control = admin();
  RawHost host = io();
  std::uint16_t cid = 0;
  const std::uint16_t ttag = begin_write(host, &cid);
  host.next_cid = cid;
  EXPECT_EQ(host.wait(host.submit(spec::nvm::flush(1))).status().sc, 0x03);
  host.send_h2c(cid, ttag, 0, Bytes(8192), true);
  EXPECT_TRUE(host.wait(cid).status().ok());
  host.next_cid = cid;
  EXPECT_TRUE(host.run(spec::nvm::flush(1)).status().ok());
}

TEST_F(ProtocolError, BytesMayComeOneByOne) {
  RawHost control = admin();
  RawHost host(port_);
  const auto drip = [&host](std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) host.send(byte);
  };
  drip(bytes_of(ic_req()));
  ASSERT_EQ(host.receive()->type(), PduType::ic_resp);
  ASSERT_TRUE(host.connect_queue(1, 15, cntlid_, subnqn).status().ok());
  CapsuleCmd pdu = capsule(512);
  pdu.command = write(9, 1);
  pdu.command.cid = std::uint16_t{77};
  pdu.command.set_sgl(spec::SglDescriptor::in_capsule(0, 512));
  const Bytes data = pattern(512, 4);
  drip(bytes_of(pdu));
  drip(data);
  EXPECT_TRUE(host.wait(77).status().ok());
  EXPECT_EQ(host.run(read(9, 1), {}, 512).data, data);
}

TEST_F(ProtocolError, CommandsBeforeConnectAreRefused) {
  RawHost host(port_);
  ASSERT_TRUE(host.handshake());
  EXPECT_EQ(host.run(spec::identify_command(spec::Cns::controller), {}, 4096).status().sc, 0x0C);
  EXPECT_EQ(host.connect_queue(1, 15, 77, subnqn).status().sc, 0x82);
  EXPECT_EQ(host.connect_queue(0, 31, 0xFFFF, "nqn.2026-11.io.spdkio:other").status().sc, 0x82);
  EXPECT_EQ(host.connect_queue(0, 31, 0xFFFF, "what").status().sc, 0x82);
  EXPECT_EQ(host.connect_queue(0, 31, 5, subnqn).status().sc, 0x82);
  EXPECT_EQ(host.connect_queue(0, 0, 0xFFFF, subnqn).status().sc, 0x82);
  EXPECT_EQ(host.connect_queue(0, 5000, 0xFFFF, subnqn).status().sc, 0x82);
  EXPECT_TRUE(host.connect_queue(0, 31, 0xFFFF, subnqn).status().ok());
  EXPECT_EQ(host.connect_queue(0, 31, 0xFFFF, subnqn).status().sc, 0x0C);
}

TEST_F(ProtocolError, SilentConnectionsAreClosed) {
  start({.connect_timeout = std::chrono::milliseconds{300}});
  RawHost silent(port_);
  RawHost half(port_);
  half.send(std::as_bytes(std::span("\x00\x00", 2)));
  RawHost unconnected(port_);
  ASSERT_TRUE(unconnected.handshake());
  EXPECT_TRUE(silent.closed_by_target());
  EXPECT_TRUE(half.closed_by_target());
  EXPECT_TRUE(unconnected.closed_by_target());
}

// A host that asks for a lot and takes nothing: its answers wait in the target, and others are served meanwhile.
TEST_F(ProtocolError, HostThatDoesNotReceiveHoldsUpNobody) {
  RawHost control = admin();
  RawHost slow = io(1);
  std::vector<std::uint16_t> cids;
  for (unsigned i = 0; i < 120; ++i) {
    spec::Command command = read(0, 256);
    command.flags = 0x40;
    command.set_sgl(spec::SglDescriptor::transport_data(131072));
    cids.push_back(slow.submit(command));
  }
  RawHost good = io(2);
  for (int i = 0; i < 50; ++i) expect_served(good);
  for (const std::uint16_t cid : cids) EXPECT_EQ(slow.wait(cid).data.size(), 131072u);
}

// Buffers for two long transfers in all.
TEST_F(ProtocolError, RequestsWaitForBuffersInOrder) {
  start({.buffer_bytes = 256 << 10});
  RawHost control = admin();
  RawHost one = io(1);
  RawHost two = io(2);
  const Bytes data = pattern(131072, 8);
  ASSERT_TRUE(one.run(write(0, 256), {}, 0, data).status().ok());
  std::vector<std::uint16_t> first;
  std::vector<std::uint16_t> second;
  for (int i = 0; i < 40; ++i) {
    spec::Command command = read(0, 256);
    command.flags = 0x40;
    command.set_sgl(spec::SglDescriptor::transport_data(131072));
    first.push_back(one.submit(command));
    spec::Command small = write(1000, 8);
    small.flags = 0x40;
    small.set_sgl(spec::SglDescriptor::in_capsule(0, 4096));
    second.push_back(two.submit(small, std::span(data).first(4096)));
  }
  for (const std::uint16_t cid : first) EXPECT_EQ(one.wait(cid).data, data);
  for (const std::uint16_t cid : second) EXPECT_TRUE(two.wait(cid).status().ok());
  const auto groups = on_home([&] { return target_->poll_groups(); });
  EXPECT_GT(groups[0].buffer_waits, 0u);
}

}  // namespace
}  // namespace spdkio::nvmf::test
