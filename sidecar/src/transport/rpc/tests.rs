//! The evaluation listener over real sockets, in every protocol.

use outrigger_flags::Value as FlagValue;
use outrigger_proto::flagd::evaluation::v1::service_client::ServiceClient as V1;
use outrigger_proto::flagd::evaluation::v2::service_client::ServiceClient as V2;
use outrigger_proto::flagd::evaluation::{v1, v2};
use outrigger_proto::flagd::sync::v1::FetchAllFlagsRequest;
use prost::Message;
use prost_types::Struct;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::*;
use crate::evaluation::Enrichment;
use crate::transport::structs;
use crate::transport::testing::{FLAGS, Served, World, soon};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn context(text: &str) -> Option<Struct> {
    match outrigger_flags::json::read(text.as_bytes(), 32).unwrap() {
        FlagValue::Object(object) => Some(structs::write(object.iter())),
        _ => None,
    }
}

async fn boolean(
    client: &mut V1<Channel>,
    key: &str,
    attributes: &str,
) -> Result<v1::ResolveBooleanResponse, Status> {
    let request =
        v1::ResolveBooleanRequest { flag_key: key.to_owned(), context: context(attributes) };
    client.resolve_boolean(request).await.map(tonic::Response::into_inner)
}

async fn boolean_v2(
    client: &mut V2<Channel>,
    key: &str,
) -> Result<v2::ResolveBooleanResponse, Status> {
    let request = v2::ResolveBooleanRequest { flag_key: key.to_owned(), context: None };
    client.resolve_boolean(request).await.map(tonic::Response::into_inner)
}

