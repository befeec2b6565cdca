//! Names that are shared rather than copied: sources and flag sets.

use std::fmt;
use std::sync::Arc;

macro_rules! shared_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it is; no text is invalid.
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

shared_name! {
    /// Where definitions come from: the configured URI without its prefix, compared as exact text
    /// (`flags/all.json` and `./flags/all.json` are two sources).
    SourceName
}

shared_name! {
    /// A flag set: the `flagSetId` of a flag's or its document's metadata.
    FlagSetId
}
