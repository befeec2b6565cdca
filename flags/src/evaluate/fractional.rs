//! `fractional`: a pseudo-random, stable choice among weighted variants.
//!
//! The operands are an optional value to bucket by, then entries `[variant, weight]`. Without a
//! value the flag key and the targeting key are used together, so that every flag splits its
//! subjects differently. Whatever cannot work answers null, and the default variant is served.

use super::{Data, Fault, Observer, Outcome, Scope, Walk};
use crate::bucket::{
    Generation, Murmur3, bucket_of, cbor_number, cbor_text, cbor_value, write_flag_key,
};
use crate::operand::Operand;
use crate::rule::{FLAGD, Operands};
use crate::split::{Entry, Split, total_weight};
use crate::value::Value;

/// One draw of a bucket, for explanations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hash: u32,
    pub(crate) bucket: u32,
    pub(crate) total: u32,
    pub(crate) weights: Vec<(String, u32)>,
}

/// What is hashed.
enum Unit<'a> {
    /// The flag key and the targeting key.
    Implicit,
    /// A value of the rule.
    Explicit(Operand<'a>),
}

impl<'a, O: Observer> Walk<'a, O> {
    /// The prepared form.
    pub(super) fn split(&mut self, split: &'a Split, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let unit = match &split.bucket_by {
            None => Unit::Implicit,
            Some(rule) => {
                let value = self.eval(rule, scope)?;
                if value.is_list() {
                    // A list in this place is one more entry.
                    let entries =
                        split.entries.iter().map(|entry| -> Operand<'a> { operand_of(entry) });
                    return self.draw_from(std::iter::once(value).chain(entries).collect(), scope);
                }
                match self.unit_of(value) {
                    Some(unit) => unit,
                    None => return Ok(Operand::NULL),
                }
            }
        };
        let entries = || split.entries.iter().map(|entry| (&entry.variant, entry.weight));
        let Some(bucket) = self.draw(&unit, split.total, entries, scope)? else {
            return Ok(Operand::NULL);
        };
        let mut end = 0;
        let hit = split.entries.iter().find(|entry| {
            end += entry.weight;
            bucket < end
        });
        Ok(hit.map_or(Operand::NULL, |entry| Operand::Borrowed(&entry.variant)))
    }

