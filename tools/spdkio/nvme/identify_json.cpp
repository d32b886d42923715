
#include "spdkio/nvme/identify_json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>

namespace spdkio::tool {
namespace {

std::string hex_of(std::span<const std::uint8_t> bytes) { return fmt::format("{:02x}", fmt::join(bytes, "")); }

/// A number as long as JSON readers keep all of it, a hexadecimal string beyond.
Json big_number(const spec::Le128& value) {
  if (value.high == 0) return value.low.value();
  return fmt::format("{:#x}{:016x}", value.high.value(), value.low.value());
}

Json power_states(const spec::IdentifyController& data) {
  Json list = Json::array();
  for (std::size_t i = 0; i <= std::min<std::size_t>(data.npss, data.psd.size() - 1); ++i) {
    const spec::PowerState& state = data.psd[i];
    list.push_back({{"max_power", state.max_power.value()},
                    {"max_power_scale", state.flags & 1},
                    {"non-operational_state", state.flags >> 1 & 1},
                    {"entry_lat", state.entry_latency_us.value()},
                    {"exit_lat", state.exit_latency_us.value()},
                    {"read_tput", state.relative_read_throughput},
                    {"read_lat", state.relative_read_latency},
                    {"write_tput", state.relative_write_throughput},
                    {"write_lat", state.relative_write_latency},
                    {"idle_power", state.idle_power.value()},
                    {"idle_scale", state.idle_power_scale},
                    {"active_power", state.active_power.value()},
                    {"active_power_work", state.active_power_scale & 7},
                    {"active_scale", state.active_power_scale >> 6}});
  }
  return list;
}

}  // namespace

Json identify_json(const spec::IdentifyController& data) {
  return {
      {"vid", data.vid.value()},
      {"ssvid", data.ssvid.value()},
      {"sn", data.sn.to_string()},
      {"mn", data.mn.to_string()},
      {"fr", data.fr.to_string()},
      {"rab", data.rab},
      {"ieee", data.ieee[0] | data.ieee[1] << 8 | data.ieee[2] << 16},
      {"cmic", data.cmic},
      {"mdts", data.mdts},
      {"cntlid", data.cntlid.value()},
      {"ver", data.ver.value()},
      {"rtd3r", data.rtd3r.value()},
      {"rtd3e", data.rtd3e.value()},
      {"oaes", data.oaes.value()},
      {"ctratt", data.ctratt.value()},
      {"rrls", data.rrls.value()},
      {"cntrltype", static_cast<unsigned>(data.cntrltype)},
      {"fguid", hex_of(data.fguid)},
      {"crdt1", data.crdt[0].value()},
      {"crdt2", data.crdt[1].value()},
      {"crdt3", data.crdt[2].value()},
      {"nvmsr", data.nvmsr},
      {"vwci", data.vwci},
      {"mec", data.mec},
      {"oacs", data.oacs.value()},
      {"acl", data.acl},
      {"aerl", data.aerl},
      {"frmw", data.frmw},
      {"lpa", data.lpa},
      {"elpe", data.elpe},
      {"npss", data.npss},
      {"avscc", data.avscc},
      {"apsta", data.apsta},
      {"wctemp", data.wctemp.value()},
      {"cctemp", data.cctemp.value()},
      {"mtfa", data.mtfa.value()},
      {"hmpre", data.hmpre.value()},
      {"hmmin", data.hmmin.value()},
      {"tnvmcap", big_number(data.tnvmcap)},
      {"unvmcap", big_number(data.unvmcap)},
      {"rpmbs", data.rpmbs.value()},
      {"edstt", data.edstt.value()},
      {"dsto", data.dsto},
      {"fwug", data.fwug},
      {"kas", data.kas.value()},
      {"hctma", data.hctma.value()},
      {"mntmt", data.mntmt.value()},
      {"mxtmt", data.mxtmt.value()},
      {"sanicap", data.sanicap.value()},
      {"hmminds", data.hmminds.value()},
      {"hmmaxd", data.hmmaxd.value()},
      {"nsetidmax", data.nsetidmax.value()},
      {"endgidmax", data.endgidmax.value()},
      {"anatt", data.anatt},
      {"anacap", data.anacap},
      {"anagrpmax", data.anagrpmax.value()},
      {"nanagrpid", data.nanagrpid.value()},
      {"pels", data.pels.value()},
      {"domainid", data.domainid.value()},
      {"megcap", big_number(data.megcap)},
      {"sqes", data.sqes},
      {"cqes", data.cqes},
      {"maxcmd", data.maxcmd.value()},
      {"nn", data.nn.value()},
      {"oncs", data.oncs.value()},
      {"fuses", data.fuses.value()},
      {"fna", data.fna},
      {"vwc", data.vwc},
      {"awun", data.awun.value()},
      {"awupf", data.awupf.value()},
      {"icsvscc", data.icsvscc},
      {"nwpc", data.nwpc},
      {"acwu", data.acwu.value()},
      {"ocfs", data.cdfs.value()},
      {"sgls", data.sgls.value()},
      {"mnan", data.mnan.value()},
      {"maxdna", big_number(data.maxdna)},
      {"maxcna", data.maxcna.value()},
      {"oaqd", data.oaqd.value()},
      {"subnqn", data.subnqn.to_string()},
      {"ioccsz", data.ioccsz.value()},
      {"iorcsz", data.iorcsz.value()},
      {"icdoff", data.icdoff.value()},
      {"fcatt", data.fcatt},
      {"msdbd", data.msdbd},
      {"ofcs", data.ofcs.value()},
      {"psds", power_states(data)},
  };
}

Json identify_json(const spec::IdentifyNamespace& data) {
  Json formats = Json::array();
  for (std::size_t i = 0; i <= std::min<std::size_t>(data.nlbaf, data.lbaf.size() - 1); ++i) {
    const spec::LbaFormat& format = data.lbaf[i];
    formats.push_back({{"ms", format.metadata_bytes.value()},
                       {"ds", format.data_log2},
                       {"rp", format.relative_performance & 3},
                       {"in_use", i == data.format_index()}});
  }
  return {{"nsze", data.nsze.value()},
          {"ncap", data.ncap.value()},
          {"nuse", data.nuse.value()},
          {"nsfeat", data.nsfeat},
          {"nlbaf", data.nlbaf},
          {"flbas", data.flbas},
          {"mc", data.mc},
          {"dpc", data.dpc},
          {"dps", data.dps},
          {"nmic", data.nmic},
          {"rescap", data.rescap},
          {"fpi", data.fpi},
          {"dlfeat", data.dlfeat},
          {"nawun", data.nawun.value()},
          {"nawupf", data.nawupf.value()},
          {"nacwu", data.nacwu.value()},
          {"nabsn", data.nabsn.value()},
          {"nabo", data.nabo.value()},
          {"nabspf", data.nabspf.value()},
          {"noiob", data.noiob.value()},
          {"nvmcap", big_number(data.nvmcap)},
          {"npwg", data.npwg.value()},
          {"npwa", data.npwa.value()},
          {"npdg", data.npdg.value()},
          {"npda", data.npda.value()},
          {"nows", data.nows.value()},
          {"mssrl", data.mssrl.value()},
          {"mcl", data.mcl.value()},
          {"msrc", data.msrc},
          {"nulbaf", data.nulbaf},
          {"anagrpid", data.anagrpid.value()},
          {"nsattr", data.nsattr},
          {"nvmsetid", data.nvmsetid.value()},
          {"endgid", data.endgid.value()},
          {"nguid", hex_of(data.nguid)},
          {"eui64", hex_of(data.eui64)},
          {"lbafs", formats}};
}

Json namespace_json(const nvme::NamespaceInfo& info) {
  Json json = {{"nsid", info.nsid}, {"csi", static_cast<unsigned>(info.command_set)}};
  if (!info.uuid.is_nil()) json["uuid"] = info.uuid.to_string();
  json.update(identify_json(info.identify));
  return json;
}

Json properties_json(const nvme::Controller& controller) {
  return {{"cap", controller.capabilities().value},
          {"vs", controller.version().value},
          {"max_queue_entries", controller.capabilities().max_queue_entries()},
          {"max_transfer_bytes", controller.max_transfer_bytes()}};
}

}  // namespace spdkio::tool
