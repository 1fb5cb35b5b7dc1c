/// `"",` takes three bytes in JSON and eight times that in memory, so that their number needs a bound of its own.
const COMMAS_MAX: usize = 1 << 20;

/// Whether reading this JSON could take more memory than anything that kubexm writes.
pub(crate) fn too_many_commas(json: &[u8]) -> bool {
    json.split(|byte| *byte == b',').count() > COMMAS_MAX + 1
}

/// Whether a character can mislead whoever reads a terminal: control characters, those that turn the direction of
/// writing, and those that have no width.
pub(crate) fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
