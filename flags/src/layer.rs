//! One source's flags, compiled.

use std::sync::Arc;

use crate::flag::Flag;
use crate::key::SourceName;

/// The flags of one source, in the order in which it defines them. Immutable; layers are composed
/// into a [`crate::Snapshot`] without compiling anything again.
#[derive(Debug)]
pub struct Layer {
    source: SourceName,
    flags: Box<[Arc<Flag>]>,
}

impl Layer {
    pub(crate) fn new(source: SourceName, flags: Vec<Arc<Flag>>) -> Self {
        Self { source, flags: flags.into() }
    }

    /// Where the flags come from.
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// The flags.
    pub const fn flags(&self) -> &[Arc<Flag>] {
        &self.flags
    }

    /// How many flags there are.
    pub const fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are no flags.
    pub const fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// How many flags of `previous` are no longer here.
    pub fn removed_since(&self, previous: &Self) -> usize {
        let here: std::collections::HashSet<_> = self.flags.iter().map(|flag| flag.id()).collect();
        previous.flags.iter().filter(|flag| !here.contains(&flag.id())).count()
    }

    /// The flags as one flagd document: what is served now, including definitions that were kept
    /// because newer ones were wrong, and without flags that never were right. Reading it back
    /// gives the same flags.
    pub fn to_document(&self) -> String {
        let mut document = String::from("{\"flags\":[");
        let mut separator = "";
        for flag in &self.flags {
            let Some(members) = flag.definition().and_then(|text| text.strip_prefix('{')) else {
                continue;
            };
            document.push_str(separator);
            separator = ",";
            document.push_str("{\"key\":");
            crate::json::quote(flag.key(), &mut document);
            document.push(',');
            document.push_str(members);
        }
        document.push_str("]}");
        document
    }
}
