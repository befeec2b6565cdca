//! Evaluation without a protocol: one revision per answer, and what is counted.

use std::borrow::Cow;

use outrigger_flags::{ErrorCode, Object, Value, json};

use super::*;
use crate::transport::testing::{FLAGS, World, soon};

fn object(text: &str) -> Object {
    match json::read(text.as_bytes(), 16).unwrap() {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}

fn no_header(_: &str) -> Option<Cow<'static, str>> {
    None
}

#[test]
fn later_attributes_win_and_limits_hold() {
    let enrichment = Enrichment {
        values: vec![("a".into(), Value::from("static")), ("b".into(), Value::from("static"))],
        headers: vec![("h".into(), "b".into()), ("empty".into(), "a".into())],
    };
    let world = World::enriched(FLAGS, enrichment);
    let header = |name: &str| match name {
        "h" => Some(Cow::Borrowed("header")),
        "empty" => Some(Cow::Borrowed("")),
        _ => None,
    };
    let asked = object(r#"{"a":"request","b":"request","c":"request"}"#);
    let subject = world.evaluation.subject(asked, header).unwrap();
    let attribute = |name: &str| subject.context.get(name).and_then(Value::as_str);
    assert_eq!(attribute("a"), Some("static"));
    assert_eq!(attribute("b"), Some("header"));
    assert_eq!(attribute("c"), Some("request"));

    let many: Object = (0..513).map(|i| (format!("x{i}").into(), Value::Null)).collect();
    let refused = world.evaluation.subject(many, no_header);
    assert!(matches!(refused, Err(EvaluationError::Context(_))));
}

#[test]
fn a_refused_type_counts_as_an_error_and_an_unknown_key_has_no_series() {
    let world = World::new(FLAGS);
    let subject = world.evaluation.subject(Object::default(), no_header).unwrap();
    let resolve = |key: &str| {
        world.evaluation.resolve(&subject, key, |r| r.as_bool()?.ok_or(ErrorCode::FlagNotFound))
    };
    assert_eq!(resolve("boolean"), Ok(true));
    assert!(resolve("string").is_err());
    assert!(resolve("never-heard-of").is_err());
    let scrape = world.metrics.scrape().unwrap();
    for part in [
        r#"feature_flag_key="boolean",feature_flag_provider_name="flagd",feature_flag_reason="STATIC""#,
        r#"feature_flag_key="string",feature_flag_provider_name="flagd",feature_flag_reason="ERROR""#,
        r#"feature_flag_key="_unknown",feature_flag_provider_name="flagd",feature_flag_reason="ERROR""#,
    ] {
        assert!(scrape.contains(part), "{part} is missing in:\n{scrape}");
    }
    assert!(!scrape.contains("never-heard-of"));
}

/// Writers and readers race; every bulk answer must be of one revision.
#[test]
fn a_bulk_answer_is_one_revision() {
    let document = |seq: usize| {
        let flag = |key: usize| {
            format!(
                r#""f{key}":{{"state":"ENABLED","variants":{{"v":{seq}}},"defaultVariant":"v"}}"#
            )
        };
        let flags: Vec<_> = (0..FLAGS_AT_ONCE * 2).map(flag).collect();
        format!(r#"{{"flags":{{{}}}}}"#, flags.join(","))
    };
    let mut world = World::new(&document(0));
    let evaluation = world.evaluation.clone();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let subject = evaluation.subject(Object::default(), no_header).unwrap();
            let mut answers = Vec::new();
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let mut values = Vec::new();
                runtime.block_on(evaluation.resolve_all(&subject, Scope::Flags, |_, resolved| {
                    values.push(resolved.unwrap().as_i64().unwrap().unwrap());
                }));
                answers.push(values);
            }
            answers
        });
        for seq in 1..100 {
            world.publish(&document(seq));
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap()
    });
    for values in &answers {
        assert!(values.iter().all(|value| value == &values[0]), "torn: {values:?}");
    }
    let seen: std::collections::HashSet<_> = answers.iter().map(|values| values[0]).collect();
    assert!(seen.len() > 1, "the race did not take place");
}

#[tokio::test]
async fn a_bulk_answer_of_many_flags_lets_others_go_on() {
    let flag = |key| format!(r#""f{key}":{{"state":"ENABLED","variants":{{"v":1}}}}"#);
    let flags: Vec<_> = (0..FLAGS_AT_ONCE * 3).map(flag).collect();
    let world = World::new(&format!(r#"{{"flags":{{{}}}}}"#, flags.join(",")));
    let subject = world.evaluation.subject(Object::default(), no_header).unwrap();
    let visited = std::cell::Cell::new(0);
    let visit =
        |_: &Flag, _: Result<&Resolution<'_>, &ResolutionError>| visited.set(visited.get() + 1);
    let bulk = world.evaluation.resolve_all(&subject, Scope::Flags, visit);
    let ((), meanwhile) = tokio::join!(bulk, async { visited.get() });
    assert!(meanwhile < FLAGS_AT_ONCE, "{meanwhile} flags without a pause");
    assert_eq!(visited.get(), flags.len());
}

#[tokio::test]
async fn subscribers_share_one_comparison_and_lose_nothing_when_dropped_in_between() {
    let flag = |default: &str| {
        format!(
            r#"{{"flags":{{"a":{{"state":"ENABLED","variants":{{"x":1,"y":2}},"defaultVariant":"{default}"}}}}}}"#
        )
    };
    let mut world = World::new(&flag("x"));
    let mut one = world.evaluation.subscribe(Selector::Any);
    let mut other = world.evaluation.subscribe(Selector::Any);
    world.publish(&flag("y"));
    let (first, second) = (one.changed().await.unwrap(), other.changed().await.unwrap());
    assert!(Arc::ptr_eq(&first.changes, &second.changes));

    world.publish(&flag("x"));
    // A comparison that others wait for: the future is dropped while it waits.
    let held = world.evaluation.inner.comparisons.hold().await;
    tokio::select! {
        biased;
        _ = one.changed() => panic!("the comparison is held"),
        () = tokio::task::yield_now() => {}
    }
    drop(held);
    assert_eq!(soon(one.changed()).await.unwrap().changes.len(), 1);
}

#[tokio::test]
async fn a_subscription_skips_what_it_was_too_slow_for() {
    let flag = |default: &str| {
        format!(
            r#"{{"flags":{{"a":{{"state":"ENABLED","variants":{{"x":1,"y":2}},"defaultVariant":"{default}"}}}}}}"#
        )
    };
    let mut world = World::new(&flag("x"));
    let mut subscription = world.evaluation.subscribe(Selector::Any);
    let mut other = world.evaluation.subscribe(Selector::parse("flagSetId=s").unwrap());
    world.publish(&flag("y"));
    world.publish(&flag("x"));
    world.publish(&flag("y"));
    let update = soon(subscription.changed()).await.unwrap();
    assert_eq!(update.changes.len(), 1);
    assert_eq!(subscription.snapshot().revision().seq, 4);
    world.publish(&flag("x"));
    world.publish(&flag("y"));
    // There and back again is no change.
    tokio::select! {
        biased;
        _ = subscription.changed() => panic!("nothing differs from what was seen"),
        _ = other.changed() => panic!("nothing of this set changed"),
        () = tokio::task::yield_now() => {}
    }
    drop(world);
}
