//! A medium leaves, arrives, and its receipt goes back.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::bundles::Site;
use super::{kubexm, told};

struct Disk {
    site: Site,
    dir: Utf8PathBuf,
}

impl Disk {
    fn new() -> Self {
        let site = Site::new();
        let dir = site.path().join("usb");
        fs::create_dir(&dir).unwrap();
        let disk = Self { site, dir };
        disk.copy("small.tar.zst");
        disk
    }

    fn copy(&self, name: &str) {
        fs::copy(self.site.path().join(name), self.dir.join(name)).unwrap();
    }

    /// Without times of arrival, digests of lists and keys.
    fn told(&self, args: &[&str]) -> String {
        let text = self.site.told(args);
        // Where tests have their files on a disk of memory it is said, and right.
        let text = text
            .replace(
                "memory of this machine, and no medium",
                "a file system of Linux",
            )
            .replace("an overlay", "a file system of Linux")
            .replace(", in memory)", ", read from the medium itself)");
        let word = |word: &str| {
            let is_time = word.len() > 4 && word.starts_with("20") && word[4..].starts_with('-');
            let is_clock = word.ends_with('Z') && word.contains(':');
            let is_key = word.contains("SHA256:");
            // That of a bundle changes with the version that has made it.
            let is_digest = word.starts_with("sha256:")
                || word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
            match word {
                _ if is_time => "DATE".to_owned(),
                _ if is_clock => "TIME".to_owned(),
                _ if is_key => "KEY".to_owned(),
                _ if is_digest => "DIGEST".to_owned(),
                _ => word.to_owned(),
            }
        };
        let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
        let told =
            |line: &&str| !line.starts_with("warning: this is in the memory of this machine");
        text.lines().filter(told).map(line).collect()
    }

    fn key(&self, name: &str) -> String {
        let path = self.site.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        fs::read_to_string(format!("{path}.pub")).unwrap()
    }

