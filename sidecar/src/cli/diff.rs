//! `outrigger diff`: what one set of files changes against another, flag by flag.

use std::path::PathBuf;

use outrigger_flags::{ChangeKind, Flag, Object, Selector, Snapshot, Value, View, json, limits};

use super::documents::{GenerationArg, snapshot};
use super::{Exit, object, print};

/// Show what changes between two flag files or directories
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example
  outrigger diff live.json next.json

Exit codes
  0 nothing changes · 1 something does · 78 a file cannot be loaded")]
pub(super) struct DiffArgs {
    /// A flag file or directory
    old: PathBuf,
    /// What it becomes
    new: PathBuf,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    generation: GenerationArg,
}

pub(super) fn run(args: &DiffArgs) -> Exit {
    let load = |path: &PathBuf| snapshot(std::slice::from_ref(path), args.generation.generation);
    match (load(&args.old), load(&args.new)) {
        (Ok(old), Ok(new)) => compare(&old, &new, args.json),
        (Err(exit), _) | (_, Err(exit)) => exit,
    }
}

fn compare(old: &Snapshot, new: &Snapshot, as_json: bool) -> Exit {
    let changes = FlagChange::all_between(old, new);
    let text: String = changes.iter().map(|change| change.render(as_json)).collect();
    match print(&text) {
        Exit::Ok if !changes.is_empty() => Exit::No,
        exit => exit,
    }
}

/// A flag, and which of its members differ: name, before, after.
struct FlagChange {
    key: String,
    kind: ChangeKind,
    members: Vec<(String, Value, Value)>,
}

impl FlagChange {
    fn all_between(old: &Snapshot, new: &Snapshot) -> Vec<Self> {
        let (old, new) = (old.view(&Selector::Any), new.view(&Selector::Any));
        let changes = new.changes_since(old).into_iter().map(|change| {
            let id = change.flag().id();
            let (before, after) = (find(old, change.flag()), find(new, change.flag()));
            let members = differing(before, after);
            let key = match id {
                (Some(set), key) => format!("{set}/{key}"),
                (None, key) => key.to_owned(),
            };
            Self { key, kind: change.kind, members }
        });
        // The two come from different files, which alone is no change.
        changes
            .filter(|change| change.kind != ChangeKind::Update || !change.members.is_empty())
            .collect()
    }
}

/// The flag of the same set and key.
fn find<'v>(view: &'v View, flag: &Flag) -> Option<&'v Flag> {
    let place = view.flags().binary_search_by(|other| other.id().cmp(&flag.id())).ok()?;
    view.flags().get(place).map(|flag| &**flag)
}

fn differing(before: Option<&Flag>, after: Option<&Flag>) -> Vec<(String, Value, Value)> {
    let members = |flag: Option<&Flag>| -> Object {
        let text = flag.and_then(Flag::definition).unwrap_or("{}");
        match json::read(text.as_bytes(), limits::DEPTH_MAX) {
            Ok(Value::Object(object)) => object,
            _ => Object::default(),
        }
    };
    let (before, after) = (members(before), members(after));
    let names = before.iter().map(|(name, _)| name);
    let added = after.iter().map(|(name, _)| name).filter(|name| before.get(name).is_none());
    let value = |object: &Object, name: &str| object.get(name).cloned().unwrap_or(Value::Null);
    names
        .chain(added)
        .map(|name| (name.to_owned(), value(&before, name), value(&after, name)))
        .filter(|(_, before, after)| before != after)
        .collect()
}

impl FlagChange {
    fn render(&self, as_json: bool) -> String {
        if as_json {
            let changed = self.members.iter().map(|(name, before, after)| {
                object([
                    ("member", Value::from(name.as_str())),
                    ("before", before.clone()),
                    ("after", after.clone()),
                ])
            });
            let line = object([
                ("key", Value::from(self.key.as_str())),
                ("change", Value::from(self.kind.as_str())),
                ("members", Value::Array(changed.collect())),
            ]);
            return format!("{line}\n");
        }
        let sign = match self.kind {
            ChangeKind::Write => '+',
            ChangeKind::Update => '~',
            ChangeKind::Delete => '-',
        };
        let mut text = format!("{sign} {}\n", self.key);
        if self.kind == ChangeKind::Update {
            for (name, before, after) in &self.members {
                text.push_str(&format!("    {name}\n      - {before}\n      + {after}\n"));
            }
        }
        text
    }
}
