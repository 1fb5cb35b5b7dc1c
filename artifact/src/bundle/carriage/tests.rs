use proptest::prelude::*;

use super::*;
use crate::FileEntry;

fn contents() -> Contents {
    let file = |path: &str| FileEntry::new(path, 9, 0o644, Sha256::of(path.as_bytes()));
    Contents {
        files: ["a", "b", "c"].map(file).to_vec(),
        ..Contents::new("c", "0.1.0")
    }
}

fn read(text: &str) -> Result<Carry, CarryError> {
    let contents = contents();
    let digest = Sha256::of(&contents.to_bytes());
    let text = text.replace("CONTENTS", &digest.to_string());
    Carry::read(text.as_bytes(), digest, &contents)
}

fn patch(index: usize, base_size: u64) -> Carried {
    let patch = Patch {
        method: PatchMethod::Zstd,
        base: Sha256::of(b"old"),
        base_size,
        size: 5,
        sha256: Sha256::of(b"patch"),
    };
    Carried {
        index,
        patch: Some(patch),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let contents = contents();
    let digest = Sha256::of(&contents.to_bytes());
    let whole = |index| Carried { index, patch: None };
    for (carriage, members) in [
        (
            Carriage::Delta {
                base: vec![Sha256::of(b"base")],
            },
            vec![whole(0), patch(2, 7)],
        ),
        (
            Carriage::Segment {
                n: 2,
                first: vec![0, 1],
            },
            vec![whole(1), whole(2)],
        ),
        (Carriage::Delta { base: Vec::new() }, Vec::new()),
    ] {
        let carry = Carry {
            contents: digest,
            carriage,
            members,
        };
        let read = Carry::read(&carry.to_bytes(), digest, &contents).unwrap();
        assert_eq!(read, carry);
    }
}

#[test]
fn what_no_carriage_says_is_refused() {
    let digest = Sha256::of(b"x");
    let delta = |members: &str| {
        format!(r#"{{"contents":"CONTENTS","kind":"delta","base":[],"members":[{members}]}}"#)
    };
    let patch = |more: &str| {
        format!(r#"{{"index":0,"base":"{digest}","sha256":"{digest}","size":5,{more}}}"#)
    };
    let segment = |n: u32, first: &str, members: &str| {
        format!(
            r#"{{"contents":"CONTENTS","kind":"segment","segment":{{"n":{n},"of":2,"first":[{first}]}},"members":[{members}]}}"#
        )
    };
    let texts = [
        "{}".to_owned(),
        delta("3"),
        delta("1,1"),
        delta("2,1"),
        delta("-1"),
        delta(&patch(r#""patch":"bsdiff","base_size":1"#)),
        delta(&patch(r#""patch":"zstd","base_size":0"#)),
        delta(&patch(r#""patch":"zstd","base_size":18446744073709551615"#)),
        delta("0").replace("CONTENTS", &digest.to_string()),
        delta("0").replace("delta", "whole"),
        segment(3, "0,1", ""),
        segment(0, "0,1", "0"),
        segment(1, "1,2", "1"),
        segment(1, "0,0", "0"),
        segment(2, "0,1", "1"),
        segment(1, "0,1", &patch(r#""patch":"zstd","base_size":1"#)),
        delta("0").replace("[]", "[],\"later\":\"a\u{202e}b\""),
    ];
    let said: Vec<String> = texts
        .iter()
        .map(|text| read(text).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    assert!(read(&delta("0").replace("[]", r#"[],"later":{"a":[1]}"#)).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let contents = contents();
        let digest = Sha256::of(&contents.to_bytes());
        prop_assert!(Carry::read(&bytes, digest, &contents).is_err());
    }

    #[test]
    fn a_changed_byte_is_another_carriage_or_none(at in 0_usize..400, to in any::<u8>()) {
        let contents = contents();
        let digest = Sha256::of(&contents.to_bytes());
        let carry = Carry {
            contents: digest,
            carriage: Carriage::Delta { base: vec![digest] },
            members: vec![Carried { index: 0, patch: None }, patch(1, 3)],
        };
        let mut bytes = carry.to_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(read) = Carry::read(&bytes, digest, &contents) {
            prop_assert!(read.members.iter().all(|member| member.index < 3));
        }
    }
}
