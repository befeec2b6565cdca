//! Reading Rust source as tokens: comments and texts name nobody.

use std::fs;
use std::path::{Path, PathBuf};

use outrigger_tests::public_data::repository;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One Rust file.
pub struct File {
    /// Its path within the repository.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// Whether it holds tests and nothing else.
    pub fn is_test(&self) -> bool {
        let path = &self.path;
        path.starts_with("tests/")
            || path.ends_with("/tests.rs")
            || path.ends_with("/testing.rs")
            || path.contains("/tests/")
    }

    /// Its tokens without what is compiled for tests only.
    pub fn tokens(&self) -> Vec<TokenTree> {
        let stream: TokenStream =
            self.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.path));
        without_tests(stream)
    }

    /// Every path of names in it, such as `crate::publish::Change`; of a use tree each branch.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        collect(&self.tokens(), "", &mut paths);
        paths
    }
}

/// Every Rust file of the repository below these folders.
pub fn files(folders: &[&str]) -> Vec<File> {
    let root = repository();
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root.join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                paths.push(path.to_owned());
            }
        });
    }
    paths.sort();
    assert!(!paths.is_empty(), "no Rust files below {folders:?}");
    let read = |path: PathBuf| File {
        text: fs::read_to_string(&path).expect("UTF-8"),
        path: path.strip_prefix(&root).expect("below the root").display().to_string(),
    };
    paths.into_iter().map(read).collect()
}

/// Fails with every breach of a rule, not just the first.
pub fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "{} breaches:\n  {}", breaches.len(), breaches.join("\n  "));
}

/// Visits every file below a folder, but not what was built or downloaded.
pub fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if matches!(&*name, "target" | "node_modules" | ".git") {
            continue;
        }
        match path.is_dir() {
            true => walk(&path, visit),
            false => visit(&path),
        }
    }
}

/// Leaves out every item after `#[cfg(test)]`.
fn without_tests(stream: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut skipping = false;
    for tree in stream {
        if skipping {
            let ends = match &tree {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                _ => false,
            };
            skipping = !ends;
            continue;
        }
        match &tree {
            TokenTree::Group(group) if group.to_string().replace(' ', "") == "[cfg(test)]" => {
                skipping = true;
            }
            _ => kept.push(tree),
        }
    }
    kept
}

fn collect(trees: &[TokenTree], before: &str, paths: &mut Vec<String>) {
    let mut path = before.to_owned();
    let mut joined = !before.is_empty();
    let mut i = 0;
    let flush = |path: &mut String, paths: &mut Vec<String>| {
        if path != before && !path.is_empty() {
            paths.push(std::mem::take(path));
        }
        *path = before.to_owned();
    };
    while i < trees.len() {
        match &trees[i] {
            TokenTree::Ident(ident) => {
                if !joined {
                    flush(&mut path, paths);
                    path.clear();
                }
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(&ident.to_string());
                joined = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && is_colon(trees.get(i + 1)) => {
                joined = true;
                i += 1;
            }
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_branch = joined && group.delimiter() == Delimiter::Brace;
                collect(&inner, if is_branch { &path } else { "" }, paths);
                flush(&mut path, paths);
                joined = !before.is_empty();
            }
            _ => {
                flush(&mut path, paths);
                joined = !before.is_empty();
            }
        }
        i += 1;
    }
    flush(&mut path, paths);
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

#[test]
fn reads_paths_out_of_uses_calls_and_macros_and_not_out_of_texts_or_tests() {
    let text = "
        //! crate::comment
        use crate::{a::{B, c}, d};
        use super::e as f;
        fn g() { select! { x = crate::h::i() => {} } \"crate::text\"; tokio::spawn(j) }
        #[cfg(test)]
        mod tests { use crate::hidden; }
    ";
    let file = File { path: String::new(), text: text.to_owned() };
    let paths = file.paths();
    let has = |path: &str| paths.iter().any(|found| found == path);
    for path in
        ["crate::a::B", "crate::a::c", "crate::d", "super::e", "crate::h::i", "tokio::spawn"]
    {
        assert!(has(path), "{path} in {paths:?}");
    }
    assert!(
        !paths.iter().any(|path| path.contains("hidden") || path.contains("text")),
        "{paths:?}"
    );
}
