//! One compiled flag, and how it resolves.

use std::borrow::Cow;
use std::fmt;

use crate::bucket::{Generation, Murmur3};
use crate::coerce::json_text_of_number;
use crate::context::EvaluationContext;
use crate::evaluate::{Fault, Observer, Subject, UnixSeconds, Unobserved, Walk};
use crate::key::{FlagSetId, SourceName};
use crate::operand::Operand;
use crate::reason::{Assignment, ErrorCode, Reason};
use crate::rule::Rule;
use crate::value::{Object, Value};

/// A flag, immutable and ready to resolve.
#[derive(Debug)]
pub struct Flag {
    pub(crate) key: Box<str>,
    pub(crate) set: Option<FlagSetId>,
    pub(crate) source: SourceName,
    pub(crate) metadata: Object,
    /// The definition as it is handed to other evaluators; `None` if there is none worth handing on.
    pub(crate) definition: Option<Box<str>>,
    /// `None` if the flag has never had a definition that could be evaluated.
    pub(crate) body: Option<Body>,
    pub(crate) generation: Generation,
    /// The hash state after the flag key, where implicit bucketing starts.
    pub(crate) seed: Murmur3,
    /// Whether compiling it found anything to report; such a flag is compiled anew on each load.
    pub(crate) has_findings: bool,
}

/// What a definition says.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) is_enabled: bool,
    pub(crate) variants: Box<[Variant]>,
    /// The place of the default variant.
    pub(crate) default: Option<usize>,
    pub(crate) targeting: Option<Rule>,
    /// The rule has nodes that cannot be evaluated.
    pub(crate) is_damaged: bool,
}

/// A named value of a flag.
#[derive(Debug, PartialEq)]
pub struct Variant {
    pub(crate) name: Box<str>,
    pub(crate) value: Value,
}

impl Variant {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub const fn value(&self) -> &Value {
        &self.value
    }
}

impl Flag {
    /// The flag key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The flag set it belongs to.
    pub fn set(&self) -> Option<&str> {
        self.set.as_ref().map(FlagSetId::as_str)
    }

    /// What makes it unique within a source: its flag set and its key, in the order of bulk answers.
    pub fn id(&self) -> (Option<&str>, &str) {
        (self.set(), &self.key)
    }

    /// The source it comes from.
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// Whether it is switched on. A flag without a sound definition counts as on.
    pub fn is_enabled(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_enabled)
    }

    /// Its variants, in written order; none if it has no sound definition.
    pub fn variants(&self) -> &[Variant] {
        self.body.as_ref().map_or(&[], |body| &body.variants)
    }

    /// The variant that is served when targeting does not decide.
    pub fn default_variant(&self) -> Option<&Variant> {
        let body = self.body.as_ref()?;
        body.variants.get(body.default?)
    }

    /// Whether it has a targeting rule.
    pub fn has_targeting(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.targeting.is_some())
    }

    /// Its metadata, with that of its document below its own. Only texts, numbers and booleans.
    pub const fn metadata(&self) -> &Object {
        &self.metadata
    }

    /// The generation of `fractional` that it buckets by.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The definition as the text of a JSON object, for other evaluators: the members of a flagd
    /// flag, with references written out and without `source`. `None` if the flag has never had a
    /// sound one, so that nothing broken is handed on. Two flags of one source are the same if and
    /// only if these texts are.
    pub fn definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    /// The value for a subject at a time. `now` is what rules see as `$flagd.timestamp`.
    ///
    /// Takes no lock, does no I/O and, without targeting, allocates nothing.
    ///
    /// # Errors
    /// [`ErrorCode::ParseError`] if the rule cannot be evaluated, [`ErrorCode::General`] if it
    /// returns something that names no variant, or takes more steps than an evaluation may,
    /// [`ErrorCode::TypeMismatch`] if the variant's value is null, which is of no flag's type.
    #[inline]
    pub fn resolve<'a>(
        &'a self,
        context: &EvaluationContext,
        now: UnixSeconds,
    ) -> Result<Resolution<'a>, ResolutionError> {
        match &self.body {
            Some(Body {
                is_enabled: true,
                targeting: None,
                default: Some(default),
                variants,
                ..
            }) => {
                let variant = variants.get(*default);
                self.resolution(variant, Reason::Static, Assignment::Static)
            }
            _ => self.resolve_observed(context, now, Unobserved).0,
        }
    }

    /// Apart from [`Self::resolve`], so that its short way is inlined where it is called.
    #[inline(never)]
    pub(crate) fn resolve_observed<'a, O: Observer>(
        &'a self,
        context: &EvaluationContext,
        now: UnixSeconds,
        observer: O,
    ) -> (Result<Resolution<'a>, ResolutionError>, O) {
        let Some(body) = &self.body else { return (Err(ResolutionError::broken()), observer) };
        if !body.is_enabled {
            return (self.resolution(None, Reason::Disabled, Assignment::Static), observer);
        }
        let Some(rule) = &body.targeting else {
            let reason = if body.default.is_some() { Reason::Static } else { Reason::Default };
            return (self.resolution(self.default_variant(), reason, Assignment::Static), observer);
        };
        let mut walk = Walk::new(Subject { flag: self, context, now }, observer);
        let outcome = walk.run(rule);
        let assignment = if walk.has_split() { Assignment::Split } else { Assignment::Targeted };
        (self.conclude(body, outcome, assignment), walk.observer)
    }

    /// From what the rule returned to a variant.
    fn conclude<'a>(
        &'a self,
        body: &'a Body,
        outcome: Result<Operand<'_>, Fault>,
        assignment: Assignment,
    ) -> Result<Resolution<'a>, ResolutionError> {
        let operand = outcome?;
        let name: Cow<'_, str> = match operand.value() {
            Some(Value::Null) => {
                return self.resolution(self.default_variant(), Reason::Default, assignment);
            }
            Some(Value::String(name)) => Cow::Borrowed(name),
            Some(Value::Bool(value)) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Some(Value::Number(number)) if number.as_f64().is_finite() => {
                Cow::Owned(json_text_of_number(number.as_f64()))
            }
            Some(Value::Number(_)) => return Err(ResolutionError::not_a_number()),
            Some(Value::Array(_) | Value::Object(_)) | None => {
                return Err(ResolutionError::no_variant("a list or an object"));
            }
        };
        match body.variants.iter().find(|variant| *variant.name == *name) {
            Some(variant) => self.resolution(Some(variant), Reason::TargetingMatch, assignment),
            None => Err(ResolutionError::no_variant(&format!("{name:?}"))),
        }
    }

    #[inline]
    fn resolution<'a>(
        &'a self,
        variant: Option<&'a Variant>,
        reason: Reason,
        assignment: Assignment,
    ) -> Result<Resolution<'a>, ResolutionError> {
        let value = variant.map(|variant| &variant.value);
        if let Some(Value::Null) = value {
            return Err(ResolutionError::null());
        }
        let variant = variant.map(|variant| &*variant.name);
        Ok(Resolution { value, variant, reason, assignment, flag: self })
    }
}

