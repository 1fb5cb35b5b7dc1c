//! Debian packages, made by dpkg-deb.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use packages::deb::control::Deb;
use packages::deb::repository::{self, Member};

use crate::manager::{Package, Relation, When};

pub const OWN_SETTINGS: &str = "
mkdir -p /run/systemd/system
rm -f /etc/apt/sources.list.d/*
echo 'deb http://archive.invalid/debian trixie main' >/etc/apt/sources.list
mkdir -p /var/lib/apt/lists/partial
echo 'Package: nothing' >/var/lib/apt/lists/archive.invalid_Packages
touch /usr/share/keyrings/own.gpg";

pub fn build(package: &Package, directory: &Path) -> String {
    let file = format!("{}_{}_all.deb", package.name, package.version);
    let tree = directory.join(format!("{file}.d"));
    package.unpack(&tree);
    let control = tree.join("DEBIAN");
    fs::create_dir(&control).unwrap();
    fs::write(control.join("control"), fields(package)).unwrap();
    let settings = package.settings.iter();
    let conffiles: Vec<&str> = settings.flat_map(|(path, _)| [*path, "\n"]).collect();
    fs::write(control.join("conffiles"), conffiles.concat()).unwrap();
    for (when, name, case) in [
        (When::Installing, "preinst", "install | upgrade"),
        (When::Installed, "postinst", "configure"),
    ] {
        if let Some(script) = package.script(when) {
            let text =
                format!("#!/bin/sh\nset -e\ncase $1 in {case}) ;; *) exit 0 ;; esac\n{script}\n");
            fs::write(control.join(name), text).unwrap();
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(control.join(name), executable).unwrap();
        }
    }
    let mut dpkg_deb = Command::new("dpkg-deb");
    dpkg_deb.args(["--root-owner-group", "-Zgzip", "-z1", "--build"]);
    let output = dpkg_deb
        .arg(&tree)
        .arg(directory.join(&file))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file}: {said}");
    fs::remove_dir_all(tree).unwrap();
    file
}

fn fields(package: &Package) -> String {
    let (name, version) = (package.name, package.version);
    let mut text = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n\
         Description: for a test\n"
    );
    let (mut needs, mut conflicts, mut provides) = (Vec::new(), Vec::new(), Vec::new());
    for relation in &package.relations {
        match relation {
            Relation::Needs(other) => needs.push((*other).to_owned()),
            Relation::NeedsAtLeast(other, version) => needs.push(format!("{other} (>= {version})")),
            Relation::Conflicts(other) => conflicts.push((*other).to_owned()),
            Relation::Provides(other) => provides.push((*other).to_owned()),
        }
    }
    for (field, all) in [
        ("Depends", needs),
        ("Conflicts", conflicts),
        ("Provides", provides),
    ] {
        if !all.is_empty() {
            writeln!(text, "{field}: {}", all.join(", ")).unwrap();
        }
    }
    text
}

pub fn index(directory: &Path, files: &[String]) -> Vec<String> {
    let members = files.iter().map(|file| Member {
        file: file.clone(),
        deb: Deb::read(File::open(directory.join(file)).unwrap()).unwrap(),
    });
    let packages = repository::packages(&members.collect::<Vec<_>>());
    fs::write(directory.join("Release"), repository::release(&packages)).unwrap();
    fs::write(directory.join("Packages"), packages).unwrap();
    vec!["Packages".to_owned(), "Release".to_owned()]
}
