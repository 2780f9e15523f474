//! Frames: a 32-bit little-endian length and that many bytes of postcard; and what a connection begins with.

use serde::{Deserialize, Serialize};

use super::{Exit, Stream};

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// The oldest version that this crate understands.
const OLDEST: u16 = 1;

/// The length in bytes of what each side sends first.
pub const PREAMBLE_LEN: usize = 8;

/// The largest payload of a frame, in bytes: a program's arguments and environment in JSON fit well.
pub const MAX_FRAME: usize = 4 << 20;

const MAGIC: [u8; 4] = *b"rosh";
const LENGTH_LEN: usize = 4;

/// What a peer sent that is not the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The connection does not begin as one of ours.
    #[error("the peer does not speak the shim protocol")]
    NotOurs,
    /// There is no version that both sides know.
    #[error(
        "the peer speaks versions {oldest} to {newest} of the shim protocol, this side {OLDEST} to {VERSION}"
    )]
    Version {
        /// The peer's oldest.
        oldest: u16,
        /// The peer's newest.
        newest: u16,
    },
    /// A frame is too large.
    #[error("a frame of {0} bytes exceeds the limit of {MAX_FRAME}")]
    TooLarge(usize),
    /// A frame holds something else than what is expected at this point.
    #[error("a frame does not hold the message expected")]
    Malformed,
}

/// What each side of a connection sends first: magic, newest version, oldest version.
#[must_use]
pub fn preamble() -> [u8; PREAMBLE_LEN] {
    let mut bytes = [0; PREAMBLE_LEN];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
    bytes[6..].copy_from_slice(&OLDEST.to_le_bytes());
    bytes
}

/// Checks what the peer sent first, and returns the version to speak.
///
/// # Errors
/// When the peer speaks something else, or no version in common.
pub fn check_preamble(bytes: &[u8]) -> Result<u16, FrameError> {
    let &[a, b, c, d, n0, n1, o0, o1] = bytes else { return Err(FrameError::NotOurs) };
    if [a, b, c, d] != MAGIC {
        return Err(FrameError::NotOurs);
    }
    let (newest, oldest) = (u16::from_le_bytes([n0, n1]), u16::from_le_bytes([o0, o1]));
    let common = newest.min(VERSION);
    if common >= oldest && common >= OLDEST {
        Ok(common)
    } else {
        Err(FrameError::Version { oldest, newest })
    }
}

/// Appends `message` to `out` as one frame.
///
/// # Errors
/// When the message exceeds [`MAX_FRAME`]; `out` is then as it was.
pub fn append<T: Serialize>(out: &mut Vec<u8>, message: &T) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_LEN]);
    let buffer = std::mem::take(out);
    *out = postcard::to_extend(message, buffer).expect("messages have no types that postcard refuses");
    let length = out.len() - start - LENGTH_LEN;
    if length > MAX_FRAME {
        out.truncate(start);
        return Err(FrameError::TooLarge(length));
    }
    let length = u32::try_from(length).expect("bounded by MAX_FRAME");
    out[start..start + LENGTH_LEN].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Appends an `OutputFrame::Output` to `out`: the same bytes as [`append`] makes, without going byte by byte.
pub fn append_output(out: &mut Vec<u8>, stream: Stream, bytes: &[u8]) {
    const OUTPUT_VARIANT: u8 = 0;
    let stream = match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    };
    let mut header = [0_u8; LENGTH_LEN + 2 + 10];
    header[LENGTH_LEN] = OUTPUT_VARIANT;
    header[LENGTH_LEN + 1] = stream;
    let mut used = LENGTH_LEN + 2;
    let mut rest = bytes.len();
    loop {
        let low = u8::try_from(rest & 0x7f).expect("seven bits");
        rest >>= 7;
        header[used] = if rest == 0 { low } else { low | 0x80 };
        used += 1;
        if rest == 0 {
            break;
        }
    }
    let length = u32::try_from(used - LENGTH_LEN + bytes.len()).expect("callers pass one read buffer");
    header[..LENGTH_LEN].copy_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&header[..used]);
    out.extend_from_slice(bytes);
}

/// The payload of the first frame in `bytes` and how many bytes the frame takes; `None` when it is not
/// complete.
///
/// # Errors
/// When the frame announces more than [`MAX_FRAME`].
pub fn split_frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, FrameError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_LEN>() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    Ok(rest.get(..length).map(|payload| (payload, LENGTH_LEN + length)))
}

/// Decodes a payload, all of it.
///
/// # Errors
/// When it does not hold exactly one such message.
pub fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}

