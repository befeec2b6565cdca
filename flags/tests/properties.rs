//! What holds for every rule, context and document, and needs nobody to compare with.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::HashMap;
use std::fmt::Write;

use outrigger_flags::limits::FUEL_STEPS;
use outrigger_flags::{
    ErrorCode, EvaluationContext, Explanation, Format, Generation, LoadOptions, Loaded, Resolution,
    ResolutionError, SourceName, Step, UnixSeconds, Value, json, load,
};
use proptest::prelude::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn document(targeting: &str, generation: Generation) -> Loaded {
    let text = format!(
        r#"{{"flags":{{"f":{{"state":"ENABLED","variants":{{"a":1,"b":2,"c":3,"true":4,"1":5}},
            "defaultVariant":"a","targeting":{targeting}}}}},
            "$evaluators":{{"e":{{"var":"x"}},"list":{{"var":"l"}}}}}}"#
    );
    let options = LoadOptions { source: SourceName::new("test"), generation };
    load(text.as_bytes(), Format::Json, &options, None).unwrap()
}

fn context(text: &str) -> EvaluationContext {
    let Value::Object(attributes) = json::read(text.as_bytes(), 16).unwrap() else {
        panic!("a context is an object: {text}");
    };
    EvaluationContext::from_object(attributes).unwrap()
}

type Answer = Result<(Option<String>, &'static str, &'static str), ResolutionError>;

fn answer(resolution: &Result<Resolution<'_>, ResolutionError>) -> Answer {
    let found = resolution.as_ref().map_err(Clone::clone)?;
    let variant = found.variant.map(str::to_owned);
    Ok((variant, found.reason.as_str(), found.assignment.as_str()))
}

// === bucketing ===

fn any_generation() -> impl Strategy<Value = Generation> {
    prop_oneof![Just(Generation::V2), Just(Generation::V3)]
}

fn fractional(weights: &[u32]) -> String {
    let mut rule = r#"{"fractional":["#.to_owned();
    for (place, (name, weight)) in ["a", "b", "c", "true"].iter().zip(weights).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(rule, r#"{comma}["{name}",{weight}]"#).unwrap();
    }
    rule + "]}"
}

/// The place of the variant that each of so many subjects gets.
fn shares(weights: &[u32], generation: Generation, seed: u32, subjects: u32) -> Vec<usize> {
    let loaded = document(&fractional(weights), generation);
    let flag = &loaded.layer.flags()[0];
    (0..subjects)
        .map(|subject| {
            let mut context = EvaluationContext::new();
            context.set("targetingKey", Value::from(format!("{seed}-{subject}"))).unwrap();
            let variant = flag.resolve(&context, NOW).unwrap().variant.unwrap();
            ["a", "b", "c", "true"].iter().position(|name| *name == variant).unwrap()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shares_are_as_large_as_their_weights(
        weights in prop::collection::vec(0_u32..60, 2..5),
        generation in any_generation(),
        seed in any::<u32>(),
    ) {
        const SUBJECTS: u32 = 3_000;
        let total: u32 = weights.iter().sum();
        prop_assume!(total > 0);
        let drawn = shares(&weights, generation, seed, SUBJECTS);
        for (place, weight) in weights.iter().enumerate() {
            let share = f64::from(*weight) / f64::from(total);
            let hits = drawn.iter().filter(|hit| **hit == place).count();
            let expected = share * f64::from(SUBJECTS);
            // Six standard deviations of a binomial: never by chance.
            let tolerance = 6.0 * (expected * (1.0 - share)).sqrt() + 1e-9;
            let off = (f64::from(u32::try_from(hits).unwrap()) - expected).abs();
            prop_assert!(off <= tolerance, "{weights:?}: {hits} of {place}, not {expected}");
        }
    }

    #[test]
    fn an_appended_variant_only_takes_from_those_before_it(
        weights in prop::collection::vec(1_u32..60, 1..4),
        appended in 1_u32..60,
        generation in any_generation(),
        seed in any::<u32>(),
    ) {
        let before = shares(&weights, generation, seed, 300);
        let mut more = weights.clone();
        more.push(appended);
        let after = shares(&more, generation, seed, 300);
        for (before, after) in before.iter().zip(after) {
            prop_assert!(after >= *before, "{weights:?} + {appended}: {before} became {after}");
        }
    }

    #[test]
    fn splitting_the_last_share_moves_nobody_else(
        mut weights in prop::collection::vec(2_u32..60, 1..4),
        generation in any_generation(),
        seed in any::<u32>(),
    ) {
        let before = shares(&weights, generation, seed, 300);
        let last = weights.pop().unwrap();
        weights.extend([last / 2, last - last / 2]);
        let split = weights.len() - 2;
        for (before, after) in before.into_iter().zip(shares(&weights, generation, seed, 300)) {
            prop_assert_eq!(before.min(split), after.min(split));
        }
    }
}

// === rules ===

const OPERATORS: &str = "var missing missing_some if ?: and or ! !! == != === !== < <= > >= + - * / % \
    abs min max map filter reduce all some none merge in cat substr set contains_all contains_any \
    contains_none starts_with ends_with sem_ver fractional no_such_operator";
/// Paths, versions and texts that are nearly numbers, apart by bars.
const TEXTS: &str = "|a|b|x|l|o.k|l.0|u.1.v|targetingKey|$flagd.flagKey|current|accumulator|1.2.3|^|1e3|\
    1e999|nan|é\u{1f600}|\u{a0} |0";

fn any_text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(TEXTS.split('|').collect::<Vec<_>>())
}

fn any_operator() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(OPERATORS.split_whitespace().collect::<Vec<_>>())
}

