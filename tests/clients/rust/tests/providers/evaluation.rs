//! Values of every type, reasons, variants, metadata and errors.

use crate::harness::{Mode, Session, Setup};
use crate::report::Scenario;
use open_feature::{EvaluationContext, StructValue, Value};
use serde_json::json;

pub fn scenarios(mode: Mode) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> =
        resolutions(mode).into_iter().map(|case| case.scenario(mode)).collect();
    scenarios.extend(errors(mode).into_iter().map(|(what, key, like, code)| {
        Scenario::new(mode, what, move || async move {
            let session = Session::open(mode, Setup::default()).await;
            let error =
                session.ask(key, &like, &EvaluationContext::default()).await.expect_err(key);
            assert_eq!(error, code);
        })
    }));
    match mode {
        Mode::Rpc => {
            scenarios.extend([disabled_over_rpc(), metadata(mode), siblings_of_a_broken_flag()])
        }
        Mode::InProcess => scenarios.push(metadata(mode)),
        Mode::Rest => {} // this client drops OFREP's metadata
    }
    scenarios
}

struct Resolution {
    what: &'static str,
    key: &'static str,
    context: EvaluationContext,
    value: Value,
    variant: &'static str,
    reason: &'static str,
}

impl Resolution {
    fn scenario(self, mode: Mode) -> Scenario {
        Scenario::new(mode, format!("resolves {}", self.what), move || async move {
            let session = Session::open(mode, Setup::default()).await;
            let answer = session.ask(self.key, &self.value, &self.context).await.expect(self.key);
            assert_eq!(answer.value, self.value);
            assert_eq!(answer.variant.as_deref(), Some(self.variant));
            // This client calls every OFREP answer static, whatever the server says.
            let reason = if mode == Mode::Rest { "STATIC" } else { self.reason };
            assert_eq!(answer.reason, reason);
        })
    }
}

fn resolutions(mode: Mode) -> Vec<Resolution> {
    let nobody = EvaluationContext::default;
    let customer = || nobody().with_targeting_key("customer-7");
    let staff = || customer().with_custom_field("email", "kim@shop.example");
    let case = |what, key, context, value: Value, variant, reason| Resolution {
        what,
        key,
        context,
        value,
        variant,
        reason,
    };
    let mut cases = vec![
        case("a boolean", "banner-shown", nobody(), true.into(), "on", "STATIC"),
        case("a false boolean", "banner-hidden", nobody(), false.into(), "off", "STATIC"),
        case(
            "a string beyond ASCII",
            "greeting",
            nobody(),
            "Grüß Gott, 世界 👋 <b>&</b>".into(),
            "long",
            "STATIC",
        ),
        case("an empty string", "greeting-empty", nobody(), "".into(), "none", "STATIC"),
        case("an integer", "page-size", nobody(), 25_i64.into(), "small", "STATIC"),
        case("an integer as a float", "page-size", nobody(), 25.0.into(), "small", "STATIC"),
        case("a zero", "page-offset", nobody(), 0_i64.into(), "start", "STATIC"),
        case("a float", "discount", nobody(), 0.15.into(), "low", "STATIC"),
        case(
            "the largest safe integer",
            "file-limit",
            nobody(),
            9_007_199_254_740_991_i64.into(),
            "largest",
            "STATIC",
        ),
        case("a flat object", "palette", nobody(), palette(), "warm", "STATIC"),
        case(
            "an empty object",
            "theme-empty",
            nobody(),
            Value::Struct(StructValue::default()),
            "plain",
            "STATIC",
        ),
        case(
            "the default where no rule matches",
            "plan",
            nobody(),
            "free".into(),
            "free",
            "DEFAULT",
        ),
        case(
            "a rule on the targeting key",
            "plan",
            customer(),
            "pro".into(),
            "pro",
            "TARGETING_MATCH",
        ),
        case("a shared rule", "plan", staff(), "staff".into(), "staff", "TARGETING_MATCH"),
        case(
            "a rule that names the default variant",
            "plan-always",
            nobody(),
            "free".into(),
            "free",
            "TARGETING_MATCH",
        ),
        case(
            "a rule on the flag key and the time",
            "own-key",
            nobody(),
            "same".into(),
            "same",
            "TARGETING_MATCH",
        ),
        case(
            "a rule that decides a flag without a default",
            "undecided-targeted",
            customer(),
            "b".into(),
            "b",
            "TARGETING_MATCH",
        ),
    ];
    if mode == Mode::Rest {
        cases.push(case(
            "a key that needs escaping",
            "label with ünusual.name",
            nobody(),
            "found".into(),
            "found",
            "STATIC",
        ));
    }
    cases
}

