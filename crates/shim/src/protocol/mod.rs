//! What travels over a shim's socket: postcard messages in frames with a length in front.
//!
//! A connection begins with one [`preamble`](frame::preamble) in each direction. Then the client sends one
//! [`Request`] at a time and gets one [`Response`]; after `Attach`, or `Exec` with streams, is answered
//! well, the connection carries [`OutputFrame`]s one way and [`InputFrame`]s the other until it closes. The
//! messages are encoded by their position in the enum: new ones are added at the end, old ones never
//! change. `docs/shim-protocol.md` is the description for people.

mod frame;
mod message;

pub use frame::{
    FrameError, MAX_FRAME, PREAMBLE_LEN, VERSION, append, append_output, check_preamble, decode, preamble,
    split_frame,
};
pub use message::{
    AttachRequest, Backpressure, ContainerState, ExecRequest, ExecState, Exit, InputFrame, OutputFrame,
    Request, Response, Status, Stream, Streams, TerminalSize, kind_from_reason,
};

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