fn code(result: Result<impl std::fmt::Debug, Status>) -> (Code, String) {
    let status = result.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn grpc_v1_answers_as_flagd() {
    let world = World::new(FLAGS);
    let mut client = V1::new(world.rpc(RpcSettings::default()).await.channel().await);

    let answer = boolean(&mut client, "boolean", "{}").await.unwrap();
    assert_eq!((answer.value, &*answer.reason, &*answer.variant), (true, "STATIC", "on"));
    assert_eq!(answer.metadata, context(r#"{"owner": "ada", "team": "float"}"#));

    let answer = boolean(&mut client, "targeted", r#"{"tier": "gold"}"#).await.unwrap();
    assert_eq!((answer.value, &*answer.reason), (true, "TARGETING_MATCH"));
    let answer = boolean(&mut client, "targeted", "{}").await.unwrap();
    assert_eq!((answer.value, &*answer.reason, &*answer.variant), (false, "DEFAULT", "off"));
    let answer = boolean(&mut client, "disabled", "{}").await.unwrap();
    assert_eq!((answer.value, &*answer.reason, &*answer.variant), (false, "DISABLED", ""));

    for (key, expected) in [
        ("absent", (Code::NotFound, "Flag not found")),
        ("no-default", (Code::NotFound, "Flag not found")),
        ("string", (Code::InvalidArgument, "Type mismatch error")),
        ("unparsable", (Code::DataLoss, "Error parsing input or configuration")),
        ("astray", (Code::Internal, "General error")),
    ] {
        let (found, message) = code(boolean(&mut client, key, "{}").await);
        assert_eq!(found, expected.0, "{key}");
        assert!(message.starts_with(expected.1), "{key}: {message}");
    }
}

#[tokio::test]
async fn grpc_v1_reads_every_type() {
    let world = World::new(FLAGS);
    let mut client = V1::new(world.rpc(RpcSettings::default()).await.channel().await);
    let flag_key = |key: &str| key.to_owned();

    let request = v1::ResolveStringRequest { flag_key: flag_key("string"), context: None };
    let answer = client.resolve_string(request).await.unwrap().into_inner();
    assert_eq!(answer.value, "hello \"you\"");
    let request = v1::ResolveFloatRequest { flag_key: flag_key("float"), context: None };
    assert_eq!(client.resolve_float(request).await.unwrap().into_inner().value, 0.5);
    let request = v1::ResolveIntRequest { flag_key: flag_key("int"), context: None };
    assert_eq!(client.resolve_int(request).await.unwrap().into_inner().value, 9007199254740993);
    let request = v1::ResolveIntRequest { flag_key: flag_key("fraction"), context: None };
    assert_eq!(client.resolve_int(request).await.unwrap().into_inner().value, -1);
    let request = v1::ResolveObjectRequest { flag_key: flag_key("object"), context: None };
    let answer = client.resolve_object(request).await.unwrap().into_inner();
    assert_eq!(answer.value, context(r#"{"a": [1, {"b": null}]}"#));
    let request = v1::ResolveObjectRequest { flag_key: flag_key("disabled"), context: None };
    let answer = client.resolve_object(request).await.unwrap().into_inner();
    assert_eq!(answer.value, Some(Struct::default()));
}

#[tokio::test]
async fn grpc_v2_leaves_the_code_default_to_the_client() {
    let world = World::new(FLAGS);
    let mut client = V2::new(world.rpc(RpcSettings::default()).await.channel().await);
    let answer = boolean_v2(&mut client, "boolean").await.unwrap();
    assert_eq!((answer.value, answer.variant.as_deref()), (Some(true), Some("on")));
    for (key, reason) in [("no-default", "DEFAULT"), ("disabled", "DISABLED")] {
        let answer = boolean_v2(&mut client, key).await.unwrap();
        assert_eq!((answer.value, answer.variant, &*answer.reason), (None, None, reason));
    }
    assert_eq!(code(boolean_v2(&mut client, "absent").await).0, Code::NotFound);
}

#[tokio::test]
async fn selectors_and_enrichment_apply() {
    let enrichment = Enrichment {
        values: vec![("tier".to_owned(), FlagValue::from("gold"))],
        headers: vec![("X-Tier".to_owned(), "tier".to_owned())],
    };
    let world = World::enriched(FLAGS, enrichment);
    let served = world.rpc(RpcSettings::default()).await;
    let ask = async |key: &str, header: (&str, &str)| {
        let body = format!(r#"{{"flagKey":"{key}","context":{{"tier":"lead"}}}}"#);
        let headers = [JSON[0], header];
        let reply =
            served.post("/flagd.evaluation.v1.Service/ResolveBoolean", &headers, &body).await;
        (reply.status, reply.text().to_owned())
    };
    let (_, text) = ask("targeted", ("x-other", "1")).await;
    assert!(text.contains("TARGETING_MATCH"), "the operator's value wins: {text}");
    let (_, text) = ask("targeted", ("x-tier", "tin")).await;
    assert!(text.contains("DEFAULT"), "the header's value wins over all: {text}");
    let (_, text) = ask("targeted", ("x-tier", "")).await;
    assert!(text.contains("TARGETING_MATCH"), "an empty header is ignored: {text}");

    let (status, text) = ask("in/set", ("flagd-selector", "flagSetId=s1")).await;
    assert_eq!(status, 200);
    assert!(text.contains(r#""flagSetId":"s1""#), "{text}");
    let (status, _) = ask("boolean", ("flagd-selector", "flagSetId=s1")).await;
    assert_eq!(status, 404);
    let (status, text) = ask("boolean", ("flagd-selector", "team=x")).await;
    assert_eq!(status, 400);
    let expected = r#"{"code":"invalid_argument","message":"invalid selector key \"team\", "#;
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test]
async fn connect_json_speaks_proto3_json() {
    let world = World::new(FLAGS);
    let served = world.rpc(RpcSettings::default()).await;
    let ask = async |method: &str, key: &str| {
        let path = format!("/flagd.evaluation.{method}");
        served.post(&path, &JSON, &format!(r#"{{"flagKey":"{key}","later":1}}"#)).await
    };
    let team = r#""metadata":{"team":"float"}}"#;
    for (method, key, expected) in [
        (
            "v1.Service/ResolveString",
            "string",
            format!(r#"{{"value":"hello \"you\"","reason":"STATIC","variant":"hi",{team}"#),
        ),
        (
            "v1.Service/ResolveInt",
            "int",
            format!(r#"{{"value":"9007199254740993","reason":"STATIC","variant":"big",{team}"#),
        ),
        (
            "v2.Service/ResolveFloat",
            "float",
            format!(r#"{{"value":0.5,"reason":"STATIC","variant":"half",{team}"#),
        ),
        (
            "v1.Service/ResolveBoolean",
            "disabled",
            format!(r#"{{"value":false,"reason":"DISABLED","variant":"",{team}"#),
        ),
        ("v2.Service/ResolveBoolean", "disabled", format!(r#"{{"reason":"DISABLED",{team}"#)),
        ("v2.Service/ResolveObject", "disabled", format!(r#"{{"reason":"DISABLED",{team}"#)),
        (
            "v2.Service/ResolveObject",
            "object",
            format!(r#"{{"value":{{"a":[1,{{"b":null}}]}},"reason":"STATIC","variant":"o",{team}"#),
        ),
    ] {
        let reply = ask(method, key).await;
        assert_eq!((reply.status, reply.text()), (200, &*expected), "{method} {key}");
        assert_eq!(reply.headers["content-type"], "application/json");
    }
    let reply = ask("v1.Service/ResolveBoolean", "absent").await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.text(), r#"{"code":"not_found","message":"Flag not found"}"#);
    assert_eq!(ask("v1.Service/ResolveBoolean", "unparsable").await.status, 500);
    assert_eq!(ask("v1.Service/ResolveBoolean", "string").await.status, 400);
}

#[tokio::test]
async fn connect_proto_is_the_bare_message() {
    let world = World::new(FLAGS);
    let served = world.rpc(RpcSettings::default()).await;
    let request = v1::ResolveBooleanRequest { flag_key: "boolean".to_owned(), context: None };
    let headers = [("content-type", "application/proto")];
    let path = "/flagd.evaluation.v1.Service/ResolveBoolean";
    let reply = served.exchange("POST", path, &headers, &request.encode_to_vec()).await;
    assert_eq!(reply.headers["content-type"], "application/proto");
    assert!(v1::ResolveBooleanResponse::decode(&*reply.bytes).unwrap().value);
}

#[tokio::test]
async fn grpc_web_carries_its_trailers_in_the_body() {
    let world = World::new(FLAGS);
    let served = world.rpc(RpcSettings::default()).await;
    let headers = [("content-type", "application/grpc-web+proto")];
    let path = "/flagd.evaluation.v1.Service/ResolveBoolean";
    let ask = async |key: &str| {
        let request = v1::ResolveBooleanRequest { flag_key: key.to_owned(), context: None };
        let body = framing::frame(framing::MESSAGE, &request.encode_to_vec());
        served.exchange("POST", path, &headers, &body).await
    };
    let reply = ask("boolean").await;
    let trailers = framing::frame(framing::GRPC_WEB_TRAILERS, b"grpc-status:0\r\n");
    assert!(reply.bytes.ends_with(&trailers), "{:?}", reply.bytes);
    let reply = ask("absent").await;
    assert_eq!((reply.status, &*reply.headers["grpc-status"]), (200, "5"));
}

#[tokio::test]
async fn resolve_all_is_typed_by_the_default_variant() {
    let world = World::new(FLAGS);
    let served = world.rpc(RpcSettings::default()).await;
    let mut client = V1::new(served.channel().await);
    let request = v1::ResolveAllRequest { context: None };
    let answer = client.resolve_all(request).await.unwrap().into_inner();
    let mut keys: Vec<_> = answer.flags.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "astray",
        "boolean",
        "disabled",
        "float",
        "fraction",
        "in/set",
        "int",
        "object",
        "string",
        "targeted",
        "unparsable",
        "whole",
    ];
    assert_eq!(keys, expected, "without a default or with a list there is no type");
    let astray = &answer.flags["astray"];
    assert_eq!(astray.reason, "ERROR");
    assert_eq!(astray.value, Some(v1::any_flag::Value::BoolValue(false)));
    assert_eq!(answer.flags["disabled"].reason, "DISABLED");
    assert_eq!(answer.metadata, Some(Struct::default()));

    let path = "/flagd.evaluation.v1.Service/ResolveAll";
    let reply = served.post(path, &[JSON[0], ("flagd-selector", "flagSetId=s1")], "{}").await;
    let expected = r#"{"flags":{"in/set":{"reason":"STATIC","variant":"on","boolValue":true,"metadata":{"team":"float","flagSetId":"s1"}}},"metadata":{"flagSetId":"s1"}}"#;
    assert_eq!(reply.text(), expected);
}

#[tokio::test]
async fn whatever_is_wrong_gets_a_typed_answer() {
    let settings = RpcSettings {
        limits: ServerLimits {
            body_bytes: 1_000,
            body_timeout: Duration::from_millis(200),
            ..ServerLimits::default()
        },
        ..RpcSettings::default()
    };
    let world = World::new(FLAGS);
    let served = world.rpc(settings).await;
    let path = "/flagd.evaluation.v1.Service/ResolveBoolean";
    let status = async |method: &str, path: &str, content_type: &str, body: &str| {
        let headers = [("content-type", content_type)];
        served.exchange(method, path, &headers, body.as_bytes()).await.status
    };
    let json = "application/json";
    assert_eq!(status("POST", "/nope", json, "{}").await, 404);
    assert_eq!(status("GET", "/", "", "").await, 404);
    assert_eq!(status("GET", path, json, "").await, 405);
    assert_eq!(status("POST", path, "text/plain", "{}").await, 415);
    assert_eq!(status("POST", path, "application/connect+json", "{}").await, 415);
    assert_eq!(status("POST", path, "application/grpc", "").await, 505);
    assert_eq!(status("POST", path, json, "").await, 400);
    assert_eq!(status("POST", path, json, "[").await, 400);
    assert_eq!(status("POST", path, "application/json; charset=utf-8", "{}").await, 404);
    assert_eq!(status("POST", path, "Application/JSON", "{}").await, 404, "an unknown flag");
    assert_eq!(status("POST", path, json, &" ".repeat(5_000)).await, 429);
    assert_eq!(status("POST", path, json, &" ".repeat(500_000)).await, 429);
    let stream = "/flagd.evaluation.v1.Service/EventStream";
    assert_eq!(status("POST", stream, json, "{}").await, 415);
    let deep = format!(r#"{{"context":{{"a":{}1{}}}}}"#, "[".repeat(20), "]".repeat(20));
    assert_eq!(status("POST", path, json, &deep).await, 400);

    let headers = [JSON[0], ("content-encoding", "gzip")];
    assert_eq!(served.post(path, &headers, "{}").await.status, 501);
    let headers = [JSON[0], ("connect-protocol-version", "2")];
    assert_eq!(served.post(path, &headers, "{}").await.status, 400);
    let headers = [JSON[0], ("connect-protocol-version", "1")];
    assert_eq!(served.post(path, &headers, "{}").await.status, 404, "an unknown flag");
    let slow = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {json}\r\ncontent-length: 10\r\n\
         connection: close\r\n\r\n{{"
    );
    assert_eq!(served.send(slow.as_bytes()).await.status, 408);
    let scrape = world.metrics.scrape().unwrap();
    assert!(scrape.contains("outrigger_limit_hits_total{limit=\"body_bytes\"} 2"), "{scrape}");
    assert!(scrape.contains("outrigger_limit_hits_total{limit=\"body_timeout\"} 1"), "{scrape}");
}

#[tokio::test]
async fn a_grpc_client_learns_what_was_wrong() {
    let world = World::new(FLAGS);
    let served = world.rpc(RpcSettings::default()).await;
    let mut client = V1::new(served.channel().await);
    let many: String = (0..600).map(|i| format!("\"a{i}\":1,")).collect();
    let many = format!("{{{}\"z\":1}}", many);
    assert_eq!(code(boolean(&mut client, "boolean", &many).await).0, Code::InvalidArgument);
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(300 << 10));
    assert_eq!(code(boolean(&mut client, "boolean", &large).await).0, Code::ResourceExhausted);

    // Field 2 of another request is a text where this one has a message.
    let foreign =
        FetchAllFlagsRequest { provider_id: "boolean".to_owned(), selector: "zzz".to_owned() };
    let path = "/flagd.evaluation.v1.Service/ResolveBoolean";
    let (found, message) = code(call(&served, path, foreign).await);
    assert_eq!(found, Code::InvalidArgument, "{message}");
    let path = "/flagd.evaluation.v2.Service/ResolveAll";
    let unknown = call(&served, path, FetchAllFlagsRequest::default()).await;
    assert_eq!(code(unknown).0, Code::Unimplemented);
}

/// Calls any path with any message.
async fn call<M: Message + Default + 'static>(
    served: &Served,
    path: &'static str,
    message: M,
) -> Result<tonic::Response<v1::EventStreamRequest>, Status> {
    let mut client = tonic::client::Grpc::new(served.channel().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(tonic::Request::new(message), path, tonic_prost::ProstCodec::default()).await
}

async fn events(
    served: &Served,
    selector: &'static str,
) -> tonic::Streaming<v2::EventStreamResponse> {
    let mut client = V2::new(served.channel().await);
    let mut request = tonic::Request::new(v2::EventStreamRequest {});
    request.metadata_mut().insert("flagd-selector", selector.parse().unwrap());
    client.event_stream(request).await.unwrap().into_inner()
}

async fn next(stream: &mut tonic::Streaming<v2::EventStreamResponse>) -> (String, Option<String>) {
    let event = soon(stream.message()).await.unwrap().unwrap();
    let data = event.data.map(|data| FlagValue::Object(structs::read(data).unwrap()).to_string());
    (event.r#type, data)
}

fn one_flag(key: &str, default: &str) -> String {
    format!(
        r#"{{"flags":{{"{key}":{{"state":"ENABLED","variants":{{"on":true,"off":false}},"defaultVariant":"{default}"}}}}}}"#
    )
}

#[tokio::test]
async fn an_event_stream_tells_what_changed() {
    let mut world = World::new(&one_flag("a", "on"));
    let served = world.rpc(RpcSettings::default()).await;
    let mut all = events(&served, "").await;
    let mut set = events(&served, "flagSetId=s1").await;
    let ready = ("provider_ready".to_owned(), Some("{}".to_owned()));
    assert_eq!(next(&mut all).await, ready);
    assert_eq!(next(&mut set).await, ready);

    world.publish(&one_flag("a", "on"));
    world.publish(&one_flag("a", "off"));
    let (kind, data) = next(&mut all).await;
    assert_eq!(kind, "configuration_change");
    assert_eq!(data.unwrap(), r#"{"flags":{"a":{"type":"update"}}}"#);
    let mut client = V1::new(served.channel().await);
    assert!(!boolean(&mut client, "a", "{}").await.unwrap().value, "the change can be seen");

    world.publish(&one_flag("b", "on"));
    let (_, data) = next(&mut all).await;
    assert_eq!(data.unwrap(), r#"{"flags":{"a":{"type":"delete"},"b":{"type":"write"}}}"#);

    world.shutdown.drain.cancel();
    assert_eq!(next(&mut all).await.0, "provider_shutdown");
    let last = next(&mut set).await.0;
    assert_eq!(last, "provider_shutdown", "the other set did not change");
    let end = soon(all.message()).await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable, "so that clients reconnect");
    drop((all, set, client));
    served.ended().await;
}

#[tokio::test]
async fn a_silent_event_stream_says_that_it_lives_and_ends_at_its_deadline() {
    let settings = RpcSettings {
        limits: ServerLimits {
            event_keep_alive: Duration::from_millis(20),
            ..ServerLimits::default()
        },
        stream_deadline: Some(Duration::from_millis(300)),
        ..RpcSettings::default()
    };
    let world = World::new(FLAGS);
    let mut stream = events(&world.rpc(settings).await, "").await;
    assert_eq!(next(&mut stream).await.0, "provider_ready");
    assert_eq!(next(&mut stream).await, ("keep_alive".to_owned(), None));
    let status = loop {
        match soon(stream.message()).await {
            Ok(Some(event)) => assert_eq!(event.r#type, "keep_alive"),
            Ok(None) => panic!("the deadline must be told"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "stream closed due to server-side timeout");
}

#[tokio::test]
async fn connect_streams_events_with_an_end_frame() {
    let settings =
        RpcSettings { stream_deadline: Some(Duration::from_millis(50)), ..RpcSettings::default() };
    let world = World::new(FLAGS);
    let served = world.rpc(settings).await;
    let path = "/flagd.evaluation.v1.Service/EventStream";
    let headers = [("content-type", "application/connect+json")];
    let reply =
        served.exchange("POST", path, &headers, &framing::frame(framing::MESSAGE, b"{}")).await;
    let text = String::from_utf8_lossy(&reply.bytes);
    assert!(text.contains(r#"{"type":"provider_ready","data":{}}"#), "{text}");
    assert!(text.contains(r#"{"error":{"code":"deadline_exceeded","#), "{text}");
}

#[tokio::test]
async fn cors_answers_listed_origins_and_refuses_others() {
    let browsers = BrowserPolicy {
        cors_origins: vec!["https://a.test".to_owned()],
        ..BrowserPolicy::default()
    };
    let world = World::new(FLAGS);
    let served = world.rpc(RpcSettings { browsers, ..RpcSettings::default() }).await;
    let path = "/flagd.evaluation.v1.Service/ResolveBoolean";
    let ask = async |origin: &str| {
        served.post(path, &[JSON[0], ("origin", origin)], r#"{"flagKey":"boolean"}"#).await
    };
    let reply = ask("https://a.test").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["access-control-allow-origin"], "https://a.test");
    let reply = ask("https://evil.example").await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().starts_with(r#"{"code":"permission_denied""#), "{}", reply.text());
}
