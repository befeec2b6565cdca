//! What a feature flag means.
//!
//! A flagd document goes in at [`load`] and comes out as a [`Layer`] of compiled flags, with every
//! problem in it as a [`Diagnostic`]. Layers of several sources are composed into a [`Snapshot`],
//! which a [`SnapshotStore`] hands to its readers, and which resolves flags:
//!
//! ```
//! use std::sync::Arc;
//! use outrigger_flags::{
//!     EvaluationContext, Format, Generation, LoadOptions, Reason, Revision, Selector, Snapshot,
//!     SourceName, UnixSeconds, Value, load,
//! };
//!
//! let document = br#"{"flags": {"new-checkout": {
//!     "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
//!     "targeting": {"if": [{"==": [{"var": "country"}, "NL"]}, "on"]}
//! }}}"#;
//! let options = LoadOptions { source: SourceName::new("demo.json"), generation: Generation::V2 };
//! let loaded = load(document, Format::Json, &options, None)?;
//! assert!(loaded.diagnostics.is_empty());
//!
//! let snapshot = Snapshot::compose(Revision { epoch: 1, seq: 1 }, &[Arc::new(loaded.layer)]);
//! let mut context = EvaluationContext::new();
//! context.set("country", Value::from("NL"))?;
//! let resolution =
//!     snapshot.view(&Selector::Any).resolve("new-checkout", &context, UnixSeconds(0))?;
//! assert_eq!(resolution.as_bool(), Ok(Some(true)));
//! assert_eq!(resolution.reason, Reason::TargetingMatch);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything here is pure: no files, sockets, clock, randomness or global state. Time is an
//! argument. What was validated is what runs, because the compiler is the validator.
//!
//! Not here: overrides (they are laid above sources by the sidecar's writer), reading files, and the
//! wire.

#![warn(missing_docs)]

mod bucket;
mod coerce;
mod compile;
mod context;
mod diagnose;
mod evaluate;
mod explain;
mod flag;
mod house;
pub mod json;
mod key;
mod layer;
pub mod limits;
mod operand;
mod reason;
mod rule;
mod selector;
mod snapshot;
mod split;
mod store;
mod tape;
mod tokens;
mod value;
mod version;

pub use bucket::{Generation, UnknownGeneration};
pub use compile::{Format, LoadOptions, Loaded, load, load_strictly};
pub use context::{ContextError, EvaluationContext, TARGETING_KEY};
pub use diagnose::{Code, Diagnostic, Effect, InvalidDocument, Position, Severity, closest};
pub use evaluate::UnixSeconds;
pub use explain::{BucketDraw, Explanation, Step};
pub use flag::{Flag, Resolution, ResolutionError, Variant};
pub use key::{FlagSetId, SourceName};
pub use layer::Layer;
pub use reason::{Assignment, ErrorCode, Reason};
pub use selector::{InvalidSelector, Selector};
pub use snapshot::{Change, ChangeKind, Revision, Snapshot, View};
pub use store::{CachedReader, FlagHandle, SnapshotReader, SnapshotStore, SnapshotWriter};
pub use value::{Number, Object, Value};