fn any_literal() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => any_text().prop_map(|text| Value::from(text).to_string()),
        1 => ".{0,4}".prop_map(|text| Value::from(text).to_string()),
        2 => (-3_i64..30).prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_filter_map("finite", |number| {
            number.is_finite().then(|| format!("{number:?}"))
        }),
        1 => prop::sample::select(&[
            "null", "true", "false", "{}", "[]", "-0.0", "2147483647", "2147483648",
            "18446744073709551615", r#"{"a":1,"b":2}"#, r#"{"$ref":"e"}"#, r#"{"$ref":"list"}"#,
        ][..]).prop_map(str::to_owned),
        2 => any_text().prop_map(|path| {
            format!(r#"{{"var":{}}}"#, Value::from(path))
        }),
    ]
}

fn any_rule() -> impl Strategy<Value = String> {
    any_literal().prop_recursive(5, 40, 4, |inner| {
        let operator = any_operator();
        let list = prop::collection::vec(inner.clone(), 0..5)
            .prop_map(|items| format!("[{}]", items.join(",")));
        let application = move |operands: BoxedStrategy<String>| {
            (operator.clone(), operands)
                .prop_map(|(operator, operands)| format!(r#"{{"{operator}":{operands}}}"#))
        };
        prop_oneof![
            6 => application(list.clone().boxed()),
            1 => application(inner.boxed()),
            1 => list,
        ]
    })
}

fn any_context() -> impl Strategy<Value = EvaluationContext> {
    let scalar = || any_literal().prop_filter("data", |text| !text.contains("\"$ref\""));
    let list = prop::collection::vec(scalar(), 0..5).prop_map(|items| items.join(","));
    (scalar(), list, scalar(), prop::option::of(".{0,6}"), scalar()).prop_map(
        |(x, l, k, key, v)| {
            let key = key.map_or("5".to_owned(), |key| Value::from(key).to_string());
            context(&format!(
                r#"{{"x":{x},"l":[{l}],"o":{{"k":{k}}},"targetingKey":{key},
                    "u":[{{"v":{v},"k":[1,"a"],"targetingKey":"u"}},{{"v":2}},{k}]}}"#
            ))
        },
    )
}

