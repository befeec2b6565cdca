//! Documents, right and wrong, and what is said about them.

use std::sync::Arc;

use super::*;
use crate::context::EvaluationContext;
use crate::diagnose::{Effect, Severity};
use crate::evaluate::UnixSeconds;
use crate::reason::{ErrorCode, Reason};

fn options() -> LoadOptions {
    LoadOptions { source: SourceName::new("test"), generation: Generation::V2 }
}

fn json(text: &str) -> Loaded {
    load(text.as_bytes(), Format::Json, &options(), None).unwrap()
}

fn after(text: &str, previous: &Layer) -> Loaded {
    load(text.as_bytes(), Format::Json, &options(), Some(previous)).unwrap()
}

/// A document with one flag `f` of these members.
fn one(members: &str) -> String {
    format!(r#"{{"flags":{{"f":{{{members}}}}}}}"#)
}

const GOOD: &str = r#""state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on""#;

fn variant_of(loaded: &Loaded, key: &str) -> Result<Option<String>, ErrorCode> {
    let flag = loaded.layer.flags().iter().find(|flag| flag.key() == key).unwrap();
    let resolved = flag.resolve(&EvaluationContext::new(), UnixSeconds(0));
    resolved.map(|found| found.variant.map(str::to_owned)).map_err(|error| error.code)
}

/// `line:column code` of each problem.
fn problems(diagnostics: &[Diagnostic]) -> Vec<String> {
    let place = |found: &Diagnostic| found.position.map_or("?".to_owned(), |at| at.to_string());
    diagnostics.iter().map(|found| format!("{} {}", place(found), found.code)).collect()
}

/// A document with a mark in front of what is wrong with it, and the place of the mark.
fn marked(document: &str) -> (String, Position) {
    let at = document.find('§').unwrap();
    (document.replace('§', ""), position_at(document, at).unwrap())
}

#[test]
fn each_problem_has_its_place() {
    let cases = [
        (r#""state":§1,"variants":{"a":1}"#, "state-invalid"),
        (r#""state":§"enabled","variants":{"a":1}"#, "state-unknown"),
        (r#""state":"ENABLED","variants":§[]"#, "variants-invalid"),
        (r#""state":"ENABLED","variants":§{}"#, "variants-invalid"),
        (r#""state":"ENABLED","variants":{"é":1,§"é":2}"#, "variant-duplicate"),
        (r#""state":"ENABLED","variants":{"a":1,"b":§"x"}"#, "variant-types-differ"),
        (r#""state":"ENABLED","variants":{"a":§[]}"#, "variant-type-unusual"),
        (
            r#""state":"ENABLED","variants":{"a":1},"defaultVariant":§"b""#,
            "default-variant-unknown",
        ),
        (
            r#""state":"ENABLED","variants":{"a":1},"defaultVariant":§true"#,
            "default-variant-invalid",
        ),
        (r#""state":"ENABLED",§"state":"ENABLED","variants":{"a":1}"#, "member-duplicate"),
        (r#""state":"ENABLED","variants":{"a":1},"metadata":§3"#, "metadata-invalid"),
        (r#""state":"ENABLED","variants":{"a":1},"metadata":{§"x":[]}"#, "metadata-value-invalid"),
        (r#""state":"ENABLED","variants":{"a":1},§"varaints":3"#, "member-unknown"),
    ];
    for (members, code) in cases {
        let (document, place) = marked(&one(members));
        assert_eq!(
            problems(&json(&document).diagnostics),
            [format!("{place} {code}")],
            "{members}"
        );
    }
    for (flag, code) in [
        ("§{\"variants\":{\"a\":1}}", "state-unknown"),
        ("§{\"state\":\"ENABLED\"}", "variants-invalid"),
        ("§5", "flag-not-object"),
    ] {
        let (document, place) = marked(&format!("{{\"flags\":{{\"f\":{flag}}}}}"));
        assert_eq!(problems(&json(&document).diagnostics), [format!("{place} {code}")], "{flag}");
    }
}

#[test]
fn each_problem_of_a_rule_has_its_place() {
    let cases = [
        (r#"{§"iff":[true,"on"]}"#, "operator-unknown"),
        (r#"{"if":[{"$ref":§"x"},"on"]}"#, "reference-unknown"),
        (r#"{"if":[true,§"onn"]}"#, "rule-variant-unknown"),
        (r#"{§"if":true}"#, "operator-arguments"),
        (r#"{§"starts_with":["a"]}"#, "operator-arguments"),
        (r#"{"sem_ver":["1",§"==","2"]}"#, "operator-arguments"),
        (r#"{"fractional":["on",§1]}"#, "fractional-entry"),
        (r#"{"fractional":[["on",§1.5],["off",1]]}"#, "fractional-weight"),
        (r#"{"fractional":[["on",0],§["off",-3]]}"#, "fractional-weight"),
        (r#"{"fractional":[["on",2147483647],§["off",1]]}"#, "fractional-weight"),
    ];
    for (rule, code) in cases {
        let (document, place) = marked(&one(&format!("{GOOD},\n  \"targeting\": {rule}")));
        assert_eq!(problems(&json(&document).diagnostics), [format!("{place} {code}")], "{rule}");
        assert_eq!(place.line, 2);
    }
}

#[test]
fn a_document_is_refused_for_what_concerns_all_of_it() {
    let cases = [
        ("", "syntax"),
        ("{", "syntax"),
        ("{}x", "syntax"),
        ("\u{feff}{}", "syntax"),
        (r#"{"flags":{},"flags":{}}"#, "syntax"),
        (r#"{"flags":{"a":1e999}}"#, "syntax"),
        ("[]", "document-not-object"),
        ("{}", "flags-missing"),
        (r#"{"flags":5}"#, "flags-not-object"),
        (r#"{"flags":null}"#, "flags-not-object"),
        (r#"{"flags":{},"$evaluators":[]}"#, "evaluators-not-object"),
        (r#"{"flags":{},"metadata":"x"}"#, "set-metadata-not-object"),
    ];
    for (text, code) in cases {
        let refused = load(text.as_bytes(), Format::Json, &options(), None).unwrap_err();
        let first = &refused.diagnostics()[0];
        assert_eq!(
            (first.code.as_str(), first.code.effect()),
            (code, Effect::DocumentRefused),
            "{text}"
        );
        assert!(first.position.is_some(), "{text}");
    }
    let refused = load(b"{\"a\xff\":1}", Format::Json, &options(), None).unwrap_err();
    assert_eq!(refused.diagnostics()[0].code, Code::NotUtf8);
    assert_eq!(refused.diagnostics()[0].position, Some(Position { line: 1, column: 4 }));
    assert!(json(r#"{"flags":{}}"#).layer.is_empty(), "empty if it says so");
}

#[test]
fn a_bad_flag_keeps_its_definition_and_its_siblings_go_live() {
    let document = |f: &str, sibling: &str| {
        format!(r#"{{"flags":{{"f":{{{f}}},"s":{{{GOOD},"metadata":{{"v":{sibling}}}}}}}}}"#)
    };
    let first = json(&document(GOOD, "1"));
    for bad in [
        r#""state":"ENABLED","variants":{"on":true},"defaultVariant":"onn""#.to_owned(),
        r#""state":7,"variants":{"on":true}"#.to_owned(),
        format!(r#"{GOOD},"targeting":{{"iff":[true,"off"]}}"#),
        format!(r#"{GOOD},"targeting":{{"if":[{{"$ref":"nope"}},"off"]}}"#),
    ] {
        let second = after(&document(&bad, "2"), &first.layer);
        assert_eq!(second.diagnostics.len(), 1, "{bad}");
        assert_eq!(second.diagnostics[0].flag.as_deref(), Some("f"));
        assert_eq!(variant_of(&second, "f"), Ok(Some("on".to_owned())), "{bad}");
        assert!(Arc::ptr_eq(&second.layer.flags()[0], &first.layer.flags()[0]));
        let sibling = second.layer.flags()[1].metadata().get("v");
        assert_eq!(sibling, Some(&crate::Value::from(2)), "{bad}");
    }
}

#[test]
fn a_flag_that_never_was_good_answers_parse_error_and_is_not_handed_on() {
    let broken = json(&one(r#""state":"ENABLED","variants":{"a":1},"defaultVariant":"b""#));
    assert_eq!(variant_of(&broken, "f"), Err(ErrorCode::ParseError));
    assert_eq!(broken.layer.flags()[0].definition(), None);
    assert_eq!(broken.layer.to_document(), r#"{"flags":[]}"#);
}

#[test]
fn a_damaged_rule_is_served_as_far_as_it_goes() {
    let damaged = |condition: &str| {
        json(&one(&format!(r#"{GOOD},"targeting":{{"if":[{condition},"off",{{"nope":[]}}]}}"#)))
    };
    assert_eq!(variant_of(&damaged("true"), "f"), Ok(Some("off".to_owned())));
    assert_eq!(variant_of(&damaged("false"), "f"), Err(ErrorCode::ParseError));
    assert!(
        damaged("true").layer.flags()[0].definition().is_some(),
        "clients judge for themselves"
    );
}

#[test]
fn a_key_that_is_defined_twice_is_not_guessed_at() {
    let doubled = format!(r#"{{"flags":{{"f":{{{GOOD}}},"f":{{{GOOD}}},"g":{{{GOOD}}}}}}}"#);
    let loaded = json(&doubled);
    let doubles: Vec<_> = loaded.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(doubles, [Code::FlagDuplicate, Code::FlagDuplicate]);
    assert_eq!(loaded.layer.len(), 2);
    assert_eq!(variant_of(&loaded, "f"), Err(ErrorCode::ParseError));
    assert_eq!(variant_of(&loaded, "g"), Ok(Some("on".to_owned())));
    let good = json(&one(GOOD));
    assert_eq!(variant_of(&after(&doubled, &good.layer), "f"), Ok(Some("on".to_owned())));
}

#[test]
fn the_array_form_tells_sets_apart() {
    let flag = |set: &str| format!(r#"{{"key":"f",{GOOD},"metadata":{{"flagSetId":"{set}"}}}}"#);
    let loaded = json(&format!(r#"{{"flags":[{},{}]}}"#, flag("a"), flag("b")));
    assert!(loaded.diagnostics.is_empty());
    let ids: Vec<_> = loaded.layer.flags().iter().map(|flag| flag.id()).collect();
    assert_eq!(ids, [(Some("a"), "f"), (Some("b"), "f")]);
    let keyless = json(&format!(r#"{{"flags":[{{{GOOD}}}]}}"#));
    assert_eq!(problems(&keyless.diagnostics), ["1:11 flag-key-invalid"]);
    assert!(keyless.layer.is_empty());
}

#[test]
fn an_unchanged_flag_is_shared_and_a_changed_evaluator_changes_its_flags() {
    let document = |email: &str| {
        format!(
            r#"{{"flags":{{"f":{{{GOOD},"targeting":{{"if":[{{"$ref":"e"}},"off"]}}}},"g":{{{GOOD}}}}},
               "$evaluators":{{"e":{{"==":[{{"var":"email"}},"{email}"]}}}}}}"#
        )
    };
    let first = json(&document("a"));
    let same = after(&document("a"), &first.layer);
    let other = after(&document("b"), &first.layer);
    let shared = |loaded: &Loaded, place: usize| {
        Arc::ptr_eq(&loaded.layer.flags()[place], &first.layer.flags()[place])
    };
    assert_eq!((shared(&same, 0), shared(&same, 1)), (true, true));
    assert_eq!((shared(&other, 0), shared(&other, 1)), (false, true));
}

#[test]
fn a_flag_with_findings_is_reported_on_every_load() {
    let text = one(&format!(r#"{GOOD},"targeting":{{"if":[true,"offf"]}}"#));
    let first = json(&text);
    assert_eq!(after(&text, &first.layer).diagnostics, first.diagnostics);
    assert_eq!(first.diagnostics.len(), 1);
}

#[test]
fn evaluators_form_a_graph_without_circles() {
    let document = |evaluators: &str, name: &str| {
        format!(
            r#"{{"flags":{{"f":{{{GOOD},"targeting":{{"if":[{{"$ref":"{name}"}},"off","on"]}}}},"g":{{{GOOD}}}}},"$evaluators":{{{evaluators}}}}}"#
        )
    };
    let nested =
        json(&document(r#""a":{"!":{"$ref":"b"}},"b":{"!":[{"$ref":"c"}]},"c":{"==":[1,1]}"#, "a"));
    assert!(nested.diagnostics.is_empty(), "{:?}", nested.diagnostics);
    assert_eq!(variant_of(&nested, "f"), Ok(Some("off".to_owned())));
    let definition = nested.layer.flags()[0].definition().unwrap();
    assert!(
        definition.contains(r#"{"if":[{"!":{"!":[{"==":[1,1]}]}},"off","on"]}"#),
        "{definition}"
    );

    let circle = json(&document(r#""a":{"!":{"$ref":"b"}},"b":{"!":{"$ref":"a"}}"#, "a"));
    assert!(circle.diagnostics.iter().any(|found| found.code == Code::ReferenceCycle));
    assert_eq!(variant_of(&circle, "g"), Ok(Some("on".to_owned())));
    let itself = json(&document(r#""a":{"!":{"$ref":"a"}}"#, "a"));
    assert!(itself.diagnostics.iter().any(|found| found.code == Code::ReferenceCycle));

    let chain: Vec<String> =
        (0..40).map(|i| format!(r#""e{i}":{{"!":{{"$ref":"e{}"}}}}"#, i + 1)).collect();
    let long = json(&document(&format!(r#"{},"e40":true"#, chain.join(",")), "e0"));
    assert!(long.diagnostics.iter().any(|found| found.code == Code::ReferenceTooDeep));

    // Written out, this would take 2^30 copies: it is shared, and not handed on.
    let doubling: Vec<String> = (0..30)
        .map(|i| format!(r#""e{i}":{{"and":[{{"$ref":"e{0}"}},{{"$ref":"e{0}"}}]}}"#, i + 1))
        .collect();
    let bomb = json(&document(&format!(r#"{},"e30":true"#, doubling.join(",")), "e0"));
    assert!(bomb.diagnostics.iter().any(|found| found.code == Code::FlagTooLarge));
    assert_eq!(variant_of(&bomb, "f"), Err(ErrorCode::ParseError));
}

#[test]
fn what_nests_too_deeply_is_isolated() {
    let rule = format!("{}true{}", r#"{"!":"#.repeat(200), "}".repeat(200));
    let document = format!(
        r#"{{"flags":{{"f":{{{GOOD},"targeting":{rule}}},"v":{{"state":"ENABLED","variants":{{"x":{}1{}}}}},"g":{{{GOOD}}}}}}}"#,
        "[".repeat(90),
        "]".repeat(90)
    );
    let loaded = json(&document);
    let codes: Vec<_> = loaded.diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::TooDeep, Code::TooDeep, Code::VariantTypeUnusual]);
    assert_eq!(variant_of(&loaded, "f"), Err(ErrorCode::ParseError));
    assert_eq!(variant_of(&loaded, "g"), Ok(Some("on".to_owned())));
}

#[test]
fn metadata_of_the_set_lies_below_the_flag_s_own() {
    let loaded = json(&format!(
        r#"{{"flags":{{"f":{{{GOOD},"metadata":{{"owner":"me","gone":null,"unset":null,"odd":[1]}}}}}},
            "metadata":{{"owner":"us","flagSetId":"s","version":"1","unset":1,"odd":1,"none":null}}}}"#
    ));
    let flag = &loaded.layer.flags()[0];
    let metadata = crate::Value::Object(flag.metadata().clone()).to_string();
    assert_eq!(metadata, r#"{"flagSetId":"s","version":"1","owner":"me"}"#);
    assert_eq!(flag.set(), Some("s"));
    let nameless =
        json(&format!(r#"{{"flags":{{"f":{{{GOOD}}}}},"metadata":{{"flagSetId":""}}}}"#));
    assert_eq!(nameless.layer.flags()[0].set(), None);
    // A flag leaves the set of its document by saying so.
    let leaving = json(&format!(
        r#"{{"flags":{{"f":{{{GOOD},"metadata":{{"flagSetId":null}}}}}},"metadata":{{"flagSetId":"s"}}}}"#
    ));
    assert_eq!(leaving.layer.flags()[0].set(), None);
}

#[test]
fn of_what_is_written_twice_the_last_counts() {
    let members = r#""state":"ENABLED","variants":{"on":1,"off":2,"on":3},"defaultVariant":"on""#;
    let loaded = json(&one(members));
    let flag = &loaded.layer.flags()[0];
    let resolved = flag.resolve(&EvaluationContext::new(), UnixSeconds(0)).unwrap();
    assert_eq!(resolved.as_i64(), Ok(Some(3)));
    assert!(flag.definition().unwrap().contains(r#""variants":{"off":2,"on":3}"#));
    let rule = r#""targeting":{"if":[true,"on"],"if":[true,"off"]}"#;
    assert_eq!(variant_of(&json(&one(&format!("{GOOD},{rule}"))), "f"), Ok(Some("off".to_owned())));
}

#[test]
fn a_variant_of_null_is_of_no_type() {
    let members = r#""state":"ENABLED","variants":{"on":true,"n":null},"defaultVariant":"n""#;
    let mismatch = Err(ErrorCode::TypeMismatch);
    assert_eq!(variant_of(&json(&one(members)), "f"), mismatch);
    let targeted = |rule: &str| json(&one(&format!("{members},\"targeting\":{rule}")));
    assert_eq!(variant_of(&targeted("null"), "f"), mismatch);
    assert_eq!(variant_of(&targeted("\"n\""), "f"), mismatch);
    assert_eq!(variant_of(&targeted("\"on\""), "f"), Ok(Some("on".to_owned())));
}

#[test]
fn what_is_handed_on_reads_back_the_same() {
    let loaded = json(&format!(
        r#"{{"flags":{{"f":{{{GOOD},"targeting":{{"if":[{{"$ref":"e"}},"on"]}}}},
            "n":{{"state":"DISABLED","variants":{{"a":1.0,"b":9007199254740993,"c":0.1}}}}}},
            "$evaluators":{{"e":{{"var":["a\"b\\",null]}}}},"metadata":{{"flagSetId":"s"}}}}"#
    ));
    let copy = json(&loaded.layer.to_document());
    assert!(copy.diagnostics.is_empty());
    let definitions = |loaded: &Loaded| -> Vec<Option<String>> {
        loaded.layer.flags().iter().map(|flag| flag.definition().map(str::to_owned)).collect()
    };
    assert_eq!(definitions(&copy), definitions(&loaded));
    let expected = r#"{"state":"DISABLED","defaultVariant":"","variants":{"a":1.0,"b":9007199254740993,"c":0.1},"metadata":{"flagSetId":"s"}}"#;
    assert_eq!(definitions(&loaded)[1].as_deref(), Some(expected));
}

#[test]
fn targeting_of_null_is_a_rule_and_an_empty_object_is_none() {
    let reason = |targeting: &str| {
        let loaded = json(&one(&format!("{GOOD},\"targeting\":{targeting}")));
        let flag = Arc::clone(&loaded.layer.flags()[0]);
        flag.resolve(&EvaluationContext::new(), UnixSeconds(0)).unwrap().reason
    };
    assert_eq!(reason("{}"), Reason::Static);
    assert_eq!(reason("null"), Reason::Default);
    assert_eq!(reason("\"off\""), Reason::TargetingMatch);
}

#[test]
fn the_house_rules_are_asked_for() {
    let text = one(&format!(r#"{GOOD},"metadata":{{"expires":"2020-01-01"}}"#));
    assert!(json(&text).diagnostics.is_empty());
    let strict = |now| load_strictly(text.as_bytes(), Format::Json, &options(), UnixSeconds(now));
    let codes = |now| -> Vec<&str> {
        strict(now).unwrap().diagnostics.iter().map(|found| found.code.as_str()).collect()
    };
    assert_eq!(codes(1_577_836_800), ["owner-missing", "default-on"], "it is the last day");
    assert_eq!(codes(1_577_923_200), ["owner-missing", "expired", "default-on"]);
    assert!(
        strict(0).unwrap().diagnostics.iter().all(|found| found.severity() == Severity::Warning)
    );
}

#[cfg(feature = "yaml")]
mod yaml {
    use super::*;

    fn yaml(text: &str) -> Loaded {
        load(text.as_bytes(), Format::Yaml, &options(), None).unwrap()
    }

    #[test]
    fn booleans_are_true_and_false_alone() {
        let loaded = yaml(
            "flags:\n  f:\n    state: ENABLED\n    variants:\n      on: yes\n      off: no\n      true: 1\n    defaultVariant: on\n",
        );
        let flag = &loaded.layer.flags()[0];
        let variants: Vec<_> =
            flag.variants().iter().map(|v| (v.name(), v.value().to_string())).collect();
        assert_eq!(
            variants,
            [("on", "\"yes\"".to_owned()), ("off", "\"no\"".to_owned()), ("true", "1".to_owned())]
        );
        assert_eq!(variant_of(&loaded, "f"), Ok(Some("on".to_owned())));
    }

    #[test]
    fn positions_are_those_of_the_text() {
        let loaded = yaml(
            "base: &base\n  state: ENABLED\nflags:\n  f:\n    <<: *base\n    variants: {a: 1}\n    defaultVariant: b\n",
        );
        assert_eq!(problems(&loaded.diagnostics), ["7:21 default-variant-unknown"]);
    }

    #[test]
    fn refuses_bombs_duplicates_and_several_documents() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let item = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{item}]\n"));
        }
        bomb.push_str("flags: {}\n");
        let deep = format!("flags: {}1{}", "[".repeat(500), "]".repeat(500));
        let texts = [
            bomb.as_str(),
            &deep,
            "flags: {}\nflags: {}\n",
            "flags: {}\n---\nflags: {}\n",
            "flags: [\n",
            "a: .inf\nflags: {}\n",
            "# nothing\n",
        ];
        for text in texts {
            let refused = load(text.as_bytes(), Format::Yaml, &options(), None);
            let start: String = text.chars().take(40).collect();
            assert!(refused.is_err(), "{start}");
        }
    }
}
