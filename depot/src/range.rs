//! Parts of files, as they are asked for.

use std::ops::Range;

/// What a header `Range` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// There is none, or one that need not be honoured.
    All,
    Part(Range<u64>),
    /// Nothing of it is there.
    Beyond,
}

/// One range of bytes. Several at once are answered with the whole, which a server may do.
pub fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::All;
    };
    let Some((from, to)) = range.split_once('-') else {
        return Asked::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (from.trim(), to.trim()) {
        ("", last) => match number(last) {
            Some(0) => Asked::Beyond,
            Some(_) if size == 0 => Asked::Beyond,
            Some(last) => Asked::Part(size.saturating_sub(last)..size),
            None => Asked::All,
        },
        (from, to) => match (number(from), to, number(to)) {
            (Some(from), _, _) if from >= size => Asked::Beyond,
            (Some(from), "", _) => Asked::Part(from..size),
            (Some(from), _, Some(to)) if to >= from => {
                Asked::Part(from..size.min(to.saturating_add(1)))
            }
            _ => Asked::All,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        let ten = |header: &str| asked(Some(header), 10);
        assert_eq!(asked(None, 10), Asked::All);
        assert_eq!(ten("bytes=0-0"), Asked::Part(0..1));
        assert_eq!(ten("bytes=3-"), Asked::Part(3..10));
        assert_eq!(ten("bytes=-4"), Asked::Part(6..10));
        assert_eq!(ten("bytes=-40"), Asked::Part(0..10));
        assert_eq!(ten("bytes=8-99999999999999999999"), Asked::All);
        assert_eq!(ten("bytes=8-99"), Asked::Part(8..10));
        assert_eq!(ten("bytes=10-"), Asked::Beyond);
        assert_eq!(ten("bytes=-0"), Asked::Beyond);
        assert_eq!(asked(Some("bytes=-1"), 0), Asked::Beyond);
        for odd in [
            "bytes=5-3",
            "bytes=a-b",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=",
        ] {
            assert_eq!(ten(odd), Asked::All, "{odd}");
        }
    }
}