fn steps(step: &Step) -> usize {
    1 + step.operands.iter().map(steps).sum::<usize>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_explanation_resolves_to_the_same_and_again_to_the_same(
        rule in any_rule(),
        context in any_context(),
        generation in any_generation(),
    ) {
        let loaded = document(&rule, generation);
        let flag = &loaded.layer.flags()[0];
        let resolved = answer(&flag.resolve(&context, NOW));
        let Explanation { resolution, rule: explained, .. } = flag.explain(&context, NOW);
        prop_assert_eq!(&answer(&resolution), &resolved, "{}", rule);
        prop_assert_eq!(answer(&flag.resolve(&context, NOW)), resolved);
        if let Some(root) = explained {
            prop_assert!(steps(&root) <= FUEL_STEPS as usize);
            prop_assert!(!root.to_string().is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_definition_loads_to_an_equal_flag(rule in any_rule(), context in any_context()) {
        let loaded = document(&rule, Generation::V2);
        let flag = &loaded.layer.flags()[0];
        let Some(definition) = flag.definition() else { return Ok(()) };
        let text = format!(r#"{{"flags":{{"f":{definition}}}}}"#);
        let options =
            LoadOptions { source: SourceName::new("test"), generation: Generation::V2 };
        let copy = load(text.as_bytes(), Format::Json, &options, None).unwrap().layer;
        let copy = &copy.flags()[0];
        prop_assert_eq!(copy.definition(), Some(definition));
        let (original, again) = (flag.resolve(&context, NOW), copy.resolve(&context, NOW));
        prop_assert_eq!(answer(&original), answer(&again), "{}", rule);
    }
}

// === the budget ===

/// Rules whose work grows with the square of the context: each would take seconds without a budget
/// that counts what is read.
#[test]
fn no_rule_outruns_its_budget() {
    let long: HashMap<&str, String> = HashMap::from([
        ("items", format!("[{}1]", "1,".repeat(24_000))),
        ("lists", format!("[{}[1,2]]", "[1,2],".repeat(24_000))),
        ("digits", format!("\"{}\"", "1".repeat(200_000))),
        ("blanks", format!("\"{}\"", " ".repeat(200_000))),
        ("version", format!("\"1.0.0-{}a\"", "a.".repeat(50_000))),
        ("zeros", format!("[\"{}\",1]", "0".repeat(200_000))),
        (
            "wide",
            format!(
                "{{{}\"z\":1}}",
                (0..20_000).fold(String::new(), |mut text, n| {
                    write!(text, "\"k{n:05}\":1,").unwrap();
                    text
                })
            ),
        ),
    ]);
    let members: Vec<String> =
        long.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let context = context(&format!("{{{}}}", members.join(",")));
    let each = |body: &str| format!(r#"{{"filter":[{{"var":"items"}},{body}]}}"#);
    for rule in [
        each(r#"{"map":[{"var":"items"},{"var":""}]}"#),
        r#"{"reduce":[{"var":"items"},{"cat":[{"var":"accumulator"},"0123456789"]},""]}"#
            .to_owned(),
        each(r#"{"reduce":[{"var":"items"},{"+":[{"var":"current"},{"var":"accumulator"}]},0]}"#),
        each(r#"{"filter":[{"var":"items"},{"==":[{"var":""},2]}]}"#),
        each(r#"{"in":[9,{"var":"lists"}]}"#),
        each(r#"{"in":[1,{"var":"zeros"}]}"#),
        each(r#"{"min":{"var":"zeros"}}"#),
        each(r#"{"max":{"var":"items"}}"#),
        each(r#"{"!":{"var":"items"}}"#),
        each(r#"{"merge":[{"var":"items"},{"var":"items"}]}"#),
        each(r#"{"fractional":{"var":"lists"}}"#),
        each(r#"{"contains_any":[{"var":"items"},{"var":"lists"}]}"#),
        each(r#"{">":[{"var":"digits"},{"var":""}]}"#),
        each(r#"{">":[{"var":"blanks"},{"var":""},1]}"#),
        each(r#"{"+":[{"var":"digits"},1]}"#),
        each(r#"{"substr":["x",{"var":"digits"}]}"#),
        each(r#"{"==":[{"var":"digits"},{"cat":[{"var":"digits"},""]}]}"#),
        each(r#"{"sem_ver":[{"var":"version"},"=",{"var":"version"}]}"#),
        each(r#"{"==":[{"var":"wide.none"},{"var":""}]}"#),
        each(r#"{"set":[{"var":"wide"},"k",1]}"#),
    ] {
        let loaded = document(&rule, Generation::V2);
        let error = loaded.layer.flags()[0].resolve(&context, NOW).unwrap_err();
        assert_eq!(error.code, ErrorCode::General, "{rule}");
        assert!(error.to_string().contains("more steps"), "{rule}: {error}");
    }
}
