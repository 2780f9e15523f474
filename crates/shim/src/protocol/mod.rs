//! What travels over a shim's socket: postcard messages in frames with a length in front.
//!
//! A connection begins with one [`preamble`](frame::preamble) in each direction. Then the client sends one
//! [`Request`] at a time and gets one [`Response`]; after `Attach`, or `Exec` with streams, is answered
//! well, the connection carries [`OutputFrame`]s one way and [`InputFrame`]s the other until it closes. The
//! messages are encoded by their position in the enum: new ones are added at the end, old ones never
//! change. `docs/shim-protocol.md` is the description for people.

mod frame;
mod fuzz;
mod message;

pub use frame::{
    FrameError, MAX_FRAME, PREAMBLE_LEN, VERSION, append, append_output, check_preamble, decode, preamble,
    split_frame,
};
pub use fuzz::fuzz;
pub use message::{
    AttachRequest, Backpressure, ContainerState, ExecRequest, ExecState, Exit, InputFrame, OutputFrame,
    Request, Response, Status, Stream, Streams, TerminalSize,
};
