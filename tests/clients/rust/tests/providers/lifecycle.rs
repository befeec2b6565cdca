//! Edits of the flag file, the provider's cache, a crash of the sidecar, context values, selectors and sockets.

use crate::harness::{Mode, Options, Session, Setup};
use crate::report::Scenario;
use open_feature::{EvaluationContext, Value};
use open_feature_flagd::{CacheSettings, CacheType, FlagdOptions};
use serde_json::{Value as Json, json};
use std::time::Duration;

pub fn scenarios(mode: Mode) -> Vec<Scenario> {
    let mut scenarios = vec![
        edit(mode),
        reconnect(mode),
        static_context(mode),
        application_context(mode),
        every_set(mode),
    ];
    match mode {
        Mode::Rpc => scenarios.extend([
            cache(),
            cached_edit(),
            never_cached(),
            socket(mode, "--socket-path"),
        ]),
        Mode::InProcess => {
            scenarios.extend(selectors());
            scenarios.push(socket(mode, "--sync-socket-path"));
        }
        Mode::Rest => {}
    }
    scenarios
}

/// Switches a flag of the shared document from "before" to "after".
fn switch(session: &mut Session, key: &str) {
    session.edit("flags.json", |flags| flags[key]["defaultVariant"] = json!("after"));
}

fn edit(mode: Mode) -> Scenario {
    Scenario::new(mode, "edits show in the answers", move || async move {
        let mut session = Session::open(mode, Setup::default()).await;
        assert_eq!(session.text("shipping-cost").await.as_deref(), Ok("before"));
        switch(&mut session, "shipping-cost");
        session.wait_for_text("shipping-cost", "after").await;
        assert_eq!(session.text("shipping-days").await.as_deref(), Ok("before"));

        session.edit("flags.json", |flags| flags["brand-new"] = flag("hello"));
        session.wait_for_text("brand-new", "hello").await;
        session.edit("flags.json", |flags| {
            flags.as_object_mut().unwrap().remove("brand-new");
            flags["shipping-days"]["defaultVariant"] = json!("after");
        });
        session.wait_for_text("shipping-days", "after").await;
        assert_eq!(session.text("brand-new").await.unwrap_err(), "FLAG_NOT_FOUND");
    })
}

fn reconnect(mode: Mode) -> Scenario {
    Scenario::new(
        mode,
        "after SIGKILL and a restart on the same ports new values arrive",
        move || async move {
            let mut session = Session::open(mode, Setup::default()).await;
            assert_eq!(session.text("shipping-cost").await.as_deref(), Ok("before"));
            session.kill().await;
            let while_down = session.text("shipping-cost").await;
            match mode {
                Mode::InProcess => assert_eq!(while_down.as_deref(), Ok("before")),
                Mode::Rpc | Mode::Rest => assert_eq!(while_down.unwrap_err(), "GENERAL"),
            }
            switch(&mut session, "shipping-cost");
            session.relaunch().await;
            session.wait_for_text("shipping-cost", "after").await;
            switch(&mut session, "shipping-days");
            session.wait_for_text("shipping-days", "after").await;
        },
    )
}

fn cache_for(ttl: Duration) -> Option<CacheSettings> {
    Some(CacheSettings { cache_type: CacheType::Lru, max_size: 100, ttl: Some(ttl) })
}

async fn cached_session(options: Options) -> Session {
    Session::open(Mode::Rpc, Setup { options, ..Setup::default() }).await
}

/// Asks for a flag a few times and checks the reason of each answer.
async fn expect_reasons(session: &Session, key: &str, like: Value, reasons: [&str; 3]) {
    for reason in reasons {
        let answer = session.ask(key, &like, &EvaluationContext::default()).await.expect(key);
        assert_eq!(answer.reason, reason, "{key}: {answer:?}");
    }
}

fn cache() -> Scenario {
    Scenario::new(Mode::Rpc, "a static answer is cached with its variant and metadata", || async {
        let session = cached_session(|options, _| {
            options.cache_settings = cache_for(Duration::from_secs(60))
        })
        .await;
        let nobody = EvaluationContext::default();
        let first = session.ask("banner-shown", &true.into(), &nobody).await.unwrap();
        let second = session.ask("banner-shown", &true.into(), &nobody).await.unwrap();
        assert_eq!((first.reason.as_str(), second.reason.as_str()), ("STATIC", "CACHED"));
        assert_eq!(
            (second.value, second.variant, second.metadata),
            (first.value, first.variant, first.metadata)
        );
    })
}

/// This provider has no event stream: only time ends its cached answers.
fn cached_edit() -> Scenario {
    Scenario::new(Mode::Rpc, "an edit shows once the cached answer is out of date", || async {
        let brief = |options: &mut FlagdOptions, _: &str| {
            options.cache_settings = cache_for(Duration::from_millis(500))
        };
        let mut session = cached_session(brief).await;
        assert_eq!(session.text("shipping-cost").await.as_deref(), Ok("before"));
        switch(&mut session, "shipping-cost");
        session.wait_for_text("shipping-cost", "after").await;
    })
}