/// What a flag resolved to. Borrows from the flag.
#[derive(Debug, Clone, Copy)]
pub struct Resolution<'a> {
    /// The value; `None` asks the caller for its code default: the flag is disabled
    /// ([`Reason::Disabled`]) or has no default variant ([`Reason::Default`]).
    pub value: Option<&'a Value>,
    /// The name of the variant, present if and only if the value is.
    pub variant: Option<&'a str>,
    /// Why.
    pub reason: Reason,
    /// How the subject came to its variant.
    pub assignment: Assignment,
    /// The flag that was resolved.
    pub flag: &'a Flag,
}

macro_rules! typed_read {
    ($(#[$doc:meta])* $name:ident -> $type:ty, $pattern:pat => $read:expr) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// [`ErrorCode::TypeMismatch`] if the value is of another type.
        pub fn $name(&self) -> Result<Option<$type>, ErrorCode> {
            match self.value {
                None => Ok(None),
                Some($pattern) => Ok(Some($read)),
                Some(_) => Err(ErrorCode::TypeMismatch),
            }
        }
    };
}

impl<'a> Resolution<'a> {
    typed_read! {
        /// The value of a boolean flag; `None` for the code default.
        as_bool -> bool, Value::Bool(value) => *value
    }
    typed_read! {
        /// The value of a string flag; `None` for the code default.
        as_str -> &'a str, Value::String(text) => text
    }
    typed_read! {
        /// The value of a number flag in double precision; `None` for the code default.
        as_f64 -> f64, Value::Number(number) => number.as_f64()
    }
    typed_read! {
        /// The value of a number flag as an integer; `None` for the code default. A fraction is cut
        /// off and what is out of range takes the nearest integer.
        as_i64 -> i64, Value::Number(number) => number.to_i64()
    }
    typed_read! {
        /// The value of an object flag; `None` for the code default.
        as_object -> &'a Object, Value::Object(object) => object
    }
}

/// Why a flag could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolutionError {
    /// In OpenFeature's words.
    pub code: ErrorCode,
    message: Cow<'static, str>,
}

impl ResolutionError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) const fn not_found() -> Self {
        let message = Cow::Borrowed("no flag of this key");
        Self { code: ErrorCode::FlagNotFound, message }
    }

    const fn broken() -> Self {
        let message = Cow::Borrowed("the flag has never had a definition that can be evaluated");
        Self { code: ErrorCode::ParseError, message }
    }

    #[cold]
    const fn null() -> Self {
        let message = Cow::Borrowed("the variant's value is null");
        Self { code: ErrorCode::TypeMismatch, message }
    }

    const fn not_a_number() -> Self {
        let message = Cow::Borrowed("the rule returned a number that is not finite");
        Self { code: ErrorCode::ParseError, message }
    }

    fn no_variant(what: &str) -> Self {
        let message = Cow::Owned(format!("the rule returned {what}, which names no variant"));
        Self { code: ErrorCode::General, message }
    }
}

impl fmt::Display for ResolutionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ResolutionError {}