    /// Whether ssh-keygen, which knows nothing of kubexm, takes a signature.
    fn is_signed(&self, file: &Utf8Path, namespace: &str) -> bool {
        let verified = Command::new("ssh-keygen")
            .current_dir(self.site.path())
            .args([
                "-Y", "verify", "-f", "signers", "-I", "ops", "-n", namespace,
            ])
            .arg("-s")
            .arg(format!("{file}.sig"))
            .stdin(File::open(file).unwrap())
            .stdout(Stdio::null())
            .status();
        verified.unwrap().success()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = kubexm(self.site.path().as_std_path(), args)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

const RECEIPT: &str = "usb/kubexm-receipt.small.json";

#[test]
fn a_medium_leaves_and_arrives_and_its_receipt_makes_the_next_delta() {
    let mut disk = Disk::new();
    let (ops, site) = (disk.key("ops"), disk.key("site"));
    let signers = format!("ops namespaces=\"kubexm-journey\" {ops}ops {site}");
    fs::write(disk.site.path().join("signers"), signers).unwrap();
    insta::assert_snapshot!(disk.told(&["depart", "usb", "--sign", "ops"]));
    assert!(disk.is_signed(&disk.dir.join("kubexm-journey.json"), "kubexm-journey"));
    let arrive = ["arrive", "usb", "--signers", "signers", "--sign", "site"];
    insta::assert_snapshot!(disk.told(&arrive));
    let receipt = disk.site.path().join(RECEIPT);
    assert!(disk.is_signed(&receipt, "kubexm-receipt"));
    insta::assert_snapshot!(disk.told(&["get", "journeys"]));
    // The same medium once more is the same journey.
    assert_eq!(disk.told(&["get", "journeys"]).lines().count(), 4);
    assert!(disk.told(&arrive).starts_with("exit 0"));
    assert_eq!(disk.told(&["get", "journeys"]).lines().count(), 4);

    disk.site.unpack();
    disk.site.delta(RECEIPT);
    fs::remove_file(disk.dir.join("small.tar.zst")).unwrap();
    disk.copy("small.delta.tar.zst");
    assert!(disk.told(&["depart", "usb"]).starts_with("exit 0"));
    let arrived = disk.json(&["arrive", "usb", "--output", "json"]);
    assert_eq!(
        arrived["arrivals"][0]["bundles"][0]["part"], "delta",
        "{arrived}"
    );
    let receipt: Value = serde_json::from_slice(&fs::read(receipt).unwrap()).unwrap();
    assert!(
        receipt["bundle"].is_string(),
        "all of it is there: {receipt}"
    );
    assert!(!disk.dir.join("kubexm-receipt.small.json.sig").exists());
    let all = disk.json(&["get", "journeys", "--output", "json"]);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    assert_eq!(all[0]["signed_by"][0]["name"], "ops");
    assert!(all[1]["signed_by"].is_null());
}

#[test]
fn a_delta_that_has_nothing_to_build_on_is_told_where_it_arrives() {
    let mut disk = Disk::new();
    disk.site.delta("small.tar.zst");
    fs::remove_file(disk.dir.join("small.tar.zst")).unwrap();
    disk.copy("small.delta.tar.zst");
    assert!(disk.told(&["depart", "usb"]).starts_with("exit 0"));
    insta::assert_snapshot!(disk.told(&["arrive", "usb"]));
}

#[test]
fn what_must_not_leave_or_does_not_count_ends_with_its_code() {
    let disk = Disk::new();
    let mut said = Vec::new();
    let mut run =
        |args: &[&str]| said.push(format!("$ kubexm {}\n{}", args.join(" "), disk.told(args)));
    run(&["arrive", "usb"]);
    run(&["depart", "nowhere"]);
    run(&["depart", "usb", "--sign", "nowhere"]);
    fs::create_dir(disk.site.path().join("empty")).unwrap();
    run(&["depart", "empty"]);
    let public = disk.key("ops");
    fs::write(disk.site.path().join("signers"), format!("ops {public}")).unwrap();
    fs::write(disk.site.path().join("wrong"), "ops").unwrap();
    assert!(disk.told(&["depart", "usb"]).starts_with("exit 0"));
    run(&["arrive", "usb", "--signers", "signers"]);
    run(&["arrive", "usb", "--signers", "wrong"]);
    fs::write(disk.dir.join("small.tar.zst"), "something else").unwrap();
    run(&["arrive", "usb"]);
    run(&["depart", "usb"]);
    run(&["get", "journeys"]);
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_damaged_page_of_the_journal_is_named_and_the_others_are_told() {
    let disk = Disk::new();
    assert!(disk.told(&["depart", "usb"]).starts_with("exit 0"));
    assert!(disk.told(&["arrive", "usb"]).starts_with("exit 0"));
    let page = disk
        .site
        .path()
        .join(".kubexm/small/receipts/0000000000000000.json");
    fs::write(page, "{\"receipt\":").unwrap();
    insta::assert_snapshot!(disk.told(&["get", "journeys"]));
}

/// A file system of its own in a file, mounted while this lives.
struct Mounted {
    device: String,
    dir: Utf8PathBuf,
}

impl Mounted {
    fn new(kind: &str, image: &Utf8Path, dir: &Utf8Path) -> Self {
        File::create(image).unwrap().set_len(64 << 20).unwrap();
        run(&format!("mkfs.{kind}"), &[image.as_str()]);
        fs::create_dir_all(dir).unwrap();
        let device = run("losetup", &["--find", "--show", image.as_str()]);
        let device = device.trim().to_owned();
        let mounted = Self {
            device,
            dir: dir.to_owned(),
        };
        run("mount", &["-t", kind, &mounted.device, dir.as_str()]);
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for (program, of) in [("umount", self.dir.as_str()), ("losetup", "-d")] {
            let mut command = Command::new(program);
            command.arg(of);
            if of == "-d" {
                command.arg(&self.device);
            }
            let _ = command.status();
        }
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where these bytes lie in a file.
fn find(image: &Utf8Path, bytes: &[u8]) -> u64 {
    let all = fs::read(image).unwrap();
    let mut windows = all.windows(bytes.len());
    windows.position(|here| here == bytes).unwrap() as u64
}

#[test]
#[ignore = "needs root, loop devices and mkfs"]
fn a_medium_that_lost_what_is_still_in_memory_does_not_leave() {
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    let kinds = ["ext4", "vfat", "exfat"].into_iter().filter(|kind| {
        let is_known = known.lines().any(|line| line.trim() == *kind);
        let mkfs = Command::new(format!("mkfs.{kind}")).arg("-V").output();
        let is_tried = is_known && mkfs.is_ok();
        let word = if is_tried { "tried" } else { "left out" };
        println!("{kind}: {word}");
        is_tried
    });
    let mut tried = 0;
    for kind in kinds {
        let site = Site::new();
        let image = site.path().join("image");
        let usb = Mounted::new(kind, &image, &site.path().join("usb"));
        let copy = usb.dir.join("small.tar.zst");
        let bytes = fs::read(site.bundle()).unwrap();
        fs::write(&copy, &bytes).unwrap();
        let good = told(site.path().as_std_path(), &["depart", "usb"]);
        assert!(good.contains("read from the medium itself"), "{good}");

        // Read, so that it is in memory; then a bit of the medium turns.
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        let place = find(&image, &bytes[20_000..20_512]);
        let medium = File::options().write(true).open(&image).unwrap();
        medium.write_all_at(&[!bytes[20_000]], place).unwrap();
        medium.sync_all().unwrap();
        assert_eq!(
            fs::read(&copy).unwrap(),
            bytes,
            "memory knows nothing of it"
        );
        let intact = told(site.path().as_std_path(), &["verify", "usb/small.tar.zst"]);
        assert!(intact.starts_with("exit 0"), "{intact}");
        let arrived = told(site.path().as_std_path(), &["arrive", "usb"]);
        assert!(arrived.starts_with("exit 3"), "{kind}: {arrived}");
        fs::write(&copy, &bytes).unwrap();
        File::open(&copy).unwrap().sync_all().unwrap();
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        let place = find(&image, &bytes[20_000..20_512]);
        medium.write_all_at(&[!bytes[20_000]], place).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        let departed = told(site.path().as_std_path(), &["depart", "usb"]);
        assert!(departed.starts_with("exit 3"), "{kind}: {departed}");
        assert!(departed.contains("is damaged"), "{kind}: {departed}");
        tried += 1;
    }
    assert!(tried > 0);
}
