//! The flag document that in-process clients get.

use std::sync::Arc;

use outrigger_flags::{Flag, Revision, Selector, View, json};
use tokio::sync::Mutex;

use crate::evaluation::Subscription;

/// Most selectors whose newest payload is kept. A few flag sets are usual.
const KEPT_MAX: usize = 16;

/// The newest payload of each selector in use. A change wakes every subscriber at once: the first
/// one writes the payload and the others share it.
#[derive(Debug, Default)]
pub(super) struct Payloads(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    selector: Selector,
    revision: Revision,
    payload: Arc<str>,
}

impl Payloads {
    /// The payload of what a subscription has seen.
    pub(super) async fn of(&self, subscription: &Subscription) -> Arc<str> {
        let selector = subscription.selector();
        let revision = subscription.snapshot().revision();
        let mut kept = self.0.lock().await;
        let same = kept.iter().find(|kept| kept.selector == *selector);
        if let Some(hit) = same.filter(|kept| kept.revision == revision) {
            return Arc::clone(&hit.payload);
        }
        let payload: Arc<str> = write(subscription.view()).into();
        kept.retain(|kept| kept.selector != *selector);
        kept.truncate(KEPT_MAX - 1);
        let selector = selector.clone();
        kept.insert(0, Kept { selector, revision, payload: Arc::clone(&payload) });
        payload
    }
}

/// The document: every flag that has a definition, with its source; where flag sets share a key, the
/// flag that evaluation would choose.
fn write(view: &View) -> String {
    let mut text = String::from("{\"flags\":{");
    let mut is_first = true;
    for flag in view.flags() {
        let chosen = view.get(flag.key()).is_some_and(|chosen| Arc::ptr_eq(chosen, flag));
        let Some(definition) = flag.definition().filter(|_| chosen) else { continue };
        if !is_first {
            text.push(',');
        }
        is_first = false;
        write_flag(flag, definition, &mut text);
    }
    text.push_str("}}");
    text
}

fn write_flag(flag: &Flag, definition: &str, text: &mut String) {
    json::quote(flag.key(), text);
    text.push_str(":{\"source\":");
    json::quote(flag.source().as_str(), text);
    text.push(',');
    text.push_str(definition.strip_prefix('{').unwrap_or(definition));
}
