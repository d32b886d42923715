
#include "spdkio/completion/completion_script.hpp"

#include "spdkio/cli/option_info.hpp"
#include "spdkio/cli/program.hpp"
#include "spdkio/system/fake_root.hpp"
#include "spdkio/system/system_root.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>

namespace spdkio::tool {
namespace {

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  char block[4096];
  while (const std::size_t n = std::fread(block, 1, sizeof block, pipe)) text.append(block, n);
  ::pclose(pipe);
  return text;
}

bool has_program(const std::string& name) { return output_of("command -v " + name + " 2>/dev/null") != ""; }

class Completion : public testing::Test {
 protected:
  // What bash would offer after these words, the last of which is being typed.
  std::set<std::string> offers(const std::vector<std::string>& typed) {
    folder_.file("/complete.bash", bash_completion(*program_.root));
    folder_.file("/disk.img").folder("/disks");
    std::string script = fmt::format("cd '{}'; source ./complete.bash; COMP_WORDS=(", folder_.path().string());
    for (const std::string& word : typed) script += fmt::format("'{}' ", word);
    script += fmt::format("); COMP_CWORD={}; _spdkio 2>&1; printf '%s\\n' \"${{COMPREPLY[@]}}\"", typed.size() - 1);
    folder_.file("/run.bash", script);
    const auto found = words(output_of(fmt::format("bash --norc '{}'", (folder_.path() / "run.bash").string())));
    return {found.begin(), found.end()};
  }

  FakeRoot folder_;
  Program program_ = make_program(80);
};

TEST_F(Completion, BashOffersCommandsAndOptions) {
  if (!has_program("bash")) GTEST_SKIP() << "no bash here";
  std::set<std::string> commands;
  for (const Command& command : program_.commands) commands.insert(command.app->get_name());
  EXPECT_EQ(offers({"spdkio", ""}), commands);
  EXPECT_EQ(offers({"spdkio", "doc"}), std::set<std::string>{"doctor"});
  EXPECT_EQ(offers({"spdkio", "--eng"}), std::set<std::string>{"--engine"});
  EXPECT_EQ(offers({"spdkio", "doctor", "--js"}), std::set<std::string>{"--json"});
  EXPECT_EQ(offers({"spdkio", "doctor", "--sys"}), std::set<std::string>{}) << "hidden options stay hidden";
}

TEST_F(Completion, BashOffersEveryOptionOfEveryCommand) {
  if (!has_program("bash")) GTEST_SKIP() << "no bash here";
  for (const Command& command : program_.commands) {
    const auto offered = offers({"spdkio", command.app->get_name(), "-"});
    for (const OptionInfo& info : describe_options(*command.app)) {
      for (const std::string& name : info.names) EXPECT_TRUE(offered.contains(name)) << command.app->get_name() << name;
    }
    EXPECT_TRUE(offered.contains("--engine")) << "options of every command are offered too";
  }
}

TEST_F(Completion, BashOffersValues) {
  if (!has_program("bash")) GTEST_SKIP() << "no bash here";
  EXPECT_EQ(offers({"spdkio", "--engine", ""}), (std::set<std::string>{"embedded", "spdk"}));
  EXPECT_EQ(offers({"spdkio", "--engine", "=", "s"}), std::set<std::string>{"spdk"}) << "--engine=s";
  EXPECT_EQ(offers({"spdkio", "--engine", "="}), (std::set<std::string>{"embedded", "spdk"})) << "--engine=";
  EXPECT_EQ(offers({"spdkio", "completion", "z"}), std::set<std::string>{"zsh"});
  EXPECT_EQ(offers({"spdkio", "report", "dis"}), (std::set<std::string>{"disk.img", "disks"}));
  EXPECT_EQ(offers({"spdkio", "report", "--output", "disk."}), std::set<std::string>{"disk.img"});
}

TEST_F(Completion, BashFindsTheCommandBehindGlobalOptions) {
  if (!has_program("bash")) GTEST_SKIP() << "no bash here";
  EXPECT_EQ(offers({"spdkio", "--engine", "spdk", "--no-color", "completion", "f"}), std::set<std::string>{"fish"});
  EXPECT_EQ(offers({"spdkio", "--engine", "=", "spdk", "completion", "f"}), std::set<std::string>{"fish"});
}

TEST_F(Completion, ZshAcceptsItsScript) {
  if (!has_program("zsh")) GTEST_SKIP() << "no zsh here";
  folder_.file("/_spdkio", zsh_completion(*program_.root));
  const std::string folder = folder_.path().string();
  EXPECT_EQ(output_of(fmt::format("zsh -n '{}/_spdkio' 2>&1", folder)), "");
  // A real session on a pseudo-terminal of its own: what is offered after "spdkio ".
  folder_.file("/ask.zsh", fmt::format(R"zsh(zmodload zsh/zpty
zpty z 'HOME={0} zsh -f -i'
zpty -w z "PS1='now> '; autoload -Uz compinit; compinit -D -u; source {0}/_spdkio; echo ready-\$((1+1))"
zpty -r -m z line '*ready-2*now> *'
zpty -w -n z $'spdkio \t'
zpty -w z $'\x15echo end-$((2+2))'
zpty -r -m z line '*end-4*'
print -r -- $line
zpty -d z
)zsh",
                                       folder));
  const std::string offered = output_of(fmt::format("timeout 20 zsh -f '{}/ask.zsh' 2>&1", folder));
  for (const Command& command : program_.commands) {
    EXPECT_NE(offered.find(command.app->get_name()), std::string::npos) << offered;
  }
}

TEST_F(Completion, FishOffersCommandsAndValues) {
  if (!has_program("fish")) GTEST_SKIP() << "no fish here";
  folder_.file("/spdkio.fish", fish_completion(*program_.root));
  const auto offers_of = [&](const std::string& typed) {
    return output_of(
        fmt::format("cd '{0}'; HOME='{0}' fish --no-config -c \"source spdkio.fish; complete -C '{1}'\" 2>&1",
                    folder_.path().string(), typed));
  };
  for (const Command& command : program_.commands) {
    EXPECT_NE(offers_of("spdkio ").find(command.app->get_name() + "\t"), std::string::npos) << offers_of("spdkio ");
  }
  EXPECT_NE(offers_of("spdkio doctor --").find("--json"), std::string::npos);
  EXPECT_NE(offers_of("spdkio --engine ").find("embedded"), std::string::npos);
  EXPECT_NE(offers_of("spdkio completion ").find("zsh"), std::string::npos);
}

}  // namespace
}  // namespace spdkio::tool
