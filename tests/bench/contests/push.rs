use std::fs;

use anyhow::{Context, Result, ensure};
use camino::Utf8PathBuf;
use engine::State;

use super::{kubexm, shell};
use crate::acts;
use crate::contest::Contest;
use crate::data::Data;
use crate::services::{Registry, RegistrySite};

/// Images of the tree go into an empty registry, with TLS and a password, for all architectures.
pub struct Push<'a> {
    data: &'a Data,
    site: RegistrySite,
    registry: Option<Registry>,
    /// A line each.
    references: Utf8PathBuf,
}

/// What is done with each image.
const COPY: &str =
    r#"skopeo copy -q --all --dest-cert-dir "$1" --dest-creds "$2" "oci:$3:{}" "docker://$4/{}""#;

impl<'a> Push<'a> {
    pub fn new(data: &'a Data) -> Result<Self> {
        let site = RegistrySite::make(data.work.join("registry"))?;
        let references = data.work.join("references");
        let images = data.contents.images.iter();
        let lines: String = images.map(|image| image.reference.clone() + "\n").collect();
        fs::write(&references, lines)?;
        // skopeo takes every .crt of a directory as an authority, and asks for a .cert beside a .key.
        let trust = data.work.join("trust");
        fs::create_dir_all(&trust)?;
        fs::copy(site.certs().join("ca.crt"), trust.join("ca.crt"))?;
        Ok(Self {
            data,
            site,
            registry: None,
            references,
        })
    }

    fn url(&self) -> Result<String> {
        let registry = self.registry.as_ref().context("no registry runs")?;
        Ok(format!("https://127.0.0.1:{}", registry.port))
    }
}

impl Contest for Push<'_> {
    fn title(&self) -> String {
        format!("push {} images", self.data.contents.images.len())
    }

    fn contestants(&self) -> Vec<String> {
        [
            "kubexm",
            "skopeo copy --all, one by one",
            "skopeo copy --all, four at a time",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn begin(&mut self, who: usize) -> Result<Vec<String>> {
        // The one before must be gone before its images are.
        self.registry = None;
        self.registry = Some(self.site.registry()?);
        let url = self.url()?;
        if who == 0 {
            let (certs, tree) = (self.site.certs(), self.data.tree.root());
            let listing = self.data.listing.as_str();
            return kubexm(&["push", &url, certs.as_str(), tree.as_str(), listing]);
        }
        let jobs = if who == 1 { "-P1" } else { "-P4" };
        let script =
            format!(r#"list=$1; shift; xargs {jobs} -I '{{}}' bash -ec '{COPY}' - "$@" <"$list""#);
        let (trust, layout) = (self.data.work.join("trust"), self.data.tree.images());
        let address = url.trim_start_matches("https://");
        let login = self.site.login()?;
        let list = self.references.as_str();
        let args = [list, trust.as_str(), &login, layout.as_str(), address];
        Ok(shell(&script, &args))
    }

    fn end(&mut self, _: usize) -> Result<Option<u64>> {
        let tree = self.data.tree.root();
        let state = acts::is_pushed(&self.url()?, &self.site.certs(), tree, &self.data.contents)?;
        ensure!(state == State::Satisfied, "{state:?}");
        Ok(None)
    }
}
