//! Where the stream is cut into frames, and how each is compressed. Depends on the contents only, never on the
//! machine: the same tree gives the same bytes everywhere.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

use camino::Utf8Path;
use cluster::Arch;

use crate::bundle::seal::CONTENT_MAX;
use crate::bundle::stream::{Layout, TRAILER};
use crate::{FileEntry, Tree};

/// Content of an ordinary frame: large against zstd's window at level 3 (2 MiB), small enough that many are in work
/// at once.
pub(crate) const FRAME: u64 = 4 << 20;
/// A file below this joins whatever frame it stands beside.
pub(crate) const SMALL: u64 = 64 << 10;
const MAGIC_MAX: u64 = 8;

/// A frame to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub content: Range<u64>,
    pub method: Method,
}

impl Cut {
    pub(crate) fn len(&self) -> u64 {
        self.content.end - self.content.start
    }
}

/// How a frame is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// The content is compressed already: zstd only wraps it.
    Wrap,
    Compress,
    /// Alike members in one frame, matched over long distances.
    Long,
}

/// What a file is like, as far as compressing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Small,
    Compressed,
    Plain,
    /// Shares much with its neighbours of the same component: programs linked from the same code.
    Alike {
        component: &'a str,
        arch: Option<Arch>,
    },
}

impl<'a> Kind<'a> {
    pub(crate) fn of(tree: &Tree, file: &'a FileEntry) -> io::Result<Self> {
        if file.size < SMALL {
            return Ok(Self::Small);
        }
        Ok(if is_compressed_file(&tree.path(&file.path))? {
            Self::Compressed
        } else if let Some(component) = &file.component {
            Self::Alike {
                component,
                arch: file.arch,
            }
        } else {
            Self::Plain
        })
    }
}

/// By its first bytes.
pub(crate) fn is_compressed_file(path: &Utf8Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(MAGIC_MAX).read_to_end(&mut start)?;
    Ok(is_compressed(&start))
}

fn is_compressed(start: &[u8]) -> bool {
    const MAGIC: [&[u8]; 8] = [
        b"\x1f\x8b",         // gzip
        b"\x28\xb5\x2f\xfd", // zstd
        b"\xfd7zXZ\0",       // xz
        b"BZh",              // bzip2
        b"\x04\x22\x4d\x18", // lz4
        b"PK\x03\x04",       // zip
        b"!<arch>\n",        // deb
        b"\xed\xab\xee\xdb", // rpm
    ];
    MAGIC.iter().any(|magic| start.starts_with(magic))
}

/// Neighbours that are compressed alike.
struct Run<'a> {
    kind: Kind<'a>,
    files: Range<usize>,
    /// How many of them are more than small.
    large: usize,
}

pub(crate) fn cut(layout: &Layout, kinds: &[Kind<'_>]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for run in runs(kinds) {
        let method = match run.kind {
            Kind::Compressed => Method::Wrap,
            Kind::Alike { .. } if run.large > 1 => Method::Long,
            Kind::Small | Kind::Plain | Kind::Alike { .. } => Method::Compress,
        };
        let limit = if method == Method::Long {
            CONTENT_MAX - TRAILER
        } else {
            FRAME
        };
        cut_run(layout, run.files, limit, |content| {
            cuts.push(Cut { content, method });
        });
    }
    match cuts.last_mut() {
        Some(last) => last.content.end = layout.end(),
        None => cuts.push(Cut {
            content: layout.end() - TRAILER..layout.end(),
            method: Method::Compress,
        }),
    }
    cuts
}

fn runs<'a>(kinds: &[Kind<'a>]) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for (file, &kind) in kinds.iter().enumerate() {
        let large = usize::from(kind != Kind::Small);
        match runs.last_mut() {
            Some(run) if kind == Kind::Small || run.kind == Kind::Small || run.kind == kind => {
                run.files.end = file + 1;
                run.large += large;
                if run.kind == Kind::Small {
                    run.kind = kind;
                }
            }
            _ => runs.push(Run {
                kind,
                files: file..file + 1,
                large,
            }),
        }
    }
    runs
}

/// At the members' boundaries where they are small enough, inside of them where not.
fn cut_run(layout: &Layout, files: Range<usize>, limit: u64, mut push: impl FnMut(Range<u64>)) {
    let mut start = layout.extent(files.start).start;
    let mut end = start;
    for file in files {
        let member = layout.extent(file);
        if member.end - start > limit && member.start > start {
            push(start..member.start);
            start = member.start;
        }
        while member.end - start > limit {
            push(start..start + limit);
            start += limit;
        }
        end = member.end;
    }
    push(start..end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sha256;
    use crate::bundle::members::Member;

    const MIB: u64 = 1 << 20;

    fn cuts(files: &[(u64, Kind<'_>)]) -> Vec<(u64, Method)> {
        let entries: Vec<Member> = files
            .iter()
            .enumerate()
            .map(|(i, (size, _))| {
                Member::whole(
                    i,
                    &FileEntry::new(i.to_string(), *size, 0o644, Sha256::of(b"")),
                )
            })
            .collect();
        let layout = Layout::new(512, &entries);
        let kinds: Vec<Kind<'_>> = files.iter().map(|(_, kind)| *kind).collect();
        let cuts = cut(&layout, &kinds);
        assert_eq!(cuts.first().unwrap().content.start, 512);
        assert_eq!(cuts.last().unwrap().content.end, layout.end());
        assert!(
            cuts.windows(2)
                .all(|pair| pair[0].content.end == pair[1].content.start)
        );
        cuts.iter()
            .map(|cut| (cut.content.end - cut.content.start, cut.method))
            .collect()
    }

    const ALIKE: Kind<'static> = Kind::Alike {
        component: "kubernetes",
        arch: Some(Arch::Amd64),
    };

    #[test]
    fn alike_programs_share_a_frame_and_others_keep_their_own_method() {
        assert_eq!(
            cuts(&[
                (60 * MIB, ALIKE),
                (70 * MIB, ALIKE),
                (100, Kind::Small),
                (MIB, Kind::Compressed),
                (MIB, Kind::Compressed),
                (MIB, Kind::Plain),
            ]),
            [
                (130 * MIB + 2 * 512 + 1024, Method::Long),
                (2 * MIB + 2 * 512, Method::Wrap),
                (MIB + 512 + 1024, Method::Compress),
            ]
        );
    }

    #[test]
    fn one_program_by_itself_needs_no_long_window_and_a_large_file_spans_frames() {
        assert_eq!(
            cuts(&[(9 * MIB, ALIKE)]),
            [
                (FRAME, Method::Compress),
                (FRAME, Method::Compress),
                (MIB + 512 + 1024, Method::Compress)
            ]
        );
    }

    #[test]
    fn small_files_fill_frames_up_and_an_empty_bundle_has_its_trailer() {
        let small = [(60_000, Kind::Small); 100];
        assert!(cuts(&small).len() < 3);
        assert_eq!(cuts(&[]), [(1024, Method::Compress)]);
    }
}
