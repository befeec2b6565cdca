//! The papers: links lead somewhere, and the project speaks of itself alone.

use std::fs;
use std::path::{Path, PathBuf};

use outrigger_tests::public_data::repository;

use crate::source::{none, walk};

/// Files that people read or write, of any kind but pictures and locks.
fn written() -> Vec<(PathBuf, String)> {
    const KINDS: [&str; 16] = [
        "css", "html", "js", "json", "md", "py", "proto", "rs", "sh", "toml", "ts", "txt", "yaml",
        "yml", "ini", "",
    ];
    let mut files = Vec::new();
    walk(&repository(), &mut |path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let is_lock = path.file_name().is_some_and(|name| name.to_string_lossy().contains("lock"));
        if KINDS.contains(&&*extension)
            && !is_lock
            && let Ok(text) = fs::read_to_string(path)
        {
            files.push((path.to_owned(), text));
        }
    });
    assert!(files.len() > 50, "only {} files were found", files.len());
    files
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in written() {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for link in links(&text) {
            let Some(target) = target(&path, &link) else { continue };
            if !target.exists() {
                broken.push(format!("{}: {link} leads nowhere", path.display()));
            }
        }
    }
    none(&broken);
}

/// What stands in the round brackets of Markdown links, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect();
        let after = prose.split("](").skip(1);
        links.extend(after.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    links
}

/// The file that a link means; `None` if it leads out of the repository or stays on the page.
fn target(page: &Path, link: &str) -> Option<PathBuf> {
    let file = link.split(['#', ' ']).next()?;
    if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
        return None;
    }
    match file.strip_prefix('/') {
        Some(from_root) => Some(repository().join(from_root)),
        None => Some(page.parent()?.join(file)),
    }
}

#[test]
fn nothing_names_a_home_on_some_machine() {
    // Put together here, so that this file does not find itself.
    let places = [["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"]];
    let places = places.map(|parts| parts.concat());
    let mut found = Vec::new();
    for (path, text) in written() {
        let lines = text.lines().filter(|line| places.iter().any(|place| line.contains(place)));
        found.extend(lines.map(|line| format!("{}: {line}", path.display())));
    }
    none(&found);
}

#[test]
fn links_are_found_in_prose_and_not_in_code() {
    let text = "a [b](c.md#d) `[e](f)` [g](https://h)\n```\n[i](j)\n```\n[k](#l)";
    assert_eq!(links(text), ["c.md#d", "https://h", "#l"]);
    let page = Path::new("/docs/page.md");
    assert_eq!(target(page, "c.md#d"), Some(PathBuf::from("/docs/c.md")));
    assert_eq!(target(page, "https://h"), None);
    assert_eq!(target(page, "#l"), None);
}
