//! Every limit of the flag engine, named with its unit.
//!
//! Flag documents and evaluation contexts are hostile input: each number below bounds what one of
//! them can cost. A document over a document limit is refused whole and the last good one stays; a
//! flag over a flag limit is isolated and its siblings go live.

/// Largest flag document, bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// Most flags in one document.
pub const FLAGS_MAX: usize = 200_000;
/// Deepest nesting of a document. serde_json's own hard stop is 128.
pub const DEPTH_MAX: usize = 64;
/// Most names and values in one document: 200,000 flags of 40 each.
pub const DOCUMENT_NODES_MAX: usize = 8_000_000;
/// Most nodes in the compiled rule of one flag, references counted once.
pub const FLAG_NODES_MAX: usize = 50_000;
/// Deepest nesting of a compiled rule, references followed: bounds the stack of an evaluation.
pub const RULE_DEPTH_MAX: usize = 256;
/// Largest definition of one flag with its references written out, bytes.
pub const FLAG_BYTES_MAX: usize = 1 << 20;
/// Longest flag key, bytes.
pub const FLAG_KEY_BYTES_MAX: usize = 256;
/// Longest chain of `$ref`s.
pub const REFERENCE_DEPTH_MAX: usize = 32;
/// Steps one evaluation may take. A step is a rule node visited, 64 bytes of text read or written, 16
/// members of an object searched, or 4 items of a list passed over: about 0.1 µs each.
pub const FUEL_STEPS: u32 = 100_000;
/// Largest value one evaluation may build, bytes of text.
pub const BUILT_TEXT_BYTES_MAX: usize = 1 << 20;
/// Most attributes in an evaluation context.
pub const CONTEXT_ATTRIBUTES_MAX: usize = 512;
/// Deepest nesting of an evaluation context.
pub const CONTEXT_DEPTH_MAX: usize = 16;
/// Most problems reported for one document; the rest is counted.
pub const DIAGNOSTICS_MAX: usize = 1_000;