fn palette() -> Value {
    let fields =
        [("base", Value::from("amber")), ("contrast", 4.5.into()), ("rounded", true.into())];
    Value::Struct(StructValue {
        fields: fields.map(|(name, value)| (name.to_string(), value)).into(),
    })
}

/// What, key, a value of the type that is asked, and the error code that this client makes of the server's answer.
fn errors(mode: Mode) -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let [mismatch, broken, lost, disabled, undecided] = match mode {
        // The status INVALID_ARGUMENT of a type mismatch is an invalid context to this client, DATA_LOSS is general.
        Mode::Rpc => ["INVALID_CONTEXT", "GENERAL", "GENERAL", "", "FLAG_NOT_FOUND"],
        Mode::InProcess => ["TYPE_MISMATCH", "PARSE_ERROR", "GENERAL", "FLAG_NOT_FOUND", "GENERAL"],
        // The HTTP status 400 is an invalid context to this client, an answer without a (fitting) value a parse error.
        Mode::Rest => {
            ["PARSE_ERROR", "INVALID_CONTEXT", "INVALID_CONTEXT", "PARSE_ERROR", "PARSE_ERROR"]
        }
    };
    let mut cases = vec![
        ("an unknown flag is not found", "nobody-wrote-this", "".into(), "FLAG_NOT_FOUND"),
        ("a string asked as a boolean is refused", "greeting", true.into(), mismatch),
        ("a boolean asked as a string is refused", "banner-shown", "".into(), mismatch),
        ("an object asked as an integer is refused", "palette", 1_i64.into(), mismatch),
        ("an unknown operator is an error", "broken-rule", true.into(), broken),
        ("a rule that names an unknown variant is an error", "lost-variant", true.into(), lost),
        (
            "a flag without a default variant leaves the code default",
            "undecided",
            "".into(),
            undecided,
        ),
    ];
    if mode != Mode::Rpc {
        cases.push(("a disabled flag leaves the code default", "paused", true.into(), disabled));
    }
    cases
}

/// v1 has no way to leave a value out: a disabled flag answers the zero value and says why.
fn disabled_over_rpc() -> Scenario {
    Scenario::new(Mode::Rpc, "a disabled flag answers the zero value with its reason", || async {
        let session = Session::open(Mode::Rpc, Setup::default()).await;
        let answer =
            session.ask("paused", &true.into(), &EvaluationContext::default()).await.unwrap();
        assert_eq!(answer.value, Value::Bool(false));
        assert_eq!(answer.variant.as_deref(), Some(""));
        assert_eq!(answer.reason, "DISABLED");
    })
}

fn siblings_of_a_broken_flag() -> Scenario {
    Scenario::new(Mode::Rpc, "one broken flag leaves the others alone", || async {
        let session = Session::open(Mode::Rpc, Setup::default()).await;
        for _ in 0..3 {
            assert_eq!(
                session
                    .ask("broken-rule", &true.into(), &EvaluationContext::default())
                    .await
                    .unwrap_err(),
                "GENERAL"
            );
            assert_eq!(session.text("plan-always").await.as_deref(), Ok("free"));
        }
    })
}

fn metadata(mode: Mode) -> Scenario {
    Scenario::new(mode, "metadata is the flag set's, under the flag's own", move || async move {
        let session = Session::open(mode, Setup::default()).await;
        let nobody = EvaluationContext::default();
        let own = session.ask("banner-shown", &true.into(), &nobody).await.unwrap();
        let inherited = session.ask("banner-hidden", &true.into(), &nobody).await.unwrap();
        let expected = json!({ "flagSetId": "shop", "version": "own", "owner": "web", "priority": 3.0, "reviewed": true });
        assert_eq!(own.metadata, expected);
        assert_eq!(inherited.metadata, json!({ "flagSetId": "shop", "version": "2026-11" }));
    })
}
