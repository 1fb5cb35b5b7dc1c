//! The part of the distribution API that pulls.

use std::collections::BTreeSet;

use artifact::{Bundle, Cancel, ImageEntry, Sha256, repository, split_tag};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::Depot;
use crate::answer::Answer;
use crate::request::Request;

const JSON: &str = "application/json";
/// No registry takes a larger one.
const MANIFEST_MAX: u64 = 4 << 20;

/// `rest` is what comes after `/v2/`.
pub fn answer<'a>(depot: &'a Depot, rest: &str, request: &Request) -> Answer<'a> {
    let api = ("Docker-Distribution-API-Version", "registry/2.0".to_owned());
    let answer = match rest {
        "" => Answer::text(JSON, "{}"),
        "_catalog" => catalogue(depot),
        rest => of_repository(depot, rest, request),
    };
    answer.with(api.0, api.1)
}

fn of_repository<'a>(depot: &'a Depot, rest: &str, request: &Request) -> Answer<'a> {
    let parts: Vec<&str> = rest.rsplitn(3, '/').collect();
    let [last, kind, name] = parts.as_slice() else {
        return unknown("NAME_UNKNOWN", "there is no such repository");
    };
    let Some(images) = named(depot, name, request.of_registry.as_deref()) else {
        return unknown("NAME_UNKNOWN", "the bundle has no image of that name");
    };
    match (*kind, *last) {
        ("tags", "list") => tags(name, &images),
        ("manifests", reference) => manifest(depot, &images, reference, request),
        ("blobs", digest) => match digest.parse().ok().and_then(|it| blob(depot, it)) {
            Some((digest, file)) => Answer::file(file, "application/octet-stream", request)
                .with("Docker-Content-Digest", digest.oci()),
            None => unknown("BLOB_UNKNOWN", "the bundle has no such blob"),
        },
        _ => unknown(
            "UNSUPPORTED",
            "this registry can be pulled from, and nothing else",
        ),
    }
}

/// By the whole name, `registry.k8s.io/pause`, or by the one within the registry that a runtime says it looks for.
fn named<'a>(
    depot: &'a Depot,
    name: &str,
    of_registry: Option<&str>,
) -> Option<Vec<&'a ImageEntry>> {
    let whole = of_registry.map(|registry| format!("{registry}/{name}"));
    let images = &depot.contents()?.images;
    let found: Vec<&ImageEntry> = images
        .iter()
        .filter(|image| {
            let own = repository(&image.reference);
            own == name || whole.as_ref().is_some_and(|whole| own == *whole)
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

fn tags<'a>(name: &str, images: &[&ImageEntry]) -> Answer<'a> {
    let tags: BTreeSet<&str> = images
        .iter()
        .filter_map(|image| split_tag(&image.reference).1)
        .collect();
    Answer::text(JSON, json!({ "name": name, "tags": tags }).to_string())
}

fn catalogue<'a>(depot: &Depot) -> Answer<'a> {
    let images = depot
        .contents()
        .map_or(&[][..], |contents| &contents.images);
    let names: BTreeSet<&str> = images
        .iter()
        .map(|image| repository(&image.reference))
        .collect();
    Answer::text(JSON, json!({ "repositories": names }).to_string())
}

fn manifest<'a>(
    depot: &'a Depot,
    images: &[&ImageEntry],
    reference: &str,
    request: &Request,
) -> Answer<'a> {
    let digest = reference.parse::<Sha256>().ok().or_else(|| {
        let tagged = |image: &&&ImageEntry| split_tag(&image.reference).1 == Some(reference);
        images.iter().find(tagged).map(|image| image.digest)
    });
    let found = digest.and_then(|digest| blob(depot, digest));
    let Some((digest, file)) = found.filter(|(_, file)| file.size <= MANIFEST_MAX) else {
        return unknown("MANIFEST_UNKNOWN", "the bundle has no such tag or manifest");
    };
    let kind = depot
        .holder(&file.path)
        .and_then(|bundle| kind(bundle, &file.path));
    match kind {
        Some(kind) => {
            Answer::file(file, &kind, request).with("Docker-Content-Digest", digest.oci())
        }
        None => unknown("MANIFEST_UNKNOWN", "what has that digest is no manifest"),
    }
}

/// The media type of a manifest, which clients go by.
fn kind(bundle: &Bundle, path: &camino::Utf8Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
        manifests: Option<IgnoredAny>,
        config: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
    }
    let bytes = bundle.read(path, MANIFEST_MAX, &Cancel::default()).ok()??;
    let manifest: Manifest = serde_json::from_slice(&bytes).ok()?;
    let by_content = || match (&manifest.manifests, &manifest.config, &manifest.layers) {
        (Some(_), _, _) => Some("application/vnd.oci.image.index.v1+json".to_owned()),
        (None, Some(_), Some(_)) => Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        (None, _, _) => None,
    };
    let is_plain = |kind: &String| kind.bytes().all(|byte| byte.is_ascii_graphic());
    manifest
        .media_type
        .clone()
        .filter(is_plain)
        .or_else(by_content)
}

fn blob(depot: &Depot, digest: Sha256) -> Option<(Sha256, &artifact::FileEntry)> {
    let file = depot.file(&format!("images/blobs/sha256/{digest}"))?;
    Some((digest, file))
}

fn unknown<'a>(code: &str, message: &str) -> Answer<'a> {
    let errors = json!({ "errors": [{ "code": code, "message": message }] });
    Answer::text(JSON, errors.to_string()).with_status(404)
}
