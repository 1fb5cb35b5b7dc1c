use std::fmt;

use artifact::Sha256;

/// A digest as upstreams publish it. Nearly all say SHA-256; a few only SHA-512.
#[derive(Clone, PartialEq, Eq)]
pub enum Digest {
    Sha256(Sha256),
    Sha512(Box<[u8; 64]>),
}

impl Digest {
    /// Reads 64 or 128 hex digits, which tell the algorithm.
    fn read(text: &str) -> Option<Self> {
        match text.len() {
            64 => text.parse().ok().map(Self::Sha256),
            128 => {
                let mut bytes = Box::new([0; 64]);
                hex::decode_to_slice(text, bytes.as_mut_slice()).ok()?;
                Some(Self::Sha512(bytes))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => write!(f, "sha256:{digest}"),
            Self::Sha512(bytes) => write!(f, "sha512:{}", hex::encode(bytes.as_slice())),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Finds a file's digest in a checksum document, in any form that upstreams use: a digest alone, `digest  file`,
/// `digest *file`, `SHA256 (file) = digest`, one or many, with paths before the name or without. SHA-256 is preferred.
pub(crate) fn find(document: &str, file: &str) -> Option<Digest> {
    let mut alone = Vec::new();
    let mut named = Vec::new();
    for line in document
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
    {
        match entry(line) {
            Some((digest, None)) => alone.push(digest),
            Some((digest, Some(name))) if base(name) == file => named.push(digest),
            _ => {}
        }
    }
    // A digest without a name means the document's one file, so there must be no other.
    let candidates = if named.is_empty() && alone.len() == 1 {
        alone
    } else {
        named
    };
    let mut candidates = candidates.into_iter();
    let first = candidates.next()?;
    match candidates.find(|digest| matches!(digest, Digest::Sha256(_))) {
        Some(better) if matches!(first, Digest::Sha512(_)) => Some(better),
        _ => Some(first),
    }
}

fn entry(line: &str) -> Option<(Digest, Option<&str>)> {
    if let Some((algorithm, rest)) = line.split_once('(') {
        let (name, digest) = rest.rsplit_once(')')?;
        let digest = Digest::read(digest.trim().strip_prefix('=')?.trim())?;
        let fits = match digest {
            Digest::Sha256(_) => algorithm.trim() == "SHA256",
            Digest::Sha512(_) => algorithm.trim() == "SHA512",
        };
        return fits.then_some((digest, Some(name)));
    }
    match line.split_once(char::is_whitespace) {
        None => Some((Digest::read(line)?, None)),
        Some((digest, name)) => {
            let name = name.trim_start();
            Some((
                Digest::read(digest)?,
                Some(name.strip_prefix('*').unwrap_or(name)),
            ))
        }
    }
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const A: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const B: &str = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

    #[rstest]
    #[case::bare(&format!("{A}\n"))]
    #[case::bare_without_newline(A)]
    #[case::bare_with_windows_line_end(&format!("{A}\r\n"))]
    #[case::upper_case(&A.to_uppercase())]
    #[case::gnu(&format!("{A}  x.tgz\n"))]
    #[case::binary(&format!("{A} *x.tgz\n"))]
    #[case::one_space(&format!("{A} x.tgz\n"))]
    #[case::bsd(&format!("SHA256 (x.tgz) = {A}\n"))]
    #[case::many(&format!("{B}  y.tgz\n{A}  x.tgz\n{B}  x.tgz.sig\n"))]
    #[case::dot_path(&format!("{B}  ./y.tgz\n{A}  ./x.tgz\n"))]
    #[case::path(&format!("{A}  dist/linux/x.tgz\n"))]
    #[case::bsd_path(&format!("SHA256 (./dist/x.tgz) = {A}\n"))]
    #[case::among_prose(&format!("# release 1\n\n{A}  x.tgz\n"))]
    #[case::with_sha512(&format!("{A}{B}  x.tgz\n{A}  x.tgz\n"))]
    fn every_published_form_is_read(#[case] document: &str) {
        assert_eq!(
            find(document, "x.tgz"),
            Some(Digest::Sha256(A.parse().unwrap()))
        );
    }

    #[rstest]
    #[case::other_file(&format!("{A}  y.tgz\n"))]
    #[case::suffix_only(&format!("{A}  not-x.tgz\n"))]
    #[case::two_bare(&format!("{A}\n{B}\n"))]
    #[case::too_short(&A[1..])]
    #[case::wrong_algorithm(&format!("MD5 (x.tgz) = {A}\n"))]
    #[case::html("<html>not found</html>")]
    #[case::empty("")]
    fn what_names_no_digest_for_the_file_gives_none(#[case] document: &str) {
        assert_eq!(find(document, "x.tgz"), None);
    }

    #[test]
    fn sha512_is_taken_where_nothing_else_is_published() {
        let digest = find(&format!("{A}{B}  x.tgz"), "x.tgz").unwrap();
        assert_eq!(digest.to_string(), format!("sha512:{A}{B}"));
    }

    proptest! {
        #[test]
        fn no_document_panics(document in "\\PC*(\n\\PC*)*", file in "\\PC*") {
            let _ = find(&document, &file);
        }
    }
}
