//! Numbers at the edges of their types.

use outrigger_flags::{Format, Number, Value};
use outrigger_tests::random::Random;

use crate::engine::{loaded, resolve, try_load};

fn document(number: &str) -> String {
    format!(
        "{{\"flags\":{{\"n\":{{\"state\":\"ENABLED\",\"variants\":{{\"it\":{number}}},\
         \"defaultVariant\":\"it\"}}}}}}"
    )
}

fn read(number: &str) -> Value {
    resolve(loaded(&document(number), Format::Json).layer, "n", "{}").expect("a value")
}

#[test]
fn a10_a_number_is_what_was_written_or_is_refused() {
    for not_a_number in
        ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "0x10", "01", "1.", "+1"]
    {
        let refused = try_load(document(not_a_number).as_bytes(), Format::Json, None);
        assert!(refused.is_err(), "{not_a_number}");
    }
    let exact: [(&str, Number); 8] = [
        ("9223372036854775807", Number::Int(i64::MAX)),
        ("-9223372036854775808", Number::Int(i64::MIN)),
        ("9007199254740993", Number::Int((1 << 53) + 1)),
        ("9223372036854775808", Number::UInt(1 << 63)),
        ("18446744073709551615", Number::UInt(u64::MAX)),
        ("5e-324", Number::Float(f64::from_bits(1))),
        ("1.7976931348623157e308", Number::Float(f64::MAX)),
        ("0.1", Number::Float(0.1)),
    ];
    for (text, number) in exact {
        let Value::Number(found) = read(text) else { panic!("{text}") };
        assert_eq!(format!("{found:?}"), format!("{number:?}"), "{text}");
    }
    let Value::Number(zero) = read("-0.0") else { panic!("-0.0") };
    assert!(zero.as_f64().is_sign_negative() && zero.as_f64() == 0.0);
    // Beyond 64 bits JSON has no integers; the nearest double is all that anyone can read.
    let Value::Number(large) = read("18446744073709551616") else { panic!("2^64") };
    assert_eq!(large.as_f64(), 18_446_744_073_709_551_616.0);
}

#[test]
fn a10_yaml_numbers_that_are_not_finite_are_refused() {
    for number in [".nan", ".inf", "-.inf", "1e999"] {
        let text = format!(
            "flags:\n  n:\n    state: ENABLED\n    variants:\n      it: {number}\n    \
             defaultVariant: it\n"
        );
        match try_load(text.as_bytes(), Format::Yaml, None) {
            Err(_) => {}
            Ok(loaded) => {
                let value = resolve(loaded.layer, "n", "{}").expect("a value");
                assert!(!matches!(value, Value::Number(_)), "{number} became {value:?}");
            }
        }
    }
}

#[test]
fn a10_every_number_survives_being_written_down_and_read_again() {
    let mut random = Random::new(Random::seed("a10", 10));
    for _ in 0..20_000 {
        let double = f64::from_bits(random.bits());
        if !double.is_finite() {
            continue;
        }
        let layer = loaded(&document(&format!("{double:?}")), Format::Json).layer;
        let again = loaded(&layer.to_document(), Format::Json).layer;
        let Ok(Value::Number(number)) = resolve(again, "n", "{}") else { panic!("{double:?}") };
        assert_eq!(number.as_f64().to_bits(), double.to_bits(), "{double:?}");
    }
}
