//! Conversions of weights from the ranges of cgroup v1, in which the specification gives them, to those of v2.

/// CPU shares (2 to 262144, 1024 is the default) to `cpu.weight` (1 to 10000, 100 is the default).
///
/// The curve through (2, 1), (1024, 100), (262144, 10000), quadratic in the logarithms, that runc 1.3.2 and crun 1.23 use:
/// the linear one before it made 1024 shares a weight of 39.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between 1 and 10000 by construction"
)]
pub(super) fn cpu(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

/// Block I/O weight (10 to 1000) to `io.weight` (1 to 10000).
#[must_use]
pub(super) fn io(weight: u16) -> u64 {
    1 + (u64::from(weight.max(10)) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        let check = |shares, weight| assert_eq!(cpu(shares), weight, "{shares}");
        check(0, 1);
        check(1, 1);
        check(2, 1);
        check(3, 2);
        check(102, 17);
        check(256, 35);
        check(512, 59);
        check(1024, 100);
        check(2000, 170);
        check(4096, 303);
        check(262_143, 10_000);
        check(262_144, 10_000);
        check(u64::MAX, 10_000);
        assert!((2..262_144).step_by(7).all(|shares| cpu(shares) <= cpu(shares + 7)));
    }

    #[test]
    fn io_weights_span_the_range() {
        let check = |weight, expected| assert_eq!(io(weight), expected, "{weight}");
        check(10, 1);
        check(100, 910);
        check(500, 4950);
        check(1000, 10_000);
    }
}
