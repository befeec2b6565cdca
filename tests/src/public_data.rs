//! Test data that others publish, read from the registry packages that carry it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// This repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// flagd's public testbed, which travels inside the crate `open-feature-flagd`. Fetches the crate if
/// it is not there yet.
///
/// # Panics
/// If cargo cannot resolve the Rust client's manifest, which depends on the crate.
pub fn flagd_testbed() -> PathBuf {
    if let Some(folder) = std::env::var_os("FLAGD_TESTBED_DIR") {
        return folder.into();
    }
    let manifest = repository().join("tests/clients/rust/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--manifest-path"])
        .arg(&manifest)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata of {}: {}",
        manifest.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let package = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "open-feature-flagd")
        .expect("the Rust client depends on open-feature-flagd");
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("flagd-testbed")
}

/// The core JsonLogic vectors as flagd's engine carries them: from `OUTRIGGER_JSONLOGIC_VECTORS`,
/// else from the Go module that flagd uses. `Err` says why there are none.
pub fn jsonlogic_vectors() -> Result<PathBuf, String> {
    if let Some(file) = std::env::var_os("OUTRIGGER_JSONLOGIC_VECTORS") {
        return Ok(file.into());
    }
    let output = Command::new("go")
        .args(["mod", "download", "-json", "github.com/diegoholiveira/jsonlogic/v3@v3.9.1"])
        .current_dir(std::env::temp_dir())
        .output()
        .map_err(|error| format!("Go is not installed ({error})"))?;
    let answer: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    match answer["Dir"].as_str() {
        Some(folder) => Ok(Path::new(folder).join("internal/json_logic_pr_48_tests.json")),
        None => Err(format!("the Go module cannot be downloaded: {}", answer["Error"])),
    }
}
