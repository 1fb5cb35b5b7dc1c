//! RPM packages, made by rpmbuild.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use packages::rpm::header::PackageFile;
use packages::rpm::repository;

use crate::manager::{Package, Relation, When};

/// The root calls itself what a system with RPM does. Whatever it has, dpkg knows of, and RPM does not: so the shell that
/// scripts require is named a package of its own.
pub const OWN_SETTINGS: &str = "
mkdir -p /run/systemd/system /etc/yum.repos.d /etc/pki/rpm-gpg
rm -f /etc/os-release
printf 'ID=\"rocky\"\\nVERSION_ID=\"9.4\"\\nPRETTY_NAME=\"Rocky Linux 9.4\"\\n' >/etc/os-release
printf '[own]\\nname=own\\nbaseurl=http://archive.invalid/rocky\\n' >/etc/yum.repos.d/own.repo
echo key >/etc/pki/rpm-gpg/own";

pub fn build(package: &Package, directory: &Path) -> String {
    let file = format!("{}-{}-1.noarch.rpm", package.name, package.version);
    let scratch = directory.join(format!("{file}.d"));
    let tree = scratch.join("tree");
    package.unpack(&tree);
    let spec = scratch.join("spec");
    fs::write(&spec, text(package)).unwrap();
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--target", "noarch"]);
    for (key, value) in [
        ("_topdir", scratch.join("build")),
        ("_rpmdir", directory.to_owned()),
        ("tree", tree),
    ] {
        rpmbuild
            .arg("--define")
            .arg(format!("{key} {}", value.display()));
    }
    let output = rpmbuild.arg(&spec).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file}: {said}");
    fs::remove_dir_all(scratch).unwrap();
    fs::rename(directory.join("noarch").join(&file), directory.join(&file)).unwrap();
    file
}

fn text(package: &Package) -> String {
    let (name, version) = (package.name, package.version);
    let mut text = format!(
        "%global _binary_payload w1.gzdio\n%global __os_install_post %{{nil}}\n\
         Name: {name}\nVersion: {version}\nRelease: 1\nSummary: for a test\nLicense: none\nAutoReqProv: no\nBuildArch: noarch\n"
    );
    for relation in &package.relations {
        let line = match relation {
            Relation::Needs(other) => format!("Requires: {other}"),
            Relation::NeedsAtLeast(other, version) => format!("Requires: {other} >= {version}"),
            Relation::Conflicts(other) => format!("Conflicts: {other}"),
            Relation::Provides(other) => format!("Provides: {other}"),
        };
        writeln!(text, "{line}").unwrap();
    }
    text +=
        "%description\nNothing.\n%install\nmkdir -p %{buildroot}\ncp -a %{tree}/. %{buildroot}\n";
    for (when, section) in [(When::Installing, "%pre"), (When::Installed, "%post")] {
        if let Some(script) = package.script(when) {
            writeln!(text, "{section}\nset -e\n{script}").unwrap();
        }
    }
    writeln!(text, "%files\n/usr/share/{name}").unwrap();
    for (path, _) in &package.files {
        writeln!(text, "{path}").unwrap();
    }
    for (path, _) in &package.settings {
        writeln!(text, "%config(noreplace) {path}").unwrap();
    }
    text
}

pub fn index(directory: &Path, files: &[String]) -> Vec<String> {
    let packages = files
        .iter()
        .map(|file| PackageFile::read(file, File::open(directory.join(file)).unwrap()).unwrap());
    let index = repository::index(&packages.collect::<Vec<_>>()).unwrap();
    fs::create_dir_all(directory.join("repodata")).unwrap();
    let mut names = Vec::new();
    for file in index {
        fs::write(directory.join(file.path), &file.bytes).unwrap();
        names.push(file.path.to_owned());
    }
    names
}
