//! Lists of CPUs and memory nodes as of cpuset(7), such as `0-3,7`.

use std::ops::RangeInclusive;

/// The ranges of a list; none where it is no list, or has a number that is not less than `limit`.
pub(crate) fn ranges(list: &str, limit: usize) -> Option<Vec<RangeInclusive<usize>>> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&number| number < limit);
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(first..=last)
    };
    list.split(',').map(range).collect()
}
