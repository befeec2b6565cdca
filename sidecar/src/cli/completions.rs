//! `outrigger completions`: what the shell needs to complete our command line.

use super::Exit;

/// Print a completion script for your shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example\n  outrigger completions bash > /etc/bash_completion.d/outrigger")]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &CompletionsArgs, mut command: clap::Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "outrigger", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