    /// The general form: every operand is evaluated first.
    pub(super) fn fractional(
        &mut self,
        operands: &'a Operands,
        scope: &Scope<'a, '_>,
    ) -> Outcome<'a> {
        match self.operands(operands, scope)? {
            Ok(items) => self.draw_from(items, scope),
            Err(_) => Ok(Operand::NULL),
        }
    }

    fn draw_from(&mut self, mut items: Vec<Operand<'a>>, scope: &Scope<'a, '_>) -> Outcome<'a> {
        let unit = match items.first() {
            None => return Ok(Operand::NULL),
            Some(first) if first.is_list() => Unit::Implicit,
            Some(_) => match self.unit_of(items.remove(0)) {
                Some(unit) => unit,
                None => return Ok(Operand::NULL),
            },
        };
        let generation = self.subject.flag.generation;
        let entries: Option<Vec<Entry>> =
            items.into_iter().map(|item| entry_of(item, generation)).collect();
        let Some(entries) = entries else { return Ok(Operand::NULL) };
        let Some(total) = total_weight(&entries) else { return Ok(Operand::NULL) };
        let weights = || entries.iter().map(|entry| (&entry.variant, entry.weight));
        let Some(bucket) = self.draw(&unit, total, weights, scope)? else {
            return Ok(Operand::NULL);
        };
        let mut end = 0;
        let hit = entries.into_iter().find(|entry| {
            end += entry.weight;
            bucket < end
        });
        Ok(hit.map_or(Operand::NULL, |entry| Operand::built(entry.variant)))
    }

    /// What a value that is no list buckets by; `None` if nothing can be.
    fn unit_of(&self, value: Operand<'a>) -> Option<Unit<'a>> {
        match (self.subject.flag.generation, value.value()) {
            (_, Some(Value::String(_))) => Some(Unit::Explicit(value)),
            (Generation::V2, Some(Value::Null)) => Some(Unit::Implicit),
            (Generation::V2, _) | (Generation::V3, Some(Value::Null)) => None,
            (Generation::V3, _) => Some(Unit::Explicit(value)),
        }
    }

    /// Draws a bucket in `0..total`; `None` if the subject has no bucket here.
    fn draw<'v, I: Iterator<Item = (&'v Value, u32)>>(
        &mut self,
        unit: &Unit<'a>,
        total: u32,
        entries: impl Fn() -> I,
        scope: &Scope<'a, '_>,
    ) -> Result<Option<u32>, Fault> {
        // flagd looks for its own data, which only an object can hold.
        let is_object = match &scope.data {
            Data::Element(element) => element.as_object().is_some(),
            Data::Context | Data::Reduction { .. } => true,
        };
        if total == 0 || !is_object {
            return Ok(None);
        }
        let Some((hash, bytes_hashed)) = self.hash(unit, scope) else { return Ok(None) };
        self.burn(bytes_hashed / 64)?;
        let bucket = bucket_of(hash, total);
        self.split = true;
        if O::WATCHES {
            let weights = entries().map(|(variant, weight)| (variant.to_string(), weight));
            let weights = weights.collect();
            let bytes = self.bytes(unit, scope);
            self.observer.draw(Draw { bytes, hash, bucket, total, weights });
        }
        Ok(Some(bucket))
    }

    /// The hash of what is bucketed by, and how many bytes that were; `None` if there is none.
    fn hash(&self, unit: &Unit<'a>, scope: &Scope<'a, '_>) -> Option<(u32, usize)> {
        let mut hasher = Murmur3::default();
        let mut length = 0;
        match (unit, &scope.data) {
            // The usual case: go on from the state after the flag key.
            (Unit::Implicit, Data::Context) => {
                let key = self.targeting_key(scope)?;
                hasher = self.subject.flag.seed;
                length = key.len();
                match self.subject.flag.generation {
                    Generation::V2 => hasher.write(key.as_bytes()),
                    Generation::V3 => cbor_text(key, &mut |piece| hasher.write(piece)),
                }
            }
            _ => self.feed(unit, scope, &mut |piece| {
                length += piece.len();
                hasher.write(piece);
            })?,
        }
        Some((hasher.finish(), length))
    }

    /// Hands out the bytes that are hashed.
    fn feed(
        &self,
        unit: &Unit<'a>,
        scope: &Scope<'a, '_>,
        out: &mut impl FnMut(&[u8]),
    ) -> Option<()> {
        match (unit, self.subject.flag.generation) {
            (Unit::Implicit, generation) => {
                let key = self.targeting_key(scope)?;
                write_flag_key(generation, self.flag_key(scope), out);
                match generation {
                    Generation::V2 => out(key.as_bytes()),
                    Generation::V3 => cbor_text(key, out),
                }
            }
            (Unit::Explicit(value), Generation::V2) => out(value.as_str()?.as_bytes()),
            (Unit::Explicit(value), Generation::V3) => match value.value()? {
                Value::String(text) => cbor_text(text, out),
                Value::Number(number) => cbor_number(*number, out),
                value => cbor_value(value, out),
            },
        }
        Some(())
    }

    fn bytes(&self, unit: &Unit<'a>, scope: &Scope<'a, '_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        // The hash was drawn from the same bytes, so there are some.
        let _ = self.feed(unit, scope, &mut |piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// The flag key that the data names: inside a loop there is none, unless the element has one.
    fn flag_key<'s>(&'s self, scope: &'s Scope<'a, '_>) -> &'s str {
        match &scope.data {
            Data::Context => self.subject.flag.key(),
            Data::Element(element) => element
                .as_object()
                .and_then(|object| match object.get(FLAGD) {
                    Some(Value::Object(flagd)) => flagd.get("flagKey")?.as_str(),
                    _ => None,
                })
                .unwrap_or_default(),
            Data::Reduction { .. } => "",
        }
    }
}

/// Reads an entry `[variant, weight?]`; `None` if that is not what it is.
fn entry_of(item: Operand<'_>, generation: Generation) -> Option<Entry> {
    let mut members = item.into_items().ok()?;
    let variant = members.next()?;
    let weight = members.next();
    Entry::new(variant.value()?, weight.as_ref().map(Operand::value), generation)
}

/// An entry as it might have been written.
fn operand_of(entry: &Entry) -> Operand<'static> {
    let members = [entry.variant.clone(), Value::from(i64::from(entry.weight))];
    Operand::built(Value::Array(members.into()))
}
