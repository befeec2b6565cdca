//! Changes in order, announced once each, and none of them lost.

use outrigger_flags::{
    Format, Generation, LoadOptions, Selector, SnapshotReader, SnapshotStore, SourceName, load,
};

use super::*;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

fn layer(source: &str, document: &str) -> Arc<Layer> {
    let options = LoadOptions { source: SourceName::new(source), generation: Generation::V2 };
    Arc::new(load(document.as_bytes(), Format::Json, &options, None).unwrap().layer)
}

fn flags(keys: &[&str]) -> String {
    let flag = r#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#;
    let members: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{flag}")).collect();
    format!(r#"{{"flags":{{{}}}}}"#, members.join(","))
}

fn start() -> (Publisher, SnapshotReader, watch::Receiver<Arc<Snapshot>>) {
    let (writer, reader) = SnapshotStore::new(Snapshot::empty());
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::empty()));
    let (mut publishing, publisher) = Publishing::new(writer, sender, 7, metrics());
    tokio::spawn(async move { publishing.run().await });
    (publisher, reader, receiver)
}

#[tokio::test]
async fn a_change_is_stored_before_it_is_announced_and_both_before_the_reply() {
    let (publisher, reader, mut announcements) = start();
    let watcher = tokio::spawn(async move {
        announcements.changed().await.unwrap();
        let announced = announcements.borrow().revision();
        (announced, reader.load().revision())
    });
    let change = Change::Layers(vec![layer("a", &flags(&["one"]))]);
    let revision = publisher.publish(change).await.unwrap();
    assert_eq!(revision, Revision { epoch: 7, seq: 1 });
    let (announced, stored) = watcher.await.unwrap();
    assert_eq!(announced, revision);
    assert!(stored >= announced);
}

#[tokio::test]
async fn the_same_layers_again_are_no_new_revision_not_even_none_at_all() {
    let (publisher, _reader, _announcements) = start();
    let empty = publisher.publish(Change::Layers(vec![])).await.unwrap();
    assert_eq!(empty.seq, 1, "the first publish counts, even of nothing");
    assert_eq!(publisher.publish(Change::Layers(vec![])).await.unwrap(), empty);
    let one = layer("a", &flags(&["one"]));
    let first = publisher.publish(Change::Layers(vec![Arc::clone(&one)])).await.unwrap();
    assert_eq!(publisher.publish(Change::Layers(vec![one])).await.unwrap(), first);
    assert_eq!(first.seq, 2);
}

#[tokio::test]
async fn later_layers_win() {
    let (publisher, reader, _announcements) = start();
    let layers = vec![layer("low", &flags(&["x"])), layer("high", &flags(&["x", "y"]))];
    publisher.publish(Change::Layers(layers)).await.unwrap();
    let snapshot = reader.load();
    let view = snapshot.view(&Selector::Any);
    assert_eq!(view.len(), 2);
    assert_eq!(view.get("x").unwrap().source().as_str(), "high");
}

#[tokio::test]
async fn after_the_end_changes_are_refused() {
    let (writer, _reader) = SnapshotStore::new(Snapshot::empty());
    let (sender, _receiver) = watch::channel(Arc::new(Snapshot::empty()));
    let (publishing, publisher) = Publishing::new(writer, sender, 1, metrics());
    drop(publishing);
    let refused = publisher.publish(Change::Layers(vec![])).await;
    assert!(matches!(refused, Err(Refusal::Ending)));
}
