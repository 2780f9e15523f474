//! Questions to whoever sits at the terminal.

use std::io::{self, Read};

use super::raw::RawMode;
use crate::failure::Failure;
use crate::streams::Streams;

/// An answer is no longer than this.
const MAX_ANSWER: usize = 64 * 1024;

/// Asks `question`, and answers the line that is typed.
pub async fn ask(streams: &mut Streams, question: &str) -> Result<String, Failure> {
    streams.stderr.write(question)?;
    read(streams, line).await
}

/// The same without showing what is typed.
pub async fn ask_hidden(streams: &mut Streams, question: &str) -> Result<String, Failure> {
    streams.stderr.write(question)?;
    let hidden = RawMode::without_echo()?;
    let typed = tokio::select! {
        typed = read(streams, line) => typed,
        // The terminal has to be put back before this process ends.
        _ = tokio::signal::ctrl_c() => Err(failed(io::ErrorKind::Interrupted.into())),
    };
    drop(hidden);
    // The newline that was typed was not shown either.
    streams.stderr.write("\n")?;
    typed
}

/// All of standard input but a newline at its end.
pub async fn read_all(streams: &mut Streams) -> Result<String, Failure> {
    let mut text = read(streams, all).await?;
    for end in ['\n', '\r'] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    Ok(text)
}

fn failed(source: io::Error) -> Failure {
    Failure::Stream { what: "cannot read the answer", source }
}

/// Reads off this thread, so that signals are seen meanwhile.
async fn read(
    streams: &mut Streams,
    how: fn(&mut dyn Read) -> io::Result<Vec<u8>>,
) -> Result<String, Failure> {
    let Some(mut stdin) = streams.stdin.take() else {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    };
    let reading = tokio::task::spawn_blocking(move || {
        let read = how(&mut stdin);
        (stdin, read)
    });
    let (stdin, read) = reading.await.map_err(|error| failed(error.into()))?;
    streams.stdin = Some(stdin);
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "it is longer than 64 KiB");
    let bytes = read.and_then(|bytes| if bytes.len() > MAX_ANSWER { Err(too_long()) } else { Ok(bytes) });
    let text = bytes.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))
    });
    text.map_err(failed)
}

/// One line without its end; nothing is read beyond it.
fn line(stdin: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() <= MAX_ANSWER {
        match stdin.read(&mut byte)? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            1 if byte != *b"\n" => line.extend(byte),
            _ => break,
        }
    }
    Ok(line)
}

fn all(stdin: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stdin.take(MAX_ANSWER as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::testing::captured;

    #[tokio::test]
    async fn answers() {
        let (mut streams, _, stderr) = captured();
        streams.stdin = Some(Box::new(&b"me\nsecret\n\nrest\r\n"[..]));
        assert_eq!(ask(&mut streams, "Who? ").await.unwrap(), "me");
        assert_eq!(ask(&mut streams, "").await.unwrap(), "secret");
        assert_eq!(ask(&mut streams, "").await.unwrap(), "");
        assert_eq!(read_all(&mut streams).await.unwrap(), "rest");
        assert_eq!(read_all(&mut streams).await.unwrap(), "");
        assert!(ask(&mut streams, "").await.unwrap_err().to_string().contains("end of file"));
        assert_eq!(crate::streams::testing::text(&stderr), "Who? ");
        for bad in [vec![b'x'; 70_000], vec![0xff]] {
            streams.stdin = Some(Box::new(io::Cursor::new(bad)));
            assert!(read_all(&mut streams).await.is_err());
        }
        streams.stdin = Some(Box::new(io::Cursor::new(b"pass\n\n".to_vec())));
        assert_eq!(read_all(&mut streams).await.unwrap(), "pass\n", "one newline is the end, not two");
    }
}
