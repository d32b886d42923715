// nvmf_discovery_*: referrals to other discovery services.
#include "nvmf/rpc/rpc_support.hpp"

namespace spdkio::nvmf {
namespace {

struct ReferralParams {
  ListenAddress address;
  std::string subnqn;
  std::string tgt_name;
  nvme::TransportId where() const {
    nvme::TransportId id = address.to_transport_id();
    id.subnqn = subnqn;
    return id;
  }
  void fields(rpc::Params& p) {
    p.optional("tgt_name", &tgt_name, "Name of the target")
        .required("address", &address, "Where the other discovery service is")
        .optional("subnqn", &subnqn, "Its NQN; the well-known discovery NQN when not given");
  }
};

struct AddReferral : ReferralParams {
  bool secure_channel = false;
  bool allow_any_host = true;
  void fields(rpc::Params& p) {
    ReferralParams::fields(p);
    p.optional("secure_channel", &secure_channel, "Hosts have to connect to it over a secure channel")
        .optional("allow_any_host", &allow_any_host, "Must be true: every host is told of it")
        .check(allow_any_host, "allow_any_host", "must be true: referrals for some hosts are not supported");
  }
};

Task<Json> add_referral(AddReferral params) {
  const Target target = co_await target_named(params.tgt_name);
  const Referral referral{.where = params.where(), .secure_channel = params.secure_channel};
  target.add_referral(referral);
  co_return Json(true);
}

Task<Json> remove_referral(ReferralParams params) {
  const Target target = co_await target_named(params.tgt_name);
  target.remove_referral(params.where());
  co_return Json(true);
}

Task<Json> get_referrals(OneTarget params) {
  const Target target = co_await target_named(params.tgt_name);
  Json list = Json::array();
  for (const Referral& referral : target.referrals()) {
    list.push_back({{"address", to_json(referral.where)},
                    {"secure_channel", referral.secure_channel},
                    {"subnqn", referral.where.subnqn},
                    {"allow_any_host", true}});
  }
  co_return list;
}

}  // namespace

void register_discovery_methods(rpc::MethodTable& table) {
  table.add<AddReferral>("nvmf_discovery_add_referral", "Tell hosts of another discovery service", add_referral);
  table.add<ReferralParams>("nvmf_discovery_remove_referral", "Tell hosts of it no more", remove_referral);
  table.add<OneTarget>("nvmf_discovery_get_referrals", "The other discovery services", get_referrals);
}

}  // namespace spdkio::nvmf
