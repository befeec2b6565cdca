//! Any bytes as a flag document: never a panic, and what loads hands on what loads again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use outrigger_flags::{Format, Generation, LoadOptions, SourceName, load};

fuzz_target!(|bytes: &[u8]| {
    let options = LoadOptions { source: SourceName::new("fuzz"), generation: Generation::V2 };
    for format in [Format::Json, Format::Yaml] {
        let Ok(loaded) = load(bytes, format, &options, None) else { continue };
        let again = load(bytes, format, &options, Some(&loaded.layer)).expect("it loaded before");
        assert_eq!(loaded.diagnostics, again.diagnostics);
        let document = loaded.layer.to_document();
        let copy = load(document.as_bytes(), Format::Json, &options, None);
        let copy = copy.expect("what is handed on can be read").layer;
        let definitions = |layer: &outrigger_flags::Layer| -> Vec<(String, String)> {
            let flags = layer.flags().iter();
            let handed_on = flags.filter_map(|f| Some((f.key().to_owned(), f.definition()?.to_owned())));
            handed_on.collect()
        };
        assert_eq!(definitions(&loaded.layer), definitions(&copy));
    }
});
