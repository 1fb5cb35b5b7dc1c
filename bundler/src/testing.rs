//! Small files in the forms that upstreams release.

mod debian;
mod redhat;
mod signer;
mod upstream;

use cluster::{Arch, Cluster};
use flate2::Compression;
use flate2::write::GzEncoder;

pub(crate) use debian::{Debian, Form};
pub(crate) use redhat::RedHat;
pub(crate) use signer::Signer;
pub(crate) use upstream::{Upstream, manifest};

/// The beginning of a program for an architecture.
pub(crate) fn elf(arch: Arch) -> Vec<u8> {
    let machine: u16 = match arch {
        Arch::Amd64 => 62,
        Arch::Arm64 => 183,
    };
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    bytes.extend(machine.to_le_bytes());
    bytes.extend([0; 44]);
    bytes
}

/// A `.tar.gz` of these files: path, mode, content.
pub(crate) fn archive(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        // Kept as given, a leading `./` included, which `append_data` would drop.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The config of a cluster named `example` with this spec, as JSON.
pub(crate) fn cluster(spec: &str) -> Cluster {
    let text = format!(
        r#"{{"apiVersion":"kubexm.mensylisir.io/v1alpha1","kind":"Cluster",
            "metadata":{{"name":"example"}},"spec":{spec}}}"#
    );
    serde_json::from_str(&text).unwrap()
}
