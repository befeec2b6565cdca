//! `EventStream`: tells clients that the server is there, what changed, and when it goes.
//!
//! Providers cache STATIC answers until a `configuration_change` names the key, so a change is sent
//! only once it can be seen; snapshots are announced after their swap.

use std::collections::BTreeMap;
use std::sync::Arc;

use outrigger_flags::{Change, Value, json};
use outrigger_proto::flagd::evaluation::v1::EventStreamResponse;
use prost::Message;
use prost_types::Struct;

use super::protocol::Codec;
use crate::evaluation::Subscription;
use crate::transport::failure::Failure;
use crate::transport::stream::{Feed, Messages, Streams, Wake};
use crate::transport::structs;

/// One message of the stream.
#[derive(Debug)]
pub(super) enum Event {
    Ready,
    KeepAlive,
    Changed(Arc<[Change]>),
    Shutdown,
}

/// Starts a stream; it runs until its client, its deadline or the process ends it.
pub(super) fn start(
    streams: &Streams,
    subscription: Subscription,
) -> Result<Messages<Event>, Failure> {
    let (feed, messages) = streams.open(subscription)?;
    tokio::spawn(run(feed));
    Ok(messages)
}

async fn run(mut feed: Feed<Event>) {
    let mut event = Event::Ready;
    loop {
        if !feed.send(event).await {
            return;
        }
        event = match feed.wake().await {
            Wake::Changed(changes) => Event::Changed(changes),
            Wake::Silence => Event::KeepAlive,
            // An end without a failure would be taken for the end of the flags: clients that listen
            // for errors only would never reconnect.
            Wake::Drain => {
                return feed.end(Some(Event::Shutdown), Some(Failure::Draining)).await;
            }
            Wake::Deadline => return feed.end(None, Some(Failure::StreamDeadline)).await,
            Wake::Gone => return,
        };
    }
}

impl Event {
    pub(super) fn encode(&self, codec: Codec) -> Vec<u8> {
        match codec {
            Codec::Proto => EventStreamResponse {
                r#type: self.name().to_owned(),
                data: self.data().map(|data| match data {
                    Value::Object(members) => structs::write(members.iter()),
                    _ => Struct::default(),
                }),
            }
            .encode_to_vec(),
            Codec::Json => {
                let mut text = String::from("{\"type\":");
                json::quote(self.name(), &mut text);
                text.push_str(",\"data\":");
                json::write(&self.data().unwrap_or(Value::Null), &mut text);
                text.push('}');
                text.into_bytes()
            }
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Ready => "provider_ready",
            Self::KeepAlive => "keep_alive",
            Self::Changed(_) => "configuration_change",
            Self::Shutdown => "provider_shutdown",
        }
    }

    fn data(&self) -> Option<Value> {
        match self {
            Self::KeepAlive => None,
            Self::Ready | Self::Shutdown => Some(Value::Object([].into_iter().collect())),
            Self::Changed(changes) => Some(object([("flags", changed_flags(changes))])),
        }
    }
}

/// One member per key; of a key that changed in several flag sets the last change counts, because
/// clients only ask whether the key is there.
fn changed_flags(changes: &[Change]) -> Value {
    let kinds: BTreeMap<&str, &str> =
        changes.iter().map(|change| (change.key(), change.kind.as_str())).collect();
    let entry = |(key, kind)| (Box::from(key), object([("type", Value::from(kind))]));
    Value::Object(kinds.into_iter().map(entry).collect())
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (Box::from(name), value)).collect())
}
