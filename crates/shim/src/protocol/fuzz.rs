//! Bytes from anywhere, for fuzzing.

use super::{InputFrame, OutputFrame, Request, Response, append, check_preamble, decode, split_frame};

/// Decodes whatever `data` holds, as a peer that wants to do harm could send it.
pub fn fuzz(data: &[u8]) {
    fn message<'a, T: serde::Serialize + serde::Deserialize<'a>>(payload: &'a [u8]) {
        if let Ok(message) = decode::<T>(payload) {
            append(&mut Vec::new(), &message).expect("what was decoded from a bounded frame fits a frame");
        }
    }
    let _ = check_preamble(data);
    let mut rest = data;
    while let Ok(Some((payload, used))) = split_frame(rest) {
        message::<Request>(payload);
        message::<Response>(payload);
        message::<InputFrame<'_>>(payload);
        message::<OutputFrame<'_>>(payload);
        rest = &rest[used..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&data);
        }

        #[test]
        fn any_payload(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut data = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
            data.extend(payload);
            fuzz(&data);
        }
    }
}
