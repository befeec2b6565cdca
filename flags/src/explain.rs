//! Explaining a resolution: the tree of everything that was evaluated, with what came out.

use std::fmt;

use crate::bucket::Generation;
use crate::context::EvaluationContext;
use crate::evaluate::{Draw, Observer, Outcome, UnixSeconds};
use crate::flag::{Flag, Resolution, ResolutionError};
use crate::rule::Rule;
use crate::value::Value;

/// How a flag came to its value.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// What it resolved to; the very same as without an explanation.
    pub resolution: Result<Resolution<'a>, ResolutionError>,
    /// The rule that was evaluated; `None` if there was none to evaluate.
    pub rule: Option<Step>,
    /// The generation of `fractional` in force.
    pub generation: Generation,
}

/// One node that was evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The operator, the path of a variable, or a literal as JSON.
    pub label: String,
    /// What came out, as JSON, or why nothing did.
    pub outcome: Result<Value, String>,
    /// The operands that were evaluated, in the order in which they were; those that were skipped
    /// are missing.
    pub operands: Vec<Step>,
    /// The draw, if a bucket was drawn here.
    pub bucket: Option<BucketDraw>,
}

/// One draw of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketDraw {
    /// The bytes that were hashed.
    pub bytes: Vec<u8>,
    /// Their MurmurHash3 x86 32.
    pub hash: u32,
    /// The bucket, in `0..total`.
    pub bucket: u32,
    /// The weights together.
    pub total: u32,
    /// The variants as JSON, each with its weight, in order; a variant owns the buckets from the sum
    /// of the weights before it up to its own.
    pub weights: Vec<(String, u32)>,
}

impl Flag {
    /// Resolves the flag and says how. Runs the same code as [`Flag::resolve`].
    pub fn explain(&self, context: &EvaluationContext, now: UnixSeconds) -> Explanation<'_> {
        let (resolution, recorder) = self.resolve_observed(context, now, Recorder::default());
        let rule =
            recorder.open.into_iter().next().and_then(|root| root.operands.into_iter().next());
        Explanation { resolution, rule, generation: self.generation() }
    }
}

/// Writes down each node. Steps in progress form a stack; the bottom one collects the root.
struct Recorder {
    open: Vec<Frame>,
}

#[derive(Default)]
struct Frame {
    operands: Vec<Step>,
    bucket: Option<BucketDraw>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { open: vec![Frame::default()] }
    }
}

impl Observer for Recorder {
    fn enter(&mut self) {
        self.open.push(Frame::default());
    }

    fn leave(&mut self, rule: &Rule, outcome: &Outcome<'_>) {
        let Some(frame) = self.open.pop() else { return };
        let outcome = match outcome {
            Ok(operand) => Ok(operand.to_value()),
            Err(fault) => Err(fault.to_string()),
        };
        let step =
            Step { label: label_of(rule), outcome, operands: frame.operands, bucket: frame.bucket };
        if let Some(parent) = self.open.last_mut() {
            parent.operands.push(step);
        }
    }

    fn draw(&mut self, draw: Draw) {
        let Draw { bytes, hash, bucket, total, weights } = draw;
        if let Some(frame) = self.open.last_mut() {
            frame.bucket = Some(BucketDraw { bytes, hash, bucket, total, weights });
        }
    }
}

fn label_of(rule: &Rule) -> String {
    match rule {
        Rule::Literal(value) => value.to_string(),
        Rule::List(_) => "[…]".to_owned(),
        Rule::Variable(variable) => format!("var {}", Value::from(&*variable.text)),
        Rule::Apply(operator, _) => operator.as_str().to_owned(),
        Rule::Split(_) => "fractional".to_owned(),
        Rule::Reference(name, _) => format!("$ref {}", Value::from(&**name)),
        Rule::Broken(_) => "broken".to_owned(),
    }
}

impl fmt::Display for BucketDraw {
    /// One line: bytes, hash, bucket and shares.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}", self.hex())?;
        match std::str::from_utf8(&self.bytes) {
            Ok(text) if !text.chars().any(char::is_control) => write!(f, " {text:?}")?,
            _ => {}
        }
        write!(f, ", murmur3 {}, bucket {} of {}:", self.hash, self.bucket, self.total)?;
        let mut start = 0;
        for (variant, weight) in &self.weights {
            let end = start + weight;
            let mark = if (start..end).contains(&self.bucket) { "→" } else { " " };
            write!(f, " {mark}{variant} {start}..{end}")?;
            start = end;
        }
        Ok(())
    }
}

impl BucketDraw {
    /// The bytes that were hashed, in hexadecimal.
    pub fn hex(&self) -> String {
        use std::fmt::Write;
        self.bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Display for Step {
    /// A tree, one node a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_tree(f, "", "")
    }
}

impl Step {
    fn write_tree(&self, f: &mut fmt::Formatter<'_>, first: &str, rest: &str) -> fmt::Result {
        write!(f, "{first}{}", self.label)?;
        match &self.outcome {
            // A literal is its own outcome.
            Ok(value) if value.to_string() == self.label => writeln!(f)?,
            Ok(value) => writeln!(f, " = {value}")?,
            Err(message) => writeln!(f, " ✗ {message}")?,
        }
        if let Some(bucket) = &self.bucket {
            let bar = if self.operands.is_empty() { " " } else { "│" };
            writeln!(f, "{rest}{bar}  {bucket}")?;
        }
        for (index, operand) in self.operands.iter().enumerate() {
            let is_last = index + 1 == self.operands.len();
            let (branch, indent) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            operand.write_tree(f, &format!("{rest}{branch}"), &format!("{rest}{indent}"))?;
        }
        Ok(())
    }
}
