//! Bundles made to do harm. Each is refused by name, and nothing of it comes out.

mod common;

use std::io::Write;

use artifact::{Bundle, BundleError, Contents, FORMAT, FileEntry, Sha256, Tree, Verdict};
use tar::EntryType;

use crate::common::forgery::{Forgery, Member, a, b, compress, file, member, short};
use crate::common::{assert_holds, assert_nothing_bad, files_below, unpack, verify};

#[test]
fn an_honest_bundle_by_another_hand_is_read() {
    let honest = Forgery::of(vec![a(), b()]);
    let path = honest.write();
    verify(&path).unwrap();
    let dest = Tree::at(honest.path("tree"));
    unpack(&path, &dest).unwrap();
    assert_holds(&dest, &honest.contents);
}

#[test]
fn frames_may_be_cut_anywhere() {
    let honest = Forgery::of(vec![a(), b()]);
    let head = file("bundle.json", &honest.contents.to_bytes()).bytes();
    let rest = [&honest.members[..], &honest.trailer].concat();
    for len in [1, 100, 512, 513, 1000] {
        let mut frames = vec![&head[..]];
        frames.extend(rest.chunks(len));
        let path = honest.write_frames(&frames);
        verify(&path).unwrap();
        let dest = Tree::at(honest.path(&format!("tree-{len}")));
        unpack(&path, &dest).unwrap();
        assert_holds(&dest, &honest.contents);
    }
}

