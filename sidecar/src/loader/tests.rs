//! What the loader publishes, keeps and reports as sources come and go.

use outrigger_flags::{Selector, Snapshot, SnapshotReader, SnapshotStore, UnixSeconds};

use super::*;
use crate::publish::Publishing;

struct Bench {
    updates: mpsc::Sender<SourceUpdate>,
    status: watch::Receiver<Status>,
    first: oneshot::Receiver<Result<Revision, NothingToServe>>,
    reader: SnapshotReader,
    metrics: Arc<Metrics>,
}

fn start(slots: &[&str], remembered: Vec<Remembered>) -> Bench {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (writer, reader) = SnapshotStore::new(Snapshot::empty());
    let (announce, _) = watch::channel(Arc::new(Snapshot::empty()));
    let (mut publishing, publisher) = Publishing::new(writer, announce, 1, Arc::clone(&metrics));
    tokio::spawn(async move { publishing.run().await });
    let (updates, receiver) = mpsc::channel(QUEUE_UPDATES_MAX);
    let (report, status) = watch::channel(Status::default());
    let (tell_first, first) = oneshot::channel();
    let mut loader = Loader::new(Parts {
        slots: slots.iter().map(|name| SourceName::new(name)).collect(),
        generation: Generation::V2,
        updates: receiver,
        publisher,
        status: report,
        remembered,
        clock: Clock,
        metrics: Arc::clone(&metrics),
        first: tell_first,
    });
    tokio::spawn(async move { loader.run().await });
    Bench { updates, status, first, reader, metrics }
}

impl Bench {
    async fn say(&self, slot: usize, news: News) {
        self.updates.send(SourceUpdate { slot, news }).await.unwrap();
    }

    async fn document(&self, slot: usize, source: &str, text: &str) {
        let format = if source.ends_with("yaml") { Format::Yaml } else { Format::Json };
        let (bytes, version) = (text.as_bytes().to_vec(), Version::of(text.as_bytes()));
        self.say(slot, News::Document { source: name(source), version, format, bytes }).await;
    }

    async fn members(&self, slot: usize, members: &[&str]) {
        self.say(slot, News::Members(members.iter().map(|member| name(member)).collect())).await;
    }

    async fn absent(&self, slot: usize, source: &str) {
        self.say(slot, News::Absent { source: name(source), absence: Absence::Missing }).await;
    }

    /// One file, said and published.
    async fn file(source: &str, text: &str) -> Self {
        let mut bench = start(&[source], vec![]);
        bench.document(0, source, text).await;
        bench.members(0, &[source]).await;
        (&mut bench.first).await.unwrap().unwrap();
        bench
    }

    /// Waits until the source's health is called this; returns it.
    async fn health(&mut self, source: &str, word: &str) -> Health {
        let matches = |status: &Status| {
            let mut sources = status.sources.iter().filter(|s| s.source.as_str() == source);
            sources.next().filter(|s| s.health.as_str() == word).map(|s| s.health.clone())
        };
        let status = self.status.wait_for(|status| matches(status).is_some()).await.unwrap();
        matches(&status).unwrap()
    }

    fn flags(&self) -> usize {
        self.reader.load().view(&Selector::Any).len()
    }

    fn seq(&self) -> u64 {
        self.reader.load().revision().seq
    }
}

fn name(source: &str) -> SourceName {
    SourceName::new(source)
}