fn never_cached() -> Scenario {
    Scenario::new(
        Mode::Rpc,
        "targeted, defaulted and disabled answers are never cached",
        || async {
            let session = cached_session(|options, _| {
                options.cache_settings = cache_for(Duration::from_secs(60))
            })
            .await;
            expect_reasons(&session, "plan-always", "".into(), ["TARGETING_MATCH"; 3]).await;
            expect_reasons(&session, "plan", "".into(), ["DEFAULT"; 3]).await;
            expect_reasons(&session, "paused", true.into(), ["DISABLED"; 3]).await;
        },
    )
}

fn region(name: &str) -> EvaluationContext {
    EvaluationContext::default().with_custom_field("region", name)
}

async fn served_region(session: &Session, context: &EvaluationContext) -> Value {
    session.ask("served-region", &"".into(), context).await.expect("served-region").value
}

fn static_context(mode: Mode) -> Scenario {
    Scenario::new(mode, "a static context value reaches the rules", move || async move {
        let setup = Setup { arguments: vec!["--context-value", "region=eu"], ..Setup::default() };
        let session = Session::open(mode, setup).await;
        assert_eq!(served_region(&session, &EvaluationContext::default()).await, "eu".into());
        // The sidecar lets its own value win; in-process this client lets the application's win.
        let winner = if mode == Mode::InProcess { "us" } else { "eu" };
        assert_eq!(served_region(&session, &region("us")).await, winner.into());
    })
}

fn application_context(mode: Mode) -> Scenario {
    Scenario::new(
        mode,
        "without static context values the application decides",
        move || async move {
            let session = Session::open(mode, Setup::default()).await;
            assert_eq!(served_region(&session, &region("us")).await, "us".into());
            assert_eq!(
                served_region(&session, &EvaluationContext::default()).await,
                "unknown".into()
            );
        },
    )
}

fn flag(value: &str) -> Json {
    json!({ "state": "ENABLED", "variants": { value: value }, "defaultVariant": value })
}

/// Two flag sets that share a key.
fn flag_sets() -> Vec<(&'static str, Json)> {
    let set = |name: &str, own: &str| json!({ "metadata": { "flagSetId": name }, "flags": { "shared": flag(name), own: flag("here") } });
    vec![("north.json", set("north", "only-north")), ("south.json", set("south", "only-south"))]
}

fn every_set(mode: Mode) -> Scenario {
    Scenario::new(
        mode,
        "without a selector every set is served and the last file wins",
        move || async move {
            let session =
                Session::open(mode, Setup { documents: flag_sets(), ..Setup::default() }).await;
            assert_eq!(session.text("shared").await.as_deref(), Ok("south"));
            assert_eq!(session.text("only-north").await.as_deref(), Ok("here"));
            assert_eq!(session.text("only-south").await.as_deref(), Ok("here"));
        },
    )
}

/// Only this provider's in-process mode sends a selector, in the request's body.
fn selectors() -> Vec<Scenario> {
    let forms: [(&str, Options); 3] = [
        ("a flag set", |options, _| options.selector = Some("flagSetId=north".to_string())),
        ("a source", |options, directory| {
            options.selector = Some(format!("source={directory}/north.json"))
        }),
        ("a bare source", |options, directory| {
            options.selector = Some(format!("{directory}/north.json"))
        }),
    ];
    let selected = forms.map(|(what, options)| {
        Scenario::new(
            Mode::InProcess,
            format!("a selector chooses {what}, and its changes"),
            move || async move {
                let setup = Setup { documents: flag_sets(), options, ..Setup::default() };
                let mut session = Session::open(Mode::InProcess, setup).await;
                assert_eq!(session.text("shared").await.as_deref(), Ok("north"));
                assert_eq!(session.text("only-south").await.unwrap_err(), "FLAG_NOT_FOUND");
                session.edit("south.json", |flags| {
                    flags["shared"]["variants"]["south"] = json!("changed")
                });
                session.edit("north.json", |flags| {
                    flags["shared"]["variants"]["north"] = json!("changed north")
                });
                session.wait_for_text("shared", "changed north").await;
            },
        )
    });
    selected.into()
}

fn socket(mode: Mode, argument: &'static str) -> Scenario {
    Scenario::new(mode, "a Unix socket serves answers and edits", move || async move {
        let setup = Setup {
            arguments: vec![argument, "{directory}/flags.sock"],
            options: |options, directory| {
                options.socket_path = Some(format!("{directory}/flags.sock"))
            },
            ..Setup::default()
        };
        let mut session = Session::open(mode, setup).await;
        assert_eq!(session.text("shipping-cost").await.as_deref(), Ok("before"));
        switch(&mut session, "shipping-cost");
        session.wait_for_text("shipping-cost", "after").await;
    })
}
