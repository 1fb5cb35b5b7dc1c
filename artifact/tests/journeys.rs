//! A medium leaves and arrives: what is on it is what was written, or each file that is not is named.

mod common;

use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;

use artifact::{
    Arrival, Base, Bundle, Cancel, Departed, JOURNEY_LIST, JOURNEY_SIGNATURE, JourneyError,
    Receipt, Segment, Signer, Trust, Verdict, arrive, depart, split,
};
use camino::Utf8PathBuf;
use event::Progress;
use jiff::{Timestamp, Zoned};

use crate::common::{Site, noise, signer};

struct Disk {
    site: Site,
    dir: Utf8PathBuf,
}

impl Disk {
    /// A bundle, a program and a text.
    fn new() -> Self {
        let disk = Self::empty(Site::medium());
        std::fs::copy(disk.site.packed(), disk.dir.join("demo.tar.zst")).unwrap();
        std::fs::create_dir(disk.dir.join("tools")).unwrap();
        std::fs::write(disk.dir.join("tools/kubexm"), noise(3, 70_001)).unwrap();
        std::fs::write(disk.dir.join("README.txt"), "read me").unwrap();
        std::fs::write(disk.dir.join("._demo.tar.zst"), "of another system").unwrap();
        disk
    }

    fn empty(site: Site) -> Self {
        let dir = site.path("medium");
        std::fs::create_dir(&dir).unwrap();
        Self { site, dir }
    }

    fn depart(&self) -> Result<Departed, JourneyError> {
        let (unseen, cancel) = (Progress::unseen(), Cancel::default());
        depart(&self.dir, ("0.1.0", at(0)), &unseen, &cancel)
    }

    fn left(&self) {
        let departed = self.depart().unwrap();
        let signer = signer();
        departed
            .journey
            .write(&self.dir, Some(&signer), &Cancel::default())
            .unwrap();
    }

    fn arrive(&self) -> Result<artifact::Arrived, JourneyError> {
        arrive(&self.dir, None, &Progress::unseen(), &Cancel::default())
    }

    fn said(&self, error: &JourneyError) -> String {
        assert_eq!(error.verdict(), Verdict::Refused, "{error}");
        let hint = error.hint().unwrap_or_default();
        format!("{error}\n  hint: {hint}").replace(self.dir.as_str(), "MEDIUM")
    }

