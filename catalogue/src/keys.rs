//! Public keys of distributions, as `keys/README.md` tells where they come from.

macro_rules! keys {
    ($($name:literal,)*) => {
        /// Every key, armored, by its name.
        pub(crate) const KEYS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../keys/", $name, ".asc"))),)*];
    };
}

keys! {
    "almalinux-10",
    "almalinux-8",
    "almalinux-9",
    "centos",
    "debian-archive-bookworm-automatic",
    "debian-archive-bookworm-security-automatic",
    "debian-archive-bookworm-stable",
    "debian-archive-trixie-automatic",
    "debian-archive-trixie-security-automatic",
    "debian-archive-trixie-stable",
    "kylin",
    "openeuler",
    "rocky-10",
    "rocky-8",
    "rocky-9",
    "ubuntu-archive-2018",
}

pub(crate) fn key(name: &str) -> Option<&'static str> {
    let mut keys = KEYS.iter();
    keys.find(|(known, _)| *known == name).map(|(_, key)| *key)
}
