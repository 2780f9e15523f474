//! Changed documents for tests: valid JSON whose values are exchanged for others, so that more is reached than with noise.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// One change: at which value, which of the kinds of change, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    place: Index,
    other: Index,
    kind: u8,
    value: Value,
}

/// Some changes of a document, and of its bytes afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    changes: Vec<Change>,
    cut: Option<(Index, Vec<u8>)>,
}

impl Changes {
    /// The document with the changes made, as bytes.
    pub(crate) fn of(&self, document: &Value) -> Vec<u8> {
        let mut document = document.clone();
        for change in &self.changes {
            let copy = nth(&mut document, change.other.index(usize::MAX / 2)).clone();
            let place = nth(&mut document, change.place.index(usize::MAX / 2));
            match (change.kind, place) {
                (0, Value::Array(items)) if !items.is_empty() => {
                    drop(items.remove(change.other.index(items.len())))
                }
                (0, Value::Object(fields)) if !fields.is_empty() => {
                    let name = fields.keys().nth(change.other.index(fields.len())).cloned();
                    fields.remove(&name.unwrap_or_default());
                }
                (1, Value::Array(items)) => items.push(copy),
                (1, Value::Object(fields)) => {
                    fields.insert(change.value.as_str().unwrap_or("odd").to_owned(), copy);
                }
                (2, place) => *place = copy,
                (_, place) => *place = change.value.clone(),
            }
        }
        let mut bytes = document.to_string().into_bytes();
        if let Some((at, with)) = &self.cut {
            let at = at.index(bytes.len());
            let end = (at + with.len()).min(bytes.len());
            bytes.splice(at..end, with.iter().copied());
        }
        bytes
    }
}

/// Value number `number`, counted around, of all there are.
fn nth(document: &mut Value, number: usize) -> &mut Value {
    let mut left = number % count(document);
    let mut here = document;
    while left > 0 {
        left -= 1;
        let children: Vec<&mut Value> = match here {
            Value::Array(items) => items.iter_mut().collect(),
            Value::Object(fields) => fields.values_mut().collect(),
            _ => unreachable!("a leaf counts one"),
        };
        let mut next = None;
        for child in children {
            let size = count(child);
            if left < size {
                next = Some(child);
                break;
            }
            left -= size;
        }
        here = next.expect("the counts of the children add up");
    }
    here
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

pub(crate) fn any_changes() -> impl Strategy<Value = Changes> {
    let change = (any::<Index>(), any::<Index>(), 0..5_u8, any_value())
        .prop_map(|(place, other, kind, value)| Change { place, other, kind, value });
    let cut = prop::option::weighted(0.2, (any::<Index>(), prop::collection::vec(any::<u8>(), 0..4)));
    (prop::collection::vec(change, 0..5), cut).prop_map(|(changes, cut)| Changes { changes, cut })
}

/// Values at the borders of what is allowed somewhere, and words that mean something somewhere.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1),
            json!(0.5),
            json!(1e300),
            json!(65_536),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(u32::MAX),
            json!([]),
            json!({}),
            json!([[[]]]),
            json!(""),
            json!("/"),
            json!(".."),
            json!("../../x"),
            json!("/a/../../b"),
            json!("//"),
            json!("a\0b"),
            json!("a\nb"),
            json!("\u{fffd}"),
            json!("x".repeat(5000)),
            json!("/x".repeat(3000)),
            json!("1.0"),
            json!("1.99.9-x+y"),
            json!("net.ipv4..x"),
            json!("net/../kernel/x"),
            json!("kernel.shmmax"),
            json!("rbind"),
            json!("ro"),
            json!("rro"),
            json!("idmap"),
            json!("a=b=c"),
            json!("=x"),
            json!("user"),
            json!("c"),
            json!("SCMP_ACT_NOTIFY"),
            json!("0-4294967295"),
        ]),
        any::<i64>().prop_map(|number| json!(number)),
        "[ -~]{0,12}".prop_map(|text| json!(text)),
        any::<String>().prop_map(|text| json!(text)),
    ]
}
