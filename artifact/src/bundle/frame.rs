//! What the header of a stored frame says, and whether the format allows it. The decoder takes more than the format:
//! larger windows, and frames that do not check their content.

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The longest header of a zstd frame.
pub(super) const HEADER_MAX: usize = 18;
pub(super) const WINDOW_LOG_MAX: u32 = 27;

const NO_FRAME: &str = "it is no zstd frame";
const WINDOW: &str = "its window is larger than 2^27 bytes";
const UNCHECKED: &str = "it has no checksum of its content";
const DICTIONARY: &str = "it needs a dictionary";
pub(super) const CONTENT: &str =
    "its content cannot be decoded, or is not as long as the seek table says";
pub(super) const NOT_ALONE: &str = "more than one zstd frame is stored for it";

/// Why the format does not allow a frame that begins so.
pub(super) fn refused(start: &[u8]) -> Option<&'static str> {
    let Some([descriptor, fields @ ..]) = start.strip_prefix(&MAGIC) else {
        return Some(NO_FRAME);
    };
    if descriptor & 0b100 == 0 {
        return Some(UNCHECKED);
    }
    if descriptor & 0b11 != 0 {
        return Some(DICTIONARY);
    }
    match window(*descriptor, fields) {
        None => Some(NO_FRAME),
        Some(window) if window > 1 << WINDOW_LOG_MAX => Some(WINDOW),
        Some(_) => None,
    }
}

/// Whether these bytes are one frame and nothing behind it.
pub(super) fn is_one(stored: &[u8]) -> bool {
    zstd::zstd_safe::find_frame_compressed_size(stored).is_ok_and(|len| len == stored.len())
}

/// In a frame of a single segment the whole content is the window.
fn window(descriptor: u8, fields: &[u8]) -> Option<u64> {
    if descriptor & 0b10_0000 == 0 {
        let byte = u64::from(*fields.first()?);
        let base = 1 << (10 + (byte >> 3));
        return Some(base + base / 8 * (byte & 0b111));
    }
    let len = 1 << (descriptor >> 6);
    let mut size = [0; 8];
    size.get_mut(..len)?.copy_from_slice(fields.get(..len)?);
    let size = u64::from_le_bytes(size);
    Some(if len == 2 { size + 256 } else { size })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn frame(change: impl FnOnce(&mut zstd::Encoder<'_, Vec<u8>>)) -> Option<&'static str> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        change(&mut encoder);
        encoder.write_all(&vec![b'a'; 70_000]).unwrap();
        refused(&encoder.finish().unwrap())
    }

    #[test]
    fn windows_and_checksums_are_as_the_format_says() {
        let window = |log: u32| frame(|encoder| encoder.window_log(log).unwrap());
        assert_eq!(window(27), None);
        assert_eq!(window(28), Some(WINDOW));
        for len in [200, 300, 70_000] {
            let sized = |encoder: &mut zstd::Encoder<'_, Vec<u8>>| {
                encoder.set_pledged_src_size(Some(len)).unwrap();
            };
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            sized(&mut encoder);
            let content = vec![b'a'; usize::try_from(len).unwrap()];
            encoder.write_all(&content).unwrap();
            assert_eq!(refused(&encoder.finish().unwrap()), None, "{len}");
        }
        assert_eq!(
            frame(|encoder| encoder.include_checksum(false).unwrap()),
            Some(UNCHECKED)
        );
        // A single segment of 2^31 bytes.
        let segment = [&MAGIC[..], &[0b1010_0100, 0, 0, 0, 0x80]].concat();
        assert_eq!(refused(&segment), Some(WINDOW));
        assert_eq!(refused(b"\x50\x2a\x4d\x18\0\0\0\0"), Some(NO_FRAME));
        assert_eq!(refused(&MAGIC), Some(NO_FRAME));
    }
}
