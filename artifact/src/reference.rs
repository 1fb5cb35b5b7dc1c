//! References of images.

const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// The name by which a container runtime of Kubernetes looks for an image: where there are tag and digest, the digest decides
/// and the tag goes.
#[must_use]
pub fn runtime_reference(reference: &str) -> String {
    let full = full_reference(reference);
    match full.split_once('@') {
        Some((name, digest)) => format!("{}@{digest}", repository(name)),
        None => full,
    }
}

/// A reference without its tag and digest.
#[must_use]
pub fn repository(reference: &str) -> &str {
    split_tag(reference).0
}

/// A name without its digest, and its tag: `registry.k8s.io/pause:3.10` is its repository and its tag.
#[must_use]
pub fn split_tag(reference: &str) -> (&str, Option<&str>) {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    }
}

/// A reference as the world names it, with registry host and tag: `nginx` is `docker.io/library/nginx:latest`.
#[must_use]
pub fn full_reference(reference: &str) -> String {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, format!("@{digest}")),
        None => (reference, String::new()),
    };
    let (host, name) = match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("docker.io", name),
    };
    let name = match host {
        "docker.io" | "index.docker.io" if !name.contains('/') => {
            format!("docker.io/library/{name}")
        }
        "index.docker.io" => format!("docker.io/{name}"),
        _ => format!("{host}/{name}"),
    };
    let tagged = name
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'));
    let tag = if tagged || !digest.is_empty() {
        ""
    } else {
        ":latest"
    };
    format!("{name}{tag}{digest}")
}

/// Whether this is a whole reference: `HOST[:PORT]/NAME` with a tag, a digest or both, by the grammar of registries.
#[must_use]
pub fn is_reference(reference: &str) -> bool {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let Some((host, path)) = name.split_once('/') else {
        return false;
    };
    let (path, tag) = match path.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    let digest_fits = digest.is_none_or(|digest| {
        let hex = digest.strip_prefix("sha256:");
        hex.is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    });
    (tag.is_some() || digest.is_some())
        && host.len() + path.len() < NAME_MAX
        && is_host(host)
        && path.split('/').all(is_part)
        && tag.is_none_or(is_tag)
        && digest_fits
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let label = |label: &str| {
        let ends = [label.bytes().next(), label.bytes().next_back()];
        ends.iter()
            .all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (name.contains('.') || port.is_some() || name == "localhost")
        && name.split('.').all(label)
        && port_fits
}

/// Lower case and digits, with single separators between them: `.`, `_`, `__`, or hyphens.
fn is_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = part.split(plain);
    part.starts_with(plain)
        && part.ends_with(plain)
        && separators.all(|between| {
            matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_tag_and_digest_a_runtime_knows_the_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let named = |reference: &str| runtime_reference(reference).replace(&digest, "DIGEST");
        assert_eq!(named("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(
            named(&format!("reg:5000/a/b:1@{digest}")),
            "reg:5000/a/b@DIGEST"
        );
        assert_eq!(
            named(&format!("reg:5000/a/b@{digest}")),
            "reg:5000/a/b@DIGEST"
        );
        assert_eq!(named("reg:5000/a/b:1"), "reg:5000/a/b:1");
    }

    #[test]
    fn a_whole_reference_is_by_the_grammar() {
        let digest = format!("quay.io/a/b@sha256:{}", "0a".repeat(32));
        for good in [
            "registry.k8s.io/pause:3.10",
            "registry.k8s.io/coredns/coredns:v1.14.2",
            "docker.io/library/nginx:latest",
            "localhost/app:1",
            "reg:5000/a/b__c-d.e:V_1",
            &digest,
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            "nginx",
            "nginx:1",
            "library/nginx:1",
            "docker.io/library/nginx",
            "../../../evil:1",
            "docker.io/../evil:1",
            "docker.io//evil:1",
            "docker.io/Evil:1",
            "docker.io/a..b:1",
            "docker.io/a:",
            "docker.io/a:-",
            "docker.io/a b:1",
            "docker.io/a@sha256:12",
            "docker.io:x/a:1",
            "docker.io/a:1\nb",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn references_get_the_host_and_tag_that_are_meant() {
        for (written, meant) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.28", "docker.io/library/nginx:1.28"),
            ("calico/node:v3", "docker.io/calico/node:v3"),
            ("docker.io/nginx:1", "docker.io/library/nginx:1"),
            ("index.docker.io/a/b:1", "docker.io/a/b:1"),
            ("localhost/app", "localhost/app:latest"),
            ("reg:5000/app", "reg:5000/app:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("ghcr.io/a/b@sha256:12", "ghcr.io/a/b@sha256:12"),
        ] {
            assert_eq!(full_reference(written), meant);
        }
    }
}
