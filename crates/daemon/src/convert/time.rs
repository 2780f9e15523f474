//! Points and spans of time.

use std::time::Duration;

use prost_types::Timestamp as Message;
use ross_engine::model::Timestamp;
use tonic::Status;

use crate::status::invalid;

const NANOS: i64 = 1_000_000_000;

/// A moment as a message.
pub fn message(time: Timestamp) -> Message {
    let nanos = time.unix_nanos();
    let fraction = i32::try_from(nanos.rem_euclid(NANOS)).unwrap_or(0);
    Message { seconds: nanos.div_euclid(NANOS), nanos: fraction }
}

/// A moment of a request.
pub fn moment(field: &str, time: Option<&Message>) -> Result<Option<Timestamp>, Status> {
    let Some(time) = time else { return Ok(None) };
    let nanos = time.seconds.checked_mul(NANOS).and_then(|nanos| nanos.checked_add(time.nanos.into()));
    match nanos {
        Some(nanos) if (0..NANOS).contains(&i64::from(time.nanos)) => {
            Ok(Some(Timestamp::from_unix_nanos(nanos)))
        }
        _ => Err(invalid(field, "it is no point in time")),
    }
}

/// A span of a request; zero when it is not set.
pub fn span(field: &str, span: Option<prost_types::Duration>) -> Result<Duration, Status> {
    span.map_or(Ok(Duration::ZERO), |span| {
        Duration::try_from(span).map_err(|_| invalid(field, "it is negative"))
    })
}

/// A span as a message; absent when it is zero.
pub fn span_message(span: Duration) -> Option<prost_types::Duration> {
    if span.is_zero() {
        return None;
    }
    prost_types::Duration::try_from(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_round_trip() {
        for nanos in [0, 1, -1, NANOS, -NANOS - 5, 1_700_000_000_123_456_789] {
            let time = Timestamp::from_unix_nanos(nanos);
            assert_eq!(moment("x", Some(&message(time))).unwrap(), Some(time), "{nanos}");
        }
        assert!(moment("since", Some(&Message { seconds: i64::MAX, nanos: 0 })).is_err());
        assert!(moment("since", Some(&Message { seconds: 0, nanos: -1 })).is_err());
        assert_eq!(moment("since", None).unwrap(), None);
    }

    #[test]
    fn spans() {
        let second = prost_types::Duration { seconds: 1, nanos: 5 };
        assert_eq!(span("x", Some(second)).unwrap(), Duration::new(1, 5));
        assert!(span("x", Some(prost_types::Duration { seconds: -1, nanos: 0 })).is_err());
        assert_eq!(span_message(Duration::ZERO), None);
    }
}