/// How each case is refused, the hint being the same for all.
fn report(cases: Vec<(&str, Vec<Member>)>) -> String {
    let hint = "\n  hint: this was not made by `kubexm bundle`: do not use it";
    let lines = cases.into_iter().map(|(name, members)| {
        let refused = Forgery::of(members).refused();
        format!("{name}: {}", refused.strip_suffix(hint).expect(&refused))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn only_regular_files_below_the_tree_come_out() {
    let link = |kind, path: &str| {
        member(path, kind, b"").with(|header| header.set_link_name("/etc/passwd").unwrap())
    };
    let cases = vec![
        ("symbolic link", vec![a(), link(EntryType::Symlink, "b")]),
        ("link beside", vec![a(), link(EntryType::Symlink, "c"), b()]),
        ("hard link", vec![a(), link(EntryType::Link, "b")]),
        (
            "character device",
            vec![a(), member("b", EntryType::Char, b"")],
        ),
        (
            "block device",
            vec![a(), member("b", EntryType::Block, b"")],
        ),
        ("named pipe", vec![a(), member("b", EntryType::Fifo, b"")]),
        (
            "directory",
            vec![a(), member("b/", EntryType::Directory, b"")],
        ),
        (
            "sparse file",
            vec![a(), member("b", EntryType::GNUSparse, b"b")],
        ),
        (
            "pax header",
            vec![a(), member("x", EntryType::XHeader, b"12 path=/etc\n"), b()],
        ),
        ("parent", vec![a(), file("../b", b"b"), b()]),
        ("parent within", vec![a(), file("c/../../b", b"b")]),
        ("absolute", vec![a(), file("/etc/cron.d/b", b"b"), b()]),
        (
            "name that writes to the terminal",
            vec![a(), file("\u{1b}[2J", b"b")],
        ),
    ];
    insta::assert_snapshot!(report(cases), @r#"
    symbolic link: BUNDLE: "b" is a symbolic link; only regular files may be in a bundle
    link beside: BUNDLE: "c" is a symbolic link; only regular files may be in a bundle
    hard link: BUNDLE: "b" is a hard link; only regular files may be in a bundle
    character device: BUNDLE: "b" is a character device; only regular files may be in a bundle
    block device: BUNDLE: "b" is a block device; only regular files may be in a bundle
    named pipe: BUNDLE: "b" is a named pipe; only regular files may be in a bundle
    directory: BUNDLE: 2 faults:
      "b/" is a directory; only regular files may be in a bundle
      "b" is listed in bundle.json but missing
    sparse file: BUNDLE: "b" is a sparse file; only regular files may be in a bundle
    pax header: BUNDLE: "x" is an extended header; only regular files may be in a bundle
    parent: BUNDLE: "../b" leads out of the tree
    parent within: BUNDLE: 2 faults:
      "c/../../b" leads out of the tree
      "b" is listed in bundle.json but missing
    absolute: BUNDLE: "/etc/cron.d/b" leads out of the tree
    name that writes to the terminal: BUNDLE: 2 faults:
      "\u{1b}[2J" is not listed in bundle.json
      "b" is listed in bundle.json but missing
    "#);
}

#[test]
fn only_what_is_listed_comes_out_and_all_of_it() {
    let cases = vec![
        ("unlisted", vec![a(), b(), file("c", b"c")]),
        ("unlisted instead", vec![a(), file("c", b"b")]),
        ("twice", vec![a(), b(), b()]),
        ("twice instead", vec![a(), file("a", b"b")]),
        (
            "second bundle.json",
            vec![a(), file("bundle.json", b"{}"), b()],
        ),
        (
            "late signature",
            vec![a(), b(), file("bundle.json.sig", b"signed")],
        ),
        ("missing", vec![a()]),
        ("all missing", vec![]),
        ("other order", vec![b(), a()]),
        ("too long", vec![a(), file("b", &[b'b'; 2000])]),
        ("too long within its block", vec![a(), file("b", b"bb")]),
        ("too short", vec![a(), file("b", b"")]),
        (
            "claims to be huge",
            vec![a(), b().with(|header| header.set_size(1 << 50))],
        ),
        (
            "other mode",
            vec![a(), b().with(|header| header.set_mode(0o4755))],
        ),
        (
            "other owner",
            vec![a(), b().with(|header| header.set_uid(1))],
        ),
        (
            "other time",
            vec![a(), b().with(|header| header.set_mtime(1))],
        ),
        ("other content", vec![a(), file("b", b"B")]),
    ];
    insta::assert_snapshot!(report(cases), @r#"
    unlisted: BUNDLE: "c" is not listed in bundle.json
    unlisted instead: BUNDLE: 2 faults:
      "c" is not listed in bundle.json
      "b" is listed in bundle.json but missing
    twice: BUNDLE: "b" is there twice
    twice instead: BUNDLE: 2 faults:
      "a" is there twice
      "b" is listed in bundle.json but missing
    second bundle.json: BUNDLE: "bundle.json" is there twice
    late signature: BUNDLE: "bundle.json.sig" is not listed in bundle.json
    missing: BUNDLE: "b" is listed in bundle.json but missing
    all missing: BUNDLE: 2 faults:
      "a" is listed in bundle.json but missing
      "b" is listed in bundle.json but missing
    other order: BUNDLE: "a" has a header that differs from bundle.json (mode, owner, time or order)
    too long: BUNDLE: "b" has 2000 bytes, bundle.json lists 1
    too long within its block: BUNDLE: "b" has 2 bytes, bundle.json lists 1
    too short: BUNDLE: "b" has 0 bytes, bundle.json lists 1
    claims to be huge: BUNDLE: "b" has 1125899906842624 bytes, bundle.json lists 1
    other mode: BUNDLE: "b" has a header that differs from bundle.json (mode, owner, time or order)
    other owner: BUNDLE: "b" has a header that differs from bundle.json (mode, owner, time or order)
    other time: BUNDLE: "b" has a header that differs from bundle.json (mode, owner, time or order)
    other content: BUNDLE: "b" has another content than bundle.json lists (SHA-256 differs)
    "#);
}

#[test]
fn nothing_hides_between_or_behind_the_members() {
    let mut padding = Forgery::of(vec![a(), b()]);
    padding.members[1000] = 1;
    let mut trailer = Forgery::of(vec![a(), b()]);
    trailer.trailer[1023] = 1;
    let mut behind = Forgery::of(vec![a(), b()]);
    behind.trailer.extend(b"payload");
    let mut no_trailer = Forgery::of(vec![a(), b()]);
    no_trailer.trailer.clear();
    for forgery in [padding, trailer, behind, no_trailer] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(forgery.refused(), @"
            BUNDLE: the archive is not laid out as bundle.json says
              hint: this was not made by `kubexm bundle`: do not use it
            ");
        }
    }
}

#[test]
fn contents_cannot_ask_for_what_no_bundle_may_hold() {
    let with = |change: fn(&mut Contents)| {
        let mut forgery = Forgery::of(vec![a(), b()]);
        change(&mut forgery.contents);
        forgery.refused()
    };
    let report = [
        with(|contents| contents.files[1].path = "../../root/.ssh/authorized_keys".into()),
        with(|contents| contents.files[1].path = "/etc/passwd".into()),
        with(|contents| contents.files[1].path = "a/b".into()),
        with(|contents| contents.files[1].path = "a".into()),
        with(|contents| contents.files[1].mode = 0o6755),
        with(|contents| contents.files[1].size = u64::MAX),
        with(|contents| contents.format = FORMAT + 1),
        with(|contents| contents.format = 0),
        with(|contents| contents.files[1].path = format!("b{}", "/b".repeat(5000)).into()),
        with(|contents| contents.cluster = ",".repeat((1 << 20) + 1)),
    ];
    insta::assert_snapshot!(report.join("\n"), @r#"
    BUNDLE: bundle.json lists "../../root/.ssh/authorized_keys": not a plain relative path (no '..', '.', '//' or leading '/')
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json lists "/etc/passwd": not a plain relative path (no '..', '.', '//' or leading '/')
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json lists "a/b": "a" is a file and no directory
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json lists "a": listed twice
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json lists "b": mode 6755 is neither 0644 nor 0755
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json lists "b": the sizes add up to more than a file can hold
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json has format 2; this kubexm reads up to 1
      hint: it was made by a newer kubexm: use the one that came with it
    BUNDLE: bundle.json has format 0, and the first is 1
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json lists "b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/"..."/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b" (10001 bytes): the path is too long (1024 bytes at most, 249 for each name in it)
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE: bundle.json is larger than any that is read: it has more than 2^20 commas
      hint: a bundle is what `kubexm bundle` writes
    "#);
}

#[test]
fn a_part_is_what_its_carriage_says() {
    let forgery = Forgery::of(vec![b()]);
    let contents = forgery.contents.to_bytes();
    let digest = Sha256::of(&contents);
    let written = |carriage: &str| {
        let head = [
            file("bundle.json", &contents).bytes(),
            file("carry.json", carriage.as_bytes()).bytes(),
        ];
        let rest = [&forgery.members[..], &forgery.trailer].concat();
        forgery.write_frames(&[&head.concat(), &rest])
    };
    let told = |carriage: &str| {
        let path = written(carriage);
        let error = verify(&path).unwrap_err();
        assert_eq!(error.verdict(), Verdict::Refused);
        let dest = Tree::at(forgery.path("tree"));
        unpack(&path, &dest).unwrap_err();
        assert_nothing_bad(&dest, &forgery.contents);
        format!("{error}\n  hint: {}", error.hint().unwrap()).replace(path.as_str(), "BUNDLE")
    };
    let delta = |members: &str| {
        format!(
            r#"{{"contents": "{digest}", "kind": "delta", "base": ["{digest}"], "members": [{members}]}}"#
        )
    };
    let patch = |word: &str| {
        format!(
            r#"{{"index": 1, "patch": "{word}", "base": "{digest}", "base_size": 1, "size": 1, "sha256": "{digest}"}}"#
        )
    };
    let report = [
        told(&delta("0")),
        told(&delta("0, 1")),
        told(&delta(&patch("zstd"))),
        told(&delta(&patch("bsdiff"))),
        told(&delta("1").replace("delta", "holograph")),
        told(&delta("1").replace(&digest.to_string(), &Sha256::of(b"other").to_string())),
    ];
    insta::assert_snapshot!(report.join("\n").replace(&digest.to_string(), "CONTENTS"));

    let good = written(&delta("1"));
    verify(&good).unwrap();
    let dest = Tree::at(forgery.path("alone/tree"));
    let error = unpack(&good, &dest).unwrap_err();
    assert!(matches!(error, BundleError::Lacking { .. }), "{error}");
    assert!(files_below(dest.root()).is_empty());
}

#[test]
fn notes_of_a_seal_are_passed_over_unless_they_are_critical() {
    let mut forgery = Forgery::of(vec![a(), b()]);
    let note = |tag: u16, content: &[u8]| {
        let head = [&tag.to_le_bytes()[..], &short(content.len()).to_le_bytes()].concat();
        [&head[..], content].concat()
    };
    forgery.notes = [note(7, b"seven"), note(8, b"")].concat();
    verify(&forgery.write()).unwrap();
    forgery.notes.extend(note(0x8001, b"!"));
    let critical = forgery.refused();
    forgery.notes = note(7, b"seven")[..8].to_vec();
    insta::assert_snapshot!([critical, forgery.refused()].join("\n"));
}

#[test]
fn contents_of_a_newer_format_is_told_from_a_broken_one() {
    let forgery = Forgery::of(vec![]);
    let shown = |json: &[u8]| {
        let path = forgery.write_frames(&[&file("bundle.json", json).bytes(), &[0; 1024]]);
        let error = Bundle::open(&path).unwrap_err();
        error.to_string().replace(path.as_str(), "BUNDLE")
    };
    let report = [
        shown(br#"{"format": 7, "everything": "else is different"}"#),
        shown(br#"{"format": 1, "everything": "else is different"}"#),
        shown(b"{"),
    ];
    insta::assert_snapshot!(report.join("\n"), @"
    BUNDLE: bundle.json has format 7; this kubexm reads up to 1
    BUNDLE: bundle.json cannot be understood: missing field `cluster` at line 1 column 48
    BUNDLE: bundle.json cannot be understood: EOF while parsing an object at line 1 column 1
    ");
    let path = forgery.write_frames(&[&file("other.json", b"{}").bytes(), &[0; 1024]]);
    insta::assert_snapshot!(forgery.refusal(&path), @"
    BUNDLE is not a bundle: its first frame does not hold bundle.json, and at most carry.json and bundle.json.sig, in the form of the format
      hint: a bundle is what `kubexm bundle` writes
    ");
}

#[test]
fn frames_that_are_larger_or_smaller_than_the_table_says_are_refused() {
    let forgery = Forgery::of(vec![a(), b()]);
    let head = file("bundle.json", &forgery.contents.to_bytes()).bytes();
    let rest = [&forgery.members[..], &forgery.trailer].concat();
    let sizes = |stored: &[Vec<u8>], content: usize| {
        [
            (short(stored[0].len()), short(head.len())),
            (short(stored[1].len()), short(content)),
        ]
    };
    let refusal = |content: &[u8]| {
        let stored = [&head[..], content].map(compress);
        forgery.refusal(&forgery.write_stored(&stored, &sizes(&stored, rest.len())))
    };
    insta::assert_snapshot!(refusal(&rest[..100]), @"
    BUNDLE: frame 1 is not as the format says: its content cannot be decoded, or is not as long as the seek table says
      hint: this was not made by `kubexm bundle`: do not use it
    ");
    insta::assert_snapshot!(refusal(&vec![0; 20 << 20]), @"
    BUNDLE: frame 1 is not as the format says: its content cannot be decoded, or is not as long as the seek table says
      hint: this was not made by `kubexm bundle`: do not use it
    ");
    insta::assert_snapshot!(refusal(&vec![0; 200 << 20]), @"
    BUNDLE is not a bundle: its seek table lists frames that no bundle has
      hint: a bundle is what `kubexm bundle` writes
    ");
    // A table that would have frames read which are larger than any honest one.
    let stored = [&head[..], &rest].map(compress);
    let path = forgery.write_stored(&stored, &sizes(&stored, 1 << 31));
    insta::assert_snapshot!(forgery.refusal(&path), @"
    BUNDLE is not a bundle: its seek table lists frames that no bundle has
      hint: a bundle is what `kubexm bundle` writes
    ");
    let path = forgery.write_stored(
        &stored,
        &[(3 << 30, short(head.len())), (1, short(rest.len()))],
    );
    insta::assert_snapshot!(forgery.refusal(&path), @"
    BUNDLE is damaged: the seek table at its end has changed
      hint: copy the bundle again, and compare its size first
    ");
}

#[test]
fn windows_that_take_too_much_memory_are_refused() {
    let content = vec![b'a'; 5 << 20];
    let mut forgery = Forgery::of(vec![file("a", &content), b()]);
    forgery.contents.files[0].size = content.len() as u64;
    forgery.contents.files[0].sha256 = Sha256::of(&content);
    let head = file("bundle.json", &forgery.contents.to_bytes()).bytes();
    let rest = [&forgery.members[..], &forgery.trailer].concat();
    let frame = |window_log: u32| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(&rest).unwrap();
        encoder.finish().unwrap()
    };
    for (window_log, read) in [(27, true), (28, false)] {
        let stored = [compress(&head), frame(window_log)];
        let sizes = [
            (short(stored[0].len()), short(head.len())),
            (short(stored[1].len()), short(rest.len())),
        ];
        let path = forgery.write_stored(&stored, &sizes);
        assert_eq!(verify(&path).is_ok(), read, "window 2^{window_log}");
    }
}

#[test]
fn a_frame_is_one_zstd_frame_that_checks_its_content() {
    let forgery = Forgery::of(vec![a(), b()]);
    let head = file("bundle.json", &forgery.contents.to_bytes()).bytes();
    let rest = [&forgery.members[..], &forgery.trailer].concat();
    let made = |window_log: u32, checksum: bool, content: &[u8]| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.include_checksum(checksum).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let refusal = |first: Vec<u8>, second: Vec<u8>| {
        let stored = [first, second];
        let sizes = [
            (short(stored[0].len()), short(head.len())),
            (short(stored[1].len()), short(rest.len())),
        ];
        forgery.refusal(&forgery.write_stored(&stored, &sizes))
    };
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0more".to_vec();
    let two = |content: &[u8]| {
        let (start, end) = content.split_at(content.len() / 2);
        [compress(start), compress(end)].concat()
    };
    let report = [
        refusal(compress(&head), made(28, true, &rest)),
        refusal(compress(&head), made(20, false, &rest)),
        refusal(compress(&head), two(&rest)),
        refusal(
            compress(&head),
            [compress(&rest), skippable.clone()].concat(),
        ),
        refusal(
            compress(&head),
            [skippable.clone(), compress(&rest)].concat(),
        ),
        refusal(made(28, true, &head), compress(&rest)),
        refusal(made(20, false, &head), compress(&rest)),
        refusal(two(&head), compress(&rest)),
        refusal([compress(&head), skippable].concat(), compress(&rest)),
    ];
    insta::assert_snapshot!(report.join("\n"), @"
    BUNDLE: frame 1 is not as the format says: its window is larger than 2^27 bytes
      hint: this was not made by `kubexm bundle`: do not use it
    BUNDLE: frame 1 is not as the format says: it has no checksum of its content
      hint: this was not made by `kubexm bundle`: do not use it
    BUNDLE: frame 1 is not as the format says: more than one zstd frame is stored for it
      hint: this was not made by `kubexm bundle`: do not use it
    BUNDLE: frame 1 is not as the format says: more than one zstd frame is stored for it
      hint: this was not made by `kubexm bundle`: do not use it
    BUNDLE: frame 1 is not as the format says: it is no zstd frame
      hint: this was not made by `kubexm bundle`: do not use it
    BUNDLE is not a bundle: its first frame is not as the format says: its window is larger than 2^27 bytes
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE is not a bundle: its first frame is not as the format says: it has no checksum of its content
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE is not a bundle: its first frame is not as the format says: more than one zstd frame is stored for it
      hint: a bundle is what `kubexm bundle` writes
    BUNDLE is not a bundle: its first frame is not as the format says: more than one zstd frame is stored for it
      hint: a bundle is what `kubexm bundle` writes
    ");
}

#[test]
fn a_large_frame_is_one_zstd_frame_too() {
    let content = common::noise(3, 5 << 20);
    let mut forgery = Forgery::of(vec![file("a", &content), b()]);
    forgery.contents.files[0].size = content.len() as u64;
    forgery.contents.files[0].sha256 = Sha256::of(&content);
    let head = file("bundle.json", &forgery.contents.to_bytes()).bytes();
    let rest = [&forgery.members[..], &forgery.trailer].concat();
    let (start, end) = rest.split_at(1 << 20);
    let stored = [compress(&head), [compress(start), compress(end)].concat()];
    let sizes = [
        (short(stored[0].len()), short(head.len())),
        (short(stored[1].len()), short(rest.len())),
    ];
    insta::assert_snapshot!(forgery.refusal(&forgery.write_stored(&stored, &sizes)), @"
    BUNDLE: frame 1 is not as the format says: its content cannot be decoded, or is not as long as the seek table says
      hint: this was not made by `kubexm bundle`: do not use it
    ");
}

#[test]
fn there_are_only_as_many_frames_as_the_content_is_worth() {
    let content = vec![b'a'; 8 << 10];
    let mut forgery = Forgery::of(vec![file("a", &content), b()]);
    forgery.contents.files[0].size = content.len() as u64;
    forgery.contents.files[0].sha256 = Sha256::of(&content);
    let head = file("bundle.json", &forgery.contents.to_bytes()).bytes();
    let rest = [&forgery.members[..], &forgery.trailer].concat();
    let mut frames = vec![&head[..]];
    frames.extend(rest.chunks(1));
    insta::assert_snapshot!(forgery.refusal(&forgery.write_frames(&frames)), @"
    BUNDLE is not a bundle: its seek table lists frames that no bundle has
      hint: a bundle is what `kubexm bundle` writes
    ");
}

#[test]
fn many_faults_are_counted_and_few_are_told() {
    let mut forgery = Forgery::of(vec![]);
    forgery.contents.files.clear();
    let names: Vec<String> = (0..60).map(|n| format!("file{n:02}")).collect();
    let members = names.iter().map(|name| file(name, b"other").bytes());
    forgery.members = members.flatten().collect();
    forgery.contents.files = names
        .iter()
        .map(|name| FileEntry::new(name.as_str(), 5, 0o644, Sha256::of(b"what is listed")))
        .collect();
    let refused = forgery.refused();
    assert!(
        refused.starts_with("BUNDLE: 60 faults:\n  \"file00\" has"),
        "{refused}"
    );
    assert!(refused.contains("\n  and 10 more\n"), "{refused}");
    assert_eq!(refused.lines().count(), 53);
}

/// How long this thread has been at work, whatever else the machine does.
fn worked() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

/// What it takes to tell what is wrong with the last of so many members.
fn explained(members: usize) -> u64 {
    let mut forgery = Forgery::of(vec![]);
    let names: Vec<String> = (0..members).map(|n| format!("file{n:05}")).collect();
    let empty = |name: &String| FileEntry::new(name.as_str(), 0, 0o644, Sha256::of(b""));
    forgery.contents.files = names.iter().map(empty).collect();
    let (last, right) = names.split_last().unwrap();
    forgery.members = right
        .iter()
        .flat_map(|name| file(name, b"").bytes())
        .collect();
    let odd = file(last, b"").with(|header| header.set_uid(1));
    forgery.members.extend(odd.bytes());
    let path = forgery.write();
    let begun = worked();
    let refused = verify(&path).unwrap_err().to_string();
    let took = worked() - begun;
    assert!(refused.contains(&format!("\"{last}\" ")), "{refused}");
    took
}

/// Many small members are little to send and must be little to look through.
#[test]
fn a_refusal_takes_no_more_for_each_member_where_there_are_many() {
    let (few, many) = (explained(1_000), explained(16_000));
    assert!(many < few * 50, "{} times as long", many / few);
}

#[test]
fn a_pipe_is_no_bundle_and_is_not_waited_for() {
    let forgery = Forgery::of(vec![]);
    let path = forgery.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    insta::assert_snapshot!(forgery.refusal(&path), @"
    BUNDLE is not a bundle: it is no regular file
      hint: a bundle is what `kubexm bundle` writes
    ");
}