    fn change(&self, name: &str, at: u64, bytes: &[u8]) {
        let file = std::fs::File::options()
            .write(true)
            .open(self.dir.join(name))
            .unwrap();
        file.write_all_at(bytes, at).unwrap();
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

#[test]
fn what_leaves_is_what_arrives() {
    let disk = Disk::new();
    disk.left();
    let arrived = disk.arrive().unwrap();
    let paths: Vec<&str> = arrived
        .journey
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["README.txt", "demo.tar.zst", "tools/kubexm"]);
    assert_eq!(arrived.journey.bundles.len(), 1);
    assert!(arrived.strangers.is_empty());
    // Once more is the same, with what is written already left out.
    disk.left();
    assert_eq!(disk.arrive().unwrap().journey, arrived.journey);

    std::fs::write(disk.dir.join("added.txt"), "on the way").unwrap();
    assert_eq!(disk.arrive().unwrap().strangers, ["added.txt"]);
}

#[test]
fn the_list_is_signed_and_somebody_elses_does_not_count() {
    let disk = Disk::new();
    disk.left();
    let key = signer().fingerprint();
    assert!(key.starts_with("SHA256:"));
    let by = |signers: &str| {
        let (unseen, cancel) = (Progress::unseen(), Cancel::default());
        let trust = Trust {
            signers,
            now: &Zoned::now(),
            threshold: NonZeroUsize::MIN,
        };
        arrive(&disk.dir, Some(trust), &unseen, &cancel)
    };
    let public = common::public_key();
    assert_eq!(
        by(&format!("ops {public}")).unwrap().signed_by[0].name,
        "ops"
    );
    let bundles_only = format!("ops namespaces=\"kubexm-bundle\" {public}");
    let mut said = vec![disk.said(&by(&bundles_only).unwrap_err())];
    let list = std::fs::read_to_string(disk.dir.join(JOURNEY_LIST)).unwrap();
    std::fs::write(disk.dir.join(JOURNEY_LIST), list.replace("0.1.0", "0.1.1")).unwrap();
    said.push(disk.said(&by(&format!("ops {public}")).unwrap_err()));
    // What has no signature now has none of before either.
    let departed = disk.depart().unwrap();
    departed
        .journey
        .write(&disk.dir, None, &Cancel::default())
        .unwrap();
    assert!(!disk.dir.join(JOURNEY_SIGNATURE).exists());
    said.push(disk.said(&by(&format!("ops {public}")).unwrap_err()));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_list_that_says_the_same_is_signed_by_one_more_until_there_are_enough() {
    let disk = Disk::new();
    let signs = |signer: &Signer| {
        let departed = disk.depart().unwrap();
        let journey = departed.journey;
        journey
            .write(&disk.dir, Some(signer), &Cancel::default())
            .unwrap();
    };
    let (one, other) = ((signer(), common::public_key()), common::second());
    let signers = format!(
        "one {}\nother {}\none {}\n",
        one.1,
        other.1,
        common::third().1
    );
    let by = |threshold: usize| {
        let (unseen, cancel) = (Progress::unseen(), Cancel::default());
        let trust = Trust {
            signers: &signers,
            now: &Zoned::now(),
            threshold: NonZeroUsize::new(threshold).unwrap(),
        };
        let arrived = arrive(&disk.dir, Some(trust), &unseen, &cancel)?;
        let names: Vec<String> = arrived.signed_by.into_iter().map(|by| by.name).collect();
        Ok::<_, JourneyError>(names.join(" "))
    };
    signs(&one.0);
    let first = std::fs::read(disk.dir.join(JOURNEY_LIST)).unwrap();
    let mut said = vec![disk.said(&by(2).unwrap_err())];
    // Once more by the same, and by another key of the same, is one still.
    signs(&one.0);
    signs(&common::third().0);
    said.push(disk.said(&by(2).unwrap_err()));
    signs(&other.0);
    assert_eq!(by(2).unwrap(), "one other");
    assert_eq!(std::fs::read(disk.dir.join(JOURNEY_LIST)).unwrap(), first);
    said.push(disk.said(&by(3).unwrap_err()));
    // Of something else they have not said anything.
    std::fs::write(disk.dir.join("README.txt"), "read this").unwrap();
    signs(&other.0);
    assert_eq!(by(1).unwrap(), "other");
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn nothing_leaves_that_is_not_as_it_was_packed() {
    let disk = Disk::new();
    let size = std::fs::metadata(disk.dir.join("demo.tar.zst"))
        .unwrap()
        .len();
    // A byte on the way; a stick that is smaller than it says; one that has never had it.
    disk.change("demo.tar.zst", size / 2, b"!!");
    let mut said = vec![disk.said(&disk.depart().unwrap_err())];
    std::fs::copy(disk.site.packed(), disk.dir.join("demo.tar.zst")).unwrap();
    disk.change("demo.tar.zst", size - 5000, &[0; 5000]);
    said.push(disk.said(&disk.depart().unwrap_err()));
    disk.change("demo.tar.zst", 0, &vec![0; usize::try_from(size).unwrap()]);
    said.push(disk.said(&disk.depart().unwrap_err()));
    std::fs::remove_file(disk.dir.join("demo.tar.zst")).unwrap();
    said.push(disk.said(&disk.depart().unwrap_err()));
    assert!(!disk.dir.join(JOURNEY_LIST).exists());
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_byte_of_a_bundle_counts_on_departure() {
    let disk = Disk::empty(Site::small());
    let whole = std::fs::read(disk.site.packed()).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(disk.dir.join("demo.tar.zst"), bytes).unwrap();
        assert!(disk.depart().is_err(), "byte {at}");
    }
}

#[test]
fn what_was_lost_changed_or_exchanged_is_named() {
    let disk = Disk::new();
    disk.left();
    disk.change("tools/kubexm", 35_000, b"!!");
    std::fs::remove_file(disk.dir.join("README.txt")).unwrap();
    let file = std::fs::File::options()
        .append(true)
        .open(disk.dir.join("demo.tar.zst"));
    std::io::Write::write_all(&mut file.unwrap(), b"more").unwrap();
    insta::assert_snapshot!(disk.said(&disk.arrive().unwrap_err()));
    std::fs::remove_file(disk.dir.join(JOURNEY_LIST)).unwrap();
    insta::assert_snapshot!(disk.said(&disk.arrive().unwrap_err()));
}

#[test]
fn a_list_that_leads_elsewhere_is_refused() {
    let disk = Disk::new();
    disk.left();
    let list = disk.dir.join(JOURNEY_LIST);
    let good = std::fs::read_to_string(&list).unwrap();
    let said: Vec<String> = [
        good.replace("tools/kubexm", "../kubexm"),
        good.replace("README.txt", "/etc/passwd"),
        good.replace("README.txt", "zz.txt"),
        good.replace("\"journey\": 1", "\"journey\": 2"),
        good.replace("README", "READ\\u202eME"),
        "{}".to_owned(),
    ]
    .iter()
    .map(|text| {
        std::fs::write(&list, text).unwrap();
        disk.said(&disk.arrive().unwrap_err())
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn names_that_other_file_systems_have_not_are_told_before_anything_is_read() {
    let disk = Disk::new();
    let said: Vec<String> = ["a:b", "what?", "dot.", "\u{202e}txt"]
        .iter()
        .map(|name| {
            let path = disk.dir.join(name);
            std::fs::write(&path, "").unwrap();
            let said = disk.said(&disk.depart().unwrap_err());
            std::fs::remove_file(path).unwrap();
            said
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

fn cut(site: &Site) -> Vec<Segment> {
    let whole = Bundle::open(&site.packed()).unwrap();
    std::fs::create_dir_all(site.path("segments")).unwrap();
    let name = |n, of| site.path(&format!("segments/demo.{n}-of-{of}.tar.zst"));
    split(&whole, 25 << 20, name, &Cancel::default()).unwrap()
}

#[test]
fn receipts_of_several_media_add_up_to_what_a_delta_is_made_for() {
    let mut site = Site::medium();
    for n in 0..6 {
        let content = [&[0x1f, 0x8b][..], &noise(n, 10 << 20)].concat();
        site.add(&format!("images/blobs/sha256/b{n}"), 0o644, &content);
    }
    site.sort();
    let disk = Disk::empty(site);
    let mut receipt: Option<Receipt> = None;
    let segments = cut(&disk.site);
    for (n, segment) in segments.iter().enumerate() {
        let name = segment.path.file_name().unwrap();
        std::fs::copy(&segment.path, disk.dir.join(name)).unwrap();
        let departed = disk.depart().unwrap();
        let elsewhere = departed.journey.segments_elsewhere();
        assert_eq!(elsewhere[0].1.len(), segments.len() - 1);
        departed
            .journey
            .write(&disk.dir, None, &Cancel::default())
            .unwrap();
        let arrived = disk.arrive().unwrap();
        let digest = arrived.bundles[0].digest();
        let now = at(i64::try_from(n).unwrap() * 3600);
        let arrival = Arrival::of(&arrived, digest, "/media/disk".into(), now);
        let bundles: Vec<&Bundle> = arrived.bundles.iter().collect();
        let made = Receipt::of(&bundles, receipt, &[], arrival, "0.1.0").unwrap();
        let is_last = n + 1 == segments.len();
        assert_eq!(made.inventory.bundle.is_some(), is_last);
        assert_eq!(made.receipt.arrivals.len(), n + 1);
        receipt = Some(made);
        std::fs::remove_file(disk.dir.join(name)).unwrap();
    }
    let path = disk.site.path("receipt.json");
    std::fs::write(&path, receipt.unwrap().to_bytes()).unwrap();
    let base = Base::open(&path).unwrap();
    assert_eq!(base.held().len(), disk.site.contents.files.len());
    let delta = Bundle::open(&disk.site.delta(&base)).unwrap();
    assert!(delta.size() < 1 << 20, "{}", delta.size());
}
