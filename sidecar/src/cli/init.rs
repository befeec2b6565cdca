//! `outrigger init`: a first flag file to play with.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use super::{Exit, complain, print};

const FILE: &str = "demo.flagd.yaml";
const DOCUMENT: &str = include_str!("init/demo.flagd.yaml");

/// Write a first flag file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples
  outrigger init              writes flags/demo.flagd.yaml
  outrigger init config       writes config/demo.flagd.yaml

A file that exists is left alone (exit 1).")]
pub(super) struct InitArgs {
    /// The directory to write to
    #[arg(default_value = "flags")]
    directory: PathBuf,
}

pub(super) fn run(args: &InitArgs) -> Exit {
    let path = args.directory.join(FILE);
    let created = fs::create_dir_all(&args.directory)
        .and_then(|()| fs::File::create_new(&path))
        .and_then(|mut file| file.write_all(DOCUMENT.as_bytes()));
    match created {
        Ok(()) => {
            let option = match args.directory.to_str() {
                Some("flags") => String::new(),
                _ => format!(" --flags {}", args.directory.display()),
            };
            print(&format!(
                "wrote {}\n\nnext\n  outrigger serve{option}\n  outrigger eval new-checkout --key user-1{option}\n",
                path.display()
            ))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            complain(format_args!("{} exists already, and is left alone", path.display()));
            Exit::No
        }
        Err(error) => {
            complain(format_args!("{}: {error}", path.display()));
            Exit::Internal
        }
    }
}
