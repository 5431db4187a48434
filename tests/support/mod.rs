//! What integration tests share: where the reference data is and how to unpack it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Directory of the reference data: `INSIGHTD_DATA`, else `../shared/data` beside the repository.
/// Prints why and returns `None` when it, or `name` in it, is absent.
pub fn reference_data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("INSIGHTD_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: reference data `{name}` is not at {}",
        path.display()
    );
    None
}

/// Unpacks a `.tar.xz` of the reference data into a fresh directory that lives as long as the
/// returned guard.
pub fn unpack(archive: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let status = Command::new("tar")
        .arg("xJf")
        .arg(archive)
        .arg("-C")
        .arg(directory.path())
        .status()
        .expect("tar runs");
    assert!(
        status.success(),
        "tar could not unpack {}",
        archive.display()
    );
    directory
}