fn json(flags: usize) -> String {
    let flag = |i| {
        format!(
            r#""flag-{i:03}":{{"state":"ENABLED","variants":{{"on":true}},"defaultVariant":"on"}}"#
        )
    };
    format!(r#"{{"flags":{{{}}}}}"#, (0..flags).map(flag).collect::<Vec<_>>().join(","))
}

fn yaml(flags: usize) -> String {
    let flag = |i| {
        format!(
            "  flag-{i:03}: {{ state: ENABLED, variants: {{ on: true }}, defaultVariant: on }}\n"
        )
    };
    format!("flags:\n{}", (0..flags).map(flag).collect::<String>())
}

fn remembered(source: &str, flags: usize) -> Remembered {
    let options = LoadOptions { source: name(source), generation: Generation::V2 };
    let layer = load(json(flags).as_bytes(), Format::Json, &options, None).unwrap().layer;
    let written = UnixSeconds(1_700_000_000);
    Remembered { source: name(source), layer: Arc::new(layer), written }
}

#[tokio::test(start_paused = true)]
async fn the_first_publish_waits_for_every_source() {
    let mut bench = start(&["a.json", "b.json"], vec![]);
    bench.document(0, "a.json", &json(1)).await;
    bench.members(0, &["a.json"]).await;
    tokio::time::sleep(FIRST_PUBLISH_WITHIN / 2).await;
    assert!(bench.first.try_recv().is_err());
    bench.document(1, "b.json", &json(2)).await;
    bench.members(1, &["b.json"]).await;
    assert_eq!((&mut bench.first).await.unwrap().unwrap().seq, 1);
    assert_eq!(bench.flags(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_publish_does_not_wait_for_ever() {
    let before = Instant::now();
    let bench = start(&["a.json", "slow.json"], vec![]);
    bench.document(0, "a.json", &json(1)).await;
    bench.members(0, &["a.json"]).await;
    bench.first.await.unwrap().unwrap();
    assert_eq!(before.elapsed().as_secs(), FIRST_PUBLISH_WITHIN.as_secs());
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_serve_the_start_fails_and_says_why() {
    let bench = start(&["a.json", "b.json"], vec![]);
    bench.absent(0, "a.json").await;
    bench.document(1, "b.json", "{").await;
    bench.members(1, &["b.json"]).await;
    let problems = bench.first.await.unwrap().unwrap_err().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("a.json: there is no such file"), "{problems:?}");
    assert!(problems[1].starts_with("b.json: refused: "), "{problems:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_directory_is_a_start_without_flags() {
    let bench = start(&["dir"], vec![]);
    bench.members(0, &[]).await;
    assert_eq!(bench.first.await.unwrap().unwrap().seq, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_serves_while_sources_are_down() {
    let found = vec![remembered("a.json", 2), remembered("dir/x.json", 3), remembered("other", 9)];
    let mut bench = start(&["a.json", "dir"], found);
    bench.absent(0, "a.json").await;
    bench.absent(1, "dir").await;
    (&mut bench.first).await.unwrap().unwrap();
    assert_eq!(bench.flags(), 3);
    assert_eq!(bench.reader.load().layers().len(), 2, "other is not configured");
    bench.health("dir/x.json", "last-known-good").await;

    bench.document(1, "dir/x.json", &json(5)).await;
    bench.members(1, &["dir/x.json"]).await;
    bench.health("dir/x.json", "fresh").await;
    assert_eq!(bench.flags(), 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_of_a_file_that_a_directory_no_longer_has_is_not_served() {
    let bench = start(&["dir"], vec![remembered("dir/old.json", 3)]);
    bench.document(0, "dir/new.json", &json(1)).await;
    bench.members(0, &["dir/new.json"]).await;
    bench.first.await.unwrap().unwrap();
    assert_eq!(bench.reader.load().view(&Selector::Any).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_document_changes_nothing_and_is_reported() {
    let mut bench = Bench::file("a.json", &json(3)).await;
    bench.document(0, "a.json", "{").await;
    bench.health("a.json", "refused").await;
    assert_eq!((bench.flags(), bench.seq()), (3, 1));
    bench.document(0, "a.json", "").await;
    bench.absent(0, "a.json").await;
    bench.health("a.json", "stale").await;
    assert_eq!((bench.flags(), bench.seq()), (3, 1));
    bench.document(0, "a.json", &json(4)).await;
    bench.health("a.json", "fresh").await;
    assert_eq!(bench.flags(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_same_content_is_no_new_revision() {
    let mut bench = Bench::file("a.json", &json(3)).await;
    bench.absent(0, "a.json").await;
    bench.health("a.json", "stale").await;
    bench.document(0, "a.json", &json(3)).await;
    bench.health("a.json", "fresh").await;
    assert_eq!(bench.seq(), 1);
}

#[tokio::test(start_paused = true)]
async fn single_flags_are_removed_at_once() {
    let mut bench = Bench::file("a.yaml", &yaml(30)).await;
    for flags in (20..30).rev() {
        bench.document(0, "a.yaml", &yaml(flags)).await;
        bench.status.wait_for(|status| status.sources[0].flags == flags).await.unwrap();
        bench.health("a.yaml", "fresh").await;
        assert_eq!(bench.flags(), flags);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shortened_document_is_held_and_then_believed() {
    let mut bench = Bench::file("a.yaml", &yaml(100)).await;
    let before = Instant::now();
    bench.document(0, "a.yaml", &yaml(40)).await;
    let held = bench.health("a.yaml", "held").await;
    assert!(matches!(held, Health::Held { removed: 60, .. }), "{held:?}");
    assert_eq!(bench.flags(), 100);
    bench.health("a.yaml", "fresh").await;
    assert_eq!(bench.flags(), 40);
    assert!(before.elapsed() >= guard::HOLD);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_goes_on_never_removes_a_flag() {
    let mut bench = Bench::file("a.yaml", &yaml(100)).await;
    for flags in [10, 30, 50, 70] {
        bench.document(0, "a.yaml", &yaml(flags)).await;
        bench.health("a.yaml", "held").await;
        tokio::time::sleep(guard::HOLD / 2).await;
        assert_eq!(bench.flags(), 100);
    }
    bench.document(0, "a.yaml", &yaml(101)).await;
    bench.health("a.yaml", "fresh").await;
    assert_eq!(bench.flags(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_goes_away_confirms_nothing() {
    let mut bench = Bench::file("a.yaml", &yaml(100)).await;
    bench.document(0, "a.yaml", &yaml(10)).await;
    bench.health("a.yaml", "held").await;
    bench.absent(0, "a.yaml").await;
    bench.health("a.yaml", "stale").await;
    tokio::time::sleep(guard::HOLD * 3).await;
    assert_eq!(bench.flags(), 100);
    bench.document(0, "a.yaml", &yaml(10)).await;
    bench.health("a.yaml", "held").await;
}

#[tokio::test(start_paused = true)]
async fn a_file_removed_from_a_directory_goes_after_a_while_unless_nothing_is_left() {
    let mut bench = start(&["dir"], vec![]);
    bench.document(0, "dir/a.json", &json(1)).await;
    bench.document(0, "dir/b.json", &json(9)).await;
    bench.members(0, &["dir/a.json", "dir/b.json"]).await;
    (&mut bench.first).await.unwrap().unwrap();
    bench.members(0, &["dir/a.json"]).await;
    bench.health("dir/b.json", "stale").await;
    assert_eq!(bench.flags(), 9);
    bench.status.wait_for(|status| status.sources.len() == 1).await.unwrap();
    assert_eq!(bench.flags(), 1);
    let scrape = bench.metrics.scrape().unwrap();
    assert!(scrape.contains("dir/a.json") && !scrape.contains("dir/b.json"), "{scrape}");

    bench.members(0, &[]).await;
    bench.health("dir/a.json", "stale").await;
    tokio::time::sleep(guard::HOLD * 3).await;
    assert_eq!(bench.flags(), 1, "an empty directory says nothing");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_back_in_time_never_went() {
    let mut bench = start(&["dir"], vec![]);
    bench.document(0, "dir/a.json", &json(1)).await;
    bench.document(0, "dir/b.json", &json(9)).await;
    bench.members(0, &["dir/a.json", "dir/b.json"]).await;
    (&mut bench.first).await.unwrap().unwrap();
    bench.members(0, &["dir/a.json"]).await;
    bench.health("dir/b.json", "stale").await;
    bench.document(0, "dir/b.json", &json(9)).await;
    bench.members(0, &["dir/a.json", "dir/b.json"]).await;
    bench.health("dir/b.json", "fresh").await;
    tokio::time::sleep(guard::HOLD * 2).await;
    assert_eq!((bench.flags(), bench.seq()), (9, 1));
}
