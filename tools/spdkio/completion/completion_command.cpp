
#include "spdkio/completion/completion_command.hpp"

#include "spdkio/cli/help_page.hpp"
#include "spdkio/completion/completion_script.hpp"

#include <memory>

namespace spdkio::tool {

Command add_completion_command(CLI::App& root) {
  CLI::App* app = root.add_subcommand("completion", "Print a completion script for bash, zsh or fish");
  auto shell = std::make_shared<std::string>();
  app->add_option("SHELL", *shell, "Shell to write for")
      ->required()
      ->type_name("NAME")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  add_help_sections(*app,
                    {{"In this shell", "source <(spdkio completion bash)"},
                     {"For good, bash", "spdkio completion bash > ~/.local/share/bash-completion/completions/spdkio"},
                     {"For good, zsh, with a folder of fpath", "spdkio completion zsh > ~/.zfunc/_spdkio"},
                     {"For good, fish", "spdkio completion fish > ~/.config/fish/completions/spdkio.fish"}});
  return {app, [shell, &root](Session& session) {
            if (*shell == "bash") session.out.write(bash_completion(root));
            if (*shell == "zsh") session.out.write(zsh_completion(root));
            if (*shell == "fish") session.out.write(fish_completion(root));
            return ExitCode::success;
          }};
}

}  // namespace spdkio::tool
