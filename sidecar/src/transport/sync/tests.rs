//! The sync listener over real sockets.

use outrigger_flags::Value;
use outrigger_proto::flagd::sync::v1::flag_sync_service_client::FlagSyncServiceClient as Client;
use tonic::Code;
use tonic::transport::Channel;

use super::*;
use crate::evaluation::Enrichment;
use crate::transport::testing::{World, soon};

fn document(default: &str) -> String {
    format!(
        r#"{{
          "$evaluators": {{"gold": {{"==": [{{"var": "tier"}}, "gold"]}}}},
          "metadata": {{"team": "float"}},
          "flags": {{
            "a": {{"state": "ENABLED", "variants": {{"on": true, "off": false}},
              "defaultVariant": "{default}", "targeting": {{"if": [{{"$ref": "gold"}}, "on"]}}}},
            "b": {{"state": "DISABLED", "variants": {{"x": 1.0}}, "metadata": {{"flagSetId": "s1"}}}}
          }}
        }}"#
    )
}

async fn sync(
    client: &mut Client<Channel>,
    in_header: Option<&'static str>,
    in_body: &str,
) -> Result<tonic::Streaming<SyncFlagsResponse>, Status> {
    let selector = in_body.to_owned();
    let message = SyncFlagsRequest { provider_id: "test".to_owned(), selector };
    let mut request = tonic::Request::new(message);
    if let Some(text) = in_header {
        request.metadata_mut().insert("flagd-selector", text.parse().unwrap());
    }
    client.sync_flags(request).await.map(tonic::Response::into_inner)
}

async fn next(stream: &mut tonic::Streaming<SyncFlagsResponse>) -> SyncFlagsResponse {
    soon(stream.message()).await.unwrap().unwrap()
}

/// Every member of every flag of a payload, as sorted text.
fn flags(payload: &str) -> Vec<String> {
    let Value::Object(document) = outrigger_flags::json::read(payload.as_bytes(), 64).unwrap()
    else {
        panic!("{payload}");
    };
    assert_eq!(document.len(), 1, "nothing but flags at the top: {payload}");
    let Some(Value::Object(flags)) = document.get("flags") else { panic!("{payload}") };
    let line = |(key, flag): (&str, &Value)| {
        let Value::Object(members) = flag else { panic!("{payload}") };
        let mut members: Vec<_> = members.iter().map(|(n, v)| format!("{n}={v}")).collect();
        members.sort_unstable();
        format!("{key} {}", members.join(" "))
    };
    let mut lines: Vec<_> = flags.iter().map(line).collect();
    lines.sort_unstable();
    lines
}

const A_ON: &str = r#"a defaultVariant="on" metadata={"team":"float"} source="flags.json" state="ENABLED" targeting={"if":[{"==":[{"var":"tier"},"gold"]},"on"]} variants={"on":true,"off":false}"#;

