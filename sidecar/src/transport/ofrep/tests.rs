//! OFREP over real sockets.

use super::*;
use crate::transport::testing::{FLAGS, Reply, Served, World};

const BULK: &str = "/ofrep/v1/evaluate/flags";

async fn single(served: &Served, key: &str, body: &str) -> Reply {
    served.post(&format!("{BULK}/{key}"), &[("content-type", "application/json")], body).await
}

#[tokio::test]
async fn evaluates_one_flag() {
    let world = World::new(FLAGS);
    let served = world.ofrep(OfrepSettings::default()).await;
    for (key, body, expected) in [
        (
            "boolean",
            "{}",
            r#"{"key":"boolean","value":true,"reason":"STATIC","variant":"on","metadata":{"team":"float","owner":"ada"}}"#,
        ),
        (
            "targeted",
            r#"{"context":{"tier":"gold"}}"#,
            r#"{"key":"targeted","value":true,"reason":"TARGETING_MATCH","variant":"on","metadata":{"team":"float"}}"#,
        ),
        (
            "whole",
            "",
            r#"{"key":"whole","value":0.0,"reason":"STATIC","variant":"zero","metadata":{"team":"float"}}"#,
        ),
        (
            "list",
            r#"{"context":7}"#,
            r#"{"key":"list","value":[1,2],"reason":"STATIC","variant":"l","metadata":{"team":"float"}}"#,
        ),
        ("disabled", "{}", r#"{"key":"disabled","reason":"DISABLED","metadata":{"team":"float"}}"#),
        (
            "no-default",
            "{}",
            r#"{"key":"no-default","reason":"DEFAULT","metadata":{"team":"float"}}"#,
        ),
    ] {
        let reply = single(&served, key, body).await;
        assert_eq!((reply.status, reply.text()), (200, expected), "{key}");
    }
    let reply = single(&served, "in%2Fset", "{}").await;
    assert!(reply.text().starts_with(r#"{"key":"in/set","value":true"#), "{}", reply.text());
}

#[tokio::test]
async fn words_errors_as_flagd() {
    let world = World::new(FLAGS);
    let served = world.ofrep(OfrepSettings::default()).await;
    for (key, body, status, expected) in [
        (
            "absent",
            "{}",
            404,
            r#"{"key":"absent","errorCode":"FLAG_NOT_FOUND","errorDetails":"flag `absent` does not exist""#,
        ),
        (
            "unparsable",
            "{}",
            400,
            r#"{"key":"unparsable","errorCode":"PARSE_ERROR","errorDetails":"error parsing the flag `unparsable`"#,
        ),
        (
            "astray",
            "{}",
            400,
            r#"{"key":"astray","errorCode":"GENERAL","errorDetails":"error processing the flag for evaluation"#,
        ),
        (
            "boolean",
            "{",
            400,
            r#"{"key":"boolean","errorCode":"INVALID_CONTEXT","errorDetails":"Provider context is not valid"#,
        ),
        (
            "boolean",
            "[]",
            400,
            r#"{"key":"boolean","errorCode":"INVALID_CONTEXT","errorDetails":"Provider context is not valid"#,
        ),
    ] {
        let reply = single(&served, key, body).await;
        assert_eq!(reply.status, status, "{key}");
        assert!(reply.text().starts_with(expected), "{key}: {}", reply.text());
    }
    let deep = format!(r#"{{"context":{{"a":{}1{}}}}}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(single(&served, "boolean", &deep).await.status, 400);
    let wide: Vec<_> = (0..513).map(|i| format!("\"a{i}\":1")).collect();
    let reply =
        single(&served, "boolean", &format!("{{\"context\":{{{}}}}}", wide.join(","))).await;
    assert!(reply.text().contains("INVALID_CONTEXT"), "{}", reply.text());
    let reply = single(&served, "boolean", &" ".repeat(300 << 10)).await;
    assert_eq!(reply.status, 413);
    assert!(reply.text().contains("request body too large"), "{}", reply.text());

    assert_eq!(single(&served, "a%2", "{}").await.status, 400);
    assert_eq!(single(&served, "a/b", "{}").await.status, 404);
    assert_eq!(served.post("/ofrep/v1/configuration", &[], "").await.status, 404);
    let reply = served.exchange("GET", BULK, &[], b"").await;
    assert_eq!((reply.status, &*reply.headers["allow"]), (405, "POST"));
    let selector = [("flagd-selector", "team=x")];
    let reply = served.post(BULK, &selector, "{}").await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("invalid selector: invalid selector key"), "{}", reply.text());
}

#[tokio::test]
async fn the_error_of_a_flag_carries_its_metadata() {
    let world = World::new(FLAGS);
    let served = world.ofrep(OfrepSettings::default()).await;
    for key in ["astray", "unparsable"] {
        let text = single(&served, key, "{}").await.text().to_owned();
        assert!(text.ends_with(r#""metadata":{"team":"float"}}"#), "{text}");
    }
    let text = single(&served, "absent", "{}").await.text().to_owned();
    assert!(text.ends_with(r#""metadata":{}}"#), "{text}");
}

#[tokio::test]
async fn a_bulk_answer_has_every_flag_and_survives_broken_ones() {
    let world = World::new(FLAGS);
    let served = world.ofrep(OfrepSettings::default()).await;
    let reply = served.post(&format!("{BULK}/"), &[], "{}").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "application/json");
    let Ok(Value::Object(answer)) = json::read(&reply.bytes, 32) else {
        panic!("{}", reply.text())
    };
    let Some(Value::Array(flags)) = answer.get("flags") else { panic!("{}", reply.text()) };
    let member = |flag: &Value, name: &str| match flag {
        Value::Object(flag) => flag.get(name).and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let keys: Vec<_> = flags.iter().filter_map(|flag| member(flag, "key")).collect();
    assert_eq!(keys.len(), 14);
    assert_eq!(keys[0], "astray", "without a set first, then by key");
    assert_eq!(keys[13], "in/set");
    assert_eq!(member(&flags[0], "errorCode").as_deref(), Some("GENERAL"));
    assert_eq!(answer.get("metadata").unwrap().to_string(), "{}");

    let reply = served.post(BULK, &[("flagd-selector", "flagSetId=s1")], "").await;
    assert_eq!(
        reply.text(),
        r#"{"flags":[{"key":"in/set","value":true,"reason":"STATIC","variant":"on","metadata":{"team":"float","flagSetId":"s1"}}],"metadata":{"flagSetId":"s1"}}"#
    );
}

#[tokio::test]
async fn a_client_that_has_the_answer_is_told_so() {
    let mut world = World::new(FLAGS);
    let served = world.ofrep(OfrepSettings::default()).await;
    for path in [BULK.to_owned(), format!("{BULK}/boolean")] {
        let first = served.post(&path, &[], "{}").await;
        let tag = first.headers["etag"].clone();
        let again = served.post(&path, &[("if-none-match", &tag)], "{}").await;
        assert_eq!((again.status, again.bytes.len()), (304, 0));
        assert_eq!(again.headers["etag"], tag);
    }
    let tag = served.post(BULK, &[], "{}").await.headers["etag"].clone();
    world.publish(r#"{"flags":{}}"#);
    let changed = served.post(BULK, &[("if-none-match", &tag)], "{}").await;
    assert_eq!((changed.status, changed.text()), (200, r#"{"flags":[],"metadata":{}}"#));
}

#[tokio::test]
async fn foreign_pages_are_refused_in_json() {
    let world = World::new(FLAGS);
    let served = world.ofrep(OfrepSettings::default()).await;
    let reply = served.post(BULK, &[("origin", "https://evil.example")], "{}").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().starts_with(r#"{"errorCode":"GENERAL""#), "{}", reply.text());
    let scrape = world.metrics.scrape().unwrap();
    assert!(scrape.contains("outrigger_limit_hits_total{limit=\"origin\"} 1"), "{scrape}");
}
