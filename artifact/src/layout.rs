use camino::{Utf8Path, Utf8PathBuf};

use crate::ProgramFile;

/// The directory that holds `.kubexm/`, on both sides alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkDir(Utf8PathBuf);

impl WorkDir {
    #[must_use]
    pub fn new(dir: impl Into<Utf8PathBuf>) -> Self {
        Self(dir.into())
    }

    /// `.kubexm/<cluster>/`
    #[must_use]
    pub fn tree(&self, cluster: &str) -> Tree {
        Tree(self.0.join(".kubexm").join(cluster))
    }
}

/// `.kubexm/<cluster>/`: everything that belongs to one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree(Utf8PathBuf);

impl Tree {
    /// The tree rooted at this very directory.
    #[must_use]
    pub fn at(root: impl Into<Utf8PathBuf>) -> Self {
        Self(root.into())
    }

    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.0
    }

    /// Where a path of `bundle.json` lies on this machine.
    #[must_use]
    pub fn path(&self, member: &Utf8Path) -> Utf8PathBuf {
        self.0.join(member)
    }

    /// What the tree holds.
    #[must_use]
    pub fn contents(&self) -> Utf8PathBuf {
        self.0.join("bundle.json")
    }

    /// The config with every secret removed.
    #[must_use]
    pub fn config(&self) -> Utf8PathBuf {
        self.0.join("config.yaml")
    }

    /// The config last applied: that of the last install that went well as a whole. Without secrets.
    #[must_use]
    pub fn applied_config(&self) -> Utf8PathBuf {
        self.0.join("applied/config.yaml")
    }

    /// What the bundle of that install held.
    #[must_use]
    pub fn applied_contents(&self) -> Utf8PathBuf {
        self.0.join("applied/bundle.json")
    }

    /// The config from which a host was taken out without being reached: what is on it is of that one.
    #[must_use]
    pub fn taken_out(&self, host: &str) -> Utf8PathBuf {
        self.0.join(format!("applied/taken-out/{host}.yaml"))
    }

    /// Keys and certificates of one component. Made at the site; never in a bundle.
    #[must_use]
    pub fn certs(&self, component: &str) -> Utf8PathBuf {
        self.0.join("certs").join(component)
    }

    /// The one OCI image layout.
    #[must_use]
    pub fn images(&self) -> Utf8PathBuf {
        self.0.join("images")
    }

    /// What Kubernetes or a part of it is told of, by name.
    #[must_use]
    pub fn manifests(&self, name: &str) -> Utf8PathBuf {
        self.0.join("manifests").join(name)
    }

    /// Snapshots of etcd, each with its note. They hold every secret of the cluster.
    #[must_use]
    pub fn backups(&self) -> Utf8PathBuf {
        self.0.join("backups")
    }

    /// Hosts of images that were pushed beside the bundle, as a list.
    #[must_use]
    pub fn image_hosts(&self) -> Utf8PathBuf {
        self.0.join("state/image-hosts.json")
    }

    /// What has come on media, a file for each bundle.
    #[must_use]
    pub fn receipts(&self) -> Utf8PathBuf {
        self.0.join("receipts")
    }

    /// Journal, lock and run reports.
    #[must_use]
    pub fn state(&self) -> Utf8PathBuf {
        self.0.join("state")
    }

    /// What was done on each host: its rendered files, facts and log.
    #[must_use]
    pub fn hosts(&self) -> Utf8PathBuf {
        self.0.join("state/hosts")
    }

    /// Where a program of a file lies ready to be uploaded: the file itself, or, taken out of its archive at the site, under
    /// its digest.
    #[must_use]
    pub fn program(&self, of: ProgramFile<'_>) -> Utf8PathBuf {
        if of.program.member.is_none() {
            return self.path(&of.file.path);
        }
        let digest = of.program.sha256.to_string();
        let name = &of.program.name;
        self.0.join("state/programs").join(&digest[..16]).join(name)
    }
}