impl Exit {
    /// How a program ended that `waitid` reports with this code or signal.
    #[must_use]
    pub fn of_program(pid: i32, code: Option<i32>, signal: Option<i32>) -> Self {
        Self {
            pid,
            code: signal.map_or(code.unwrap_or(0), |signal| 128 + signal),
            signal,
            oom_killed: false,
            started_at: 0,
            finished_at: 0,
            error: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::super::{
        AttachRequest, Backpressure, ContainerState, ExecRequest, ExecState, InputFrame, OutputFrame,
        Request, Response, Status, Streams, TerminalSize,
    };
    use super::*;

    fn check<T: Serialize + for<'a> Deserialize<'a> + PartialEq + Debug>(message: &T) {
        let mut bytes = vec![0xee];
        append(&mut bytes, message).unwrap();
        let (payload, used) = split_frame(&bytes[1..]).unwrap().unwrap();
        assert_eq!(used, bytes.len() - 1);
        assert_eq!(decode::<T>(payload).as_ref(), Ok(message));
        for cut in 1..bytes.len() - 1 {
            assert_eq!(split_frame(&bytes[1..=cut]).unwrap(), None);
        }
        if !payload.is_empty() {
            assert!(decode::<T>(&payload[..payload.len() - 1]).is_err());
        }
    }

    #[test]
    fn messages_travel() {
        let size = TerminalSize { rows: 50, cols: 200 };
        let exit = Exit::of_program(5, None, Some(9));
        assert_eq!(exit.code, 137);
        for request in [
            Request::Start { size: Some(size) },
            Request::State,
            Request::Signal { exec: Some("e".into()), signal: 15, all: true },
            Request::Exec(ExecRequest {
                exec_id: "e".into(),
                process: "{}".into(),
                terminal: true,
                stdin: true,
                size: None,
                attach: Some(Streams::ALL),
            }),
            Request::Attach(AttachRequest {
                exec: None,
                streams: Streams::OUTPUT,
                backpressure: Backpressure::Disconnect,
            }),
            Request::Resize { exec: None, size },
            Request::CloseStdin { exec: None },
            Request::Wait { exec: None },
            Request::Pause,
            Request::Resume,
            Request::Update { resources: "{}".into() },
            Request::Shutdown,
        ] {
            check(&request);
        }
        let exec = ExecState { exec_id: "e".into(), pid: 3, exit: Some(exit.clone()) };
        for response in [
            Response::Ok,
            Response::Started { pid: -1 },
            Response::State(ContainerState {
                status: Status::Paused,
                pid: 1,
                started_at: i64::MIN,
                exit: None,
                execs: vec![exec],
            }),
            Response::Exited(exit),
            Response::Error { kind: "internal".into(), text: "x".into() },
        ] {
            check(&response);
        }
    }

    #[test]
    fn output_is_encoded_as_postcard_does() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let bytes = vec![0x85; length];
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                append_output(&mut ours, stream, &bytes);
                append(&mut theirs, &OutputFrame::Output { stream, bytes: &bytes }).unwrap();
                assert_eq!(ours, theirs);
            }
        }
        let mut input = Vec::new();
        append(&mut input, &InputFrame::Stdin(b"abc")).unwrap();
        let (payload, _) = split_frame(&input).unwrap().unwrap();
        assert_eq!(decode::<InputFrame<'_>>(payload), Ok(InputFrame::Stdin(b"abc")));
    }

    #[test]
    fn preambles() {
        assert_eq!(check_preamble(&preamble()), Ok(VERSION));
        assert_eq!(check_preamble(b"GET / HT"), Err(FrameError::NotOurs));
        assert_eq!(check_preamble(b"rosh"), Err(FrameError::NotOurs));
        let mut newer = preamble();
        newer[4] = 9;
        assert_eq!(check_preamble(&newer), Ok(VERSION));
        newer[6] = 9;
        assert_eq!(check_preamble(&newer), Err(FrameError::Version { oldest: 9, newest: 9 }));
    }

    #[test]
    fn large_frames() {
        let announced = u32::try_from(MAX_FRAME + 1).unwrap().to_le_bytes();
        assert_eq!(split_frame(&announced), Err(FrameError::TooLarge(MAX_FRAME + 1)));
        let mut out = vec![1];
        let message = Request::Update { resources: "x".repeat(MAX_FRAME) };
        assert!(matches!(append(&mut out, &message), Err(FrameError::TooLarge(_))));
        assert_eq!(out, [1]);
    }
}
