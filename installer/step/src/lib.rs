//! One act on one host, one file each. A step knows the host, its templates and what lies in the tree; it does not know
//! the task it is part of.

mod apply_manifest;
mod apply_sysctls;
mod certificate;
mod certificate_authority;
mod create_user;
mod disable_swap;
mod edit_block;
mod enter_etcd;
mod etcdctl;
mod image_archive;
mod image_layout;
mod image_name;
mod import_images;
mod install_programs;
mod keep_etcd_authority;
mod kubectl;
mod load_modules;
mod local_file;
mod look_at_etcd;
mod make_directory;
mod note_etcd_founded;
mod pki;
mod preflight;
mod promote_etcd_member;
mod pull_sandbox_image;
mod push_images;
mod registry;
mod registry_credentials;
mod run_etcd;
mod run_service;
mod set_hostname;
mod shell;
mod start_etcd;
mod unpack_programs;
mod upload_file;
mod upload_key_pair;
mod verify_etcd;

pub use apply_manifest::ApplyManifest;
pub use apply_sysctls::ApplySysctls;
pub use certificate::Certificate;
pub use certificate_authority::CertificateAuthority;
pub use create_user::CreateUser;
pub use disable_swap::DisableSwap;
pub use edit_block::EditBlock;
pub use enter_etcd::{EnterEtcd, Entry};
pub use etcdctl::{EtcdCluster, EtcdPeer};
pub use host::{FileAttrs, Owner};
pub use image_archive::{ImageArchives, NodeImage};
pub use image_name::SiteNames;
pub use import_images::{Containerd, ImportImages};
pub use install_programs::{InstallPrograms, LocalProgram};
pub use keep_etcd_authority::KeepEtcdAuthority;
pub use load_modules::{Feature, KernelModule, LoadModules};
pub use look_at_etcd::{EtcdTrace, LookAtEtcd};
pub use make_directory::MakeDirectory;
pub use note_etcd_founded::NoteEtcdFounded;
pub use pki::{CertificateSpec, KeyPairFiles, Usage};
pub use preflight::{
    Finding, JudgeSurveys, Leftover, MARKER, Memory, Port, Program, Requirements, Space, Survey,
    SurveyHost, System,
};
pub use promote_etcd_member::PromoteEtcdMember;
pub use pull_sandbox_image::PullSandboxImage;
pub use push_images::PushImages;
pub use registry::SiteRegistry;
pub use registry_credentials::{PrepareRegistryCredentials, RegistryCredentials};
pub use run_etcd::RunEtcd;
pub use run_service::RunService;
pub use set_hostname::SetHostname;
pub use start_etcd::StartEtcd;
pub use unpack_programs::{PackedProgram, UnpackPrograms};
pub use upload_file::{Content, UploadFile};
pub use upload_key_pair::UploadKeyPair;
pub use verify_etcd::VerifyEtcd;