#[tokio::test]
async fn sends_the_selected_flags_at_once_and_after_each_change_of_them() {
    let values = vec![("region".to_owned(), Value::from("eu"))];
    let mut world =
        World::enriched(&document("on"), Enrichment { values, ..Enrichment::default() });
    let served = world.sync(SyncSettings::default()).await;
    let mut client = Client::new(served.channel().await);
    let mut all = sync(&mut client, None, "").await.unwrap();
    let mut set = sync(&mut client, Some("flagSetId=s1"), "flagSetId=other").await.unwrap();
    let mut nothing = sync(&mut client, None, "no-such-source").await.unwrap();

    let first = next(&mut all).await;
    let lines = flags(&first.flag_configuration);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], A_ON);
    let context = structs::read(first.sync_context.unwrap()).unwrap();
    assert_eq!(context.get("region"), Some(&Value::from("eu")));
    let lines = flags(&next(&mut set).await.flag_configuration);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with(r#"b defaultVariant="""#), "the header wins: {lines:?}");
    assert_eq!(next(&mut nothing).await.flag_configuration, r#"{"flags":{}}"#);

    world.publish(&document("off"));
    let lines = flags(&next(&mut all).await.flag_configuration);
    assert!(lines[0].contains(r#"defaultVariant="off""#), "{lines:?}");
    world.publish(r#"{"flags":{}}"#);
    assert_eq!(next(&mut all).await.flag_configuration, r#"{"flags":{}}"#);
    let text = next(&mut set).await.flag_configuration;
    assert_eq!(text, r#"{"flags":{}}"#, "no message for the change of another set");

    world.shutdown.drain.cancel();
    let status = soon(all.message()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "the server is shutting down")
    );
    drop((all, set, nothing, client));
    served.ended().await;
}

#[tokio::test]
async fn a_flag_that_never_was_sound_is_left_out() {
    let world = World::new(
        r#"{"flags":{
          "good": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"},
          "bad": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "nowhere"}
        }}"#,
    );
    let mut client = Client::new(world.sync(SyncSettings::default()).await.channel().await);
    let request = FetchAllFlagsRequest::default();
    let answer = client.fetch_all_flags(request).await.unwrap().into_inner();
    let lines = flags(&answer.flag_configuration);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("good "));
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_the_newest_state_and_holds_up_nobody() {
    let mut world = World::new(&document("on"));
    let served = world.sync(SyncSettings::default()).await;
    let mut client = Client::new(served.channel().await);
    let mut slow = sync(&mut client, None, "").await.unwrap();
    let filler = "x".repeat(200_000);
    let large = |seq: usize| {
        format!(
            r#"{{"flags":{{"n":{{"state":"ENABLED","variants":{{"v":"{filler}{seq}"}},"defaultVariant":"v"}}}}}}"#
        )
    };
    for seq in 0..100 {
        world.publish(&large(seq));
        tokio::task::yield_now().await;
    }
    let mut received = 0;
    loop {
        received += 1;
        let payload = next(&mut slow).await.flag_configuration;
        if payload.contains("x99\"") {
            break;
        }
        assert!(received < 100, "states must be skipped");
    }
}

#[tokio::test]
async fn a_stalled_stream_is_ended_and_counted() {
    let limits =
        ServerLimits { subscriber_stall: Duration::from_millis(50), ..ServerLimits::default() };
    let mut world = World::new(&document("on"));
    let served = world.sync(SyncSettings { limits, ..SyncSettings::default() }).await;
    let mut client = Client::new(served.channel().await);
    let stalled = sync(&mut client, None, "").await.unwrap();
    let filler = "x".repeat(1 << 20);
    let hits = "outrigger_limit_hits_total{limit=\"stream_stalled\"} 1";
    soon(async {
        for seq in 0.. {
            world.publish(&format!(
                r#"{{"flags":{{"n":{{"state":"ENABLED","variants":{{"v":"{filler}{seq}"}}}}}}}}"#
            ));
            if world.metrics.scrape().unwrap().contains(hits) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    drop(stalled);
}

#[tokio::test]
async fn a_stream_above_the_cap_is_refused_until_another_ends() {
    let limits = ServerLimits { subscribers: 1, ..ServerLimits::default() };
    let world = World::new(&document("on"));
    let served = world.sync(SyncSettings { limits, ..SyncSettings::default() }).await;
    let mut client = Client::new(served.channel().await);
    let mut first = sync(&mut client, None, "").await.unwrap();
    next(&mut first).await;
    let refused = sync(&mut client, None, "").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let hits = "outrigger_limit_hits_total{limit=\"subscribers\"} 1";
    assert!(world.metrics.scrape().unwrap().contains(hits));
    drop(first);
    soon(async { while sync(&mut client, None, "").await.is_err() {} }).await;
}

#[tokio::test]
async fn metadata_can_be_turned_off_and_errors_are_typed() {
    let world = World::new(&document("on"));
    let mut client = Client::new(world.sync(SyncSettings::default()).await.channel().await);
    let answer = client.get_metadata(GetMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(answer.metadata, Some(Struct::default()));
    let status = sync(&mut client, Some("team=x"), "").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    let settings = SyncSettings {
        metadata_endpoint: false,
        stream_deadline: Some(Duration::from_millis(20)),
        ..SyncSettings::default()
    };
    let served = world.sync(settings).await;
    let mut client = Client::new(served.channel().await);
    let status = client.get_metadata(GetMetadataRequest {}).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unimplemented, "metadata endpoint disabled")
    );
    let mut stream = sync(&mut client, None, "").await.unwrap();
    next(&mut stream).await;
    assert_eq!(soon(stream.message()).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(served.post("/nope", &[("content-type", "text/plain")], "x").await.status, 415);
    assert_eq!(served.exchange("GET", "/", &[], b"").await.status, 404);
}
