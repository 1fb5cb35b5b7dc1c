use std::io::Read;

use artifact::Sha256;
use sha2::Digest;

/// Length and digest of all that a reader gives.
pub(crate) fn digest(reader: &mut impl Read) -> std::io::Result<(u64, Sha256)> {
    let mut hasher = sha2::Sha256::new();
    let mut chunk = vec![0; 1 << 17];
    let mut size = 0;
    loop {
        match reader.read(&mut chunk)? {
            0 => return Ok((size, Sha256::from(hasher))),
            read => {
                hasher.update(&chunk[..read]);
                size += read as u64;
            }
        }
    }
}
