//! Asks kubeadm itself which images its Kubernetes needs.

use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use cluster::Version;
use tokio::process::Command;

/// It only prints a list; on a slow machine the start of so large a program takes a while.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why kubeadm gave no list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubeadmError {
    #[error("it cannot be run here: {0}")]
    Run(std::io::Error),
    #[error("it did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    #[error("it failed with {status}: {stderr}")]
    Failed {
        status: std::process::ExitStatus,
        stderr: String,
    },
    #[error("it printed '{0}', which is no image")]
    NoImage(String),
    #[error("it printed no images")]
    Empty,
}

/// What `kubeadm config images list` prints for a version. Needs no network and leaves nothing behind.
pub(crate) async fn images(
    program: &Utf8Path,
    version: &Version,
) -> Result<Vec<String>, KubeadmError> {
    let home = tempfile::tempdir().map_err(KubeadmError::Run)?;
    // A relative path would be looked up below the program's own directory.
    let program = std::path::absolute(program).map_err(KubeadmError::Run)?;
    let run = Command::new(program)
        .args([
            "config",
            "images",
            "list",
            "--kubernetes-version",
            &version.with_v(),
        ])
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run)
        .await
        .map_err(|_| KubeadmError::Silent)?
        .map_err(KubeadmError::Run)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(KubeadmError::Failed {
            status: output.status,
            stderr: stderr
                .lines()
                .last()
                .unwrap_or_default()
                .chars()
                .take(300)
                .collect(),
        });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let images: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if let Some(other) = images.iter().find(|line| !is_image(line)) {
        return Err(KubeadmError::NoImage(other.chars().take(100).collect()));
    }
    if images.is_empty() {
        Err(KubeadmError::Empty)
    } else {
        Ok(images)
    }
}

fn is_image(line: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "./:-_@".contains(c);
    line.chars().all(legal)
        && line
            .split_once('/')
            .is_some_and(|(_, name)| name.contains(':'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use camino::Utf8PathBuf;

    use super::*;

    async fn answer(script: &str) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().join("kubeadm")).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        images(&path, &Version::new(1, 36, 2))
            .await
            .map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn a_relative_path_is_meant_from_where_kubexm_was_started() {
        let dir = tempfile::tempdir().unwrap();
        let up: Utf8PathBuf = std::env::current_dir()
            .unwrap()
            .components()
            .skip(1)
            .map(|_| "..")
            .collect();
        let path = up
            .join(dir.path().to_str().unwrap().trim_start_matches('/'))
            .join("kubeadm");
        std::fs::write(&path, "#!/bin/sh\necho registry.k8s.io/pause:3.10\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let listed = images(&path, &Version::new(1, 36, 2)).await;
        assert_eq!(listed.unwrap(), ["registry.k8s.io/pause:3.10"]);
    }

    #[tokio::test]
    async fn the_list_is_read_and_everything_else_is_not_taken_for_one() {
        let listed = answer(
            r#"test "$*" = "config images list --kubernetes-version v1.36.2" && echo registry.k8s.io/pause:3.10.2"#,
        );
        assert_eq!(listed.await.unwrap(), ["registry.k8s.io/pause:3.10.2"]);
        for (script, said) in [
            (
                "echo usage: kubeadm",
                "it printed 'usage: kubeadm', which is no image",
            ),
            ("true", "it printed no images"),
            (
                "echo first >&2; echo no such flag >&2; exit 3",
                "it failed with exit status: 3: no such flag",
            ),
        ] {
            assert_eq!(answer(script).await.unwrap_err(), said);
        }
    }
}
