//! What a bundle has for one system, and the step that installs it.

use std::fs;
use std::sync::Arc;

use artifact::PackageSet;
use camino::{Utf8Path, Utf8PathBuf};
use step::{InstallPackages, LocalPackage, RepositoryFile, SystemPackages};
use tempfile::TempDir;

use crate::manager::{Manager, Package};

pub struct Bundle {
    manager: Manager,
    dir: TempDir,
    packages: Vec<LocalPackage>,
    index: Vec<RepositoryFile>,
}

impl Bundle {
    pub fn of(manager: Manager, packages: &[Package]) -> Self {
        let dir = TempDir::new().unwrap();
        let at = Utf8Path::from_path(dir.path()).unwrap();
        let file = |path: &str| RepositoryFile {
            local: at.join(path),
            path: Utf8PathBuf::from(path),
            size: fs::metadata(at.join(path)).unwrap().len(),
        };
        let mut files = Vec::new();
        let mut local = Vec::new();
        for package in packages {
            let built = manager.build(package, dir.path());
            local.push(LocalPackage {
                name: package.name.to_owned(),
                version: manager.version(package.version),
                file: file(&built),
            });
            files.push(built);
        }
        let index = manager.index(dir.path(), &files);
        let index = index.iter().map(|path| file(path)).collect();
        Self {
            manager,
            dir,
            packages: local,
            index,
        }
    }

    /// For a host that is to have all of it.
    pub fn install(&self) -> InstallPackages {
        assert!(self.dir.path().exists());
        let set: PackageSet = serde_json::from_value(serde_json::json!({
            "os": self.manager.os(), "arch": "amd64", "format": self.manager.format(),
            "names": {}, "packages": [], "base": [],
        }))
        .unwrap();
        InstallPackages {
            by_system: vec![SystemPackages {
                set: Arc::new(set),
                packages: self.packages.clone(),
                index: self.index.clone(),
                base: Vec::new(),
            }],
            replaceable: &["timesyncd"],
            patience: InstallPackages::PATIENCE,
        }
    }
}
