//! The contract between the halves: the tree's layout, `bundle.json` and the `.tar.zst`.
//!
//! The bundling half writes what is described here, the installing half reads it, and neither knows more of the other.
//!
//! [`pack`] writes a bundle, [`Bundle::open`] reads what it holds, [`Bundle::verify`] and [`Bundle::unpack`] read all of
//! it. They work on threads of their own, block until they are done, and stop on a [`Cancel`].
//!
#![doc = include_str!("../../docs/bundle-format.md")]

mod addon;
mod archive;
mod bundle;
mod cancel;
mod contents;
mod difference;
mod digest;
mod extract;
mod image_source;
mod inventory;
mod journey;
mod known;
mod layout;
mod needs;
mod packages;
mod parity;
mod reference;
mod regular;
mod release;
mod replace;
mod signature;
mod space;
mod text;

pub use addon::{AddonObjects, Hook, HookOn, addon_component, addon_version, entry_digest};
pub use archive::{Member, Members};
pub use bundle::{
    Awaited, Bundle, BundleError, Carriage, CarriedFile, CarryError, Change, Fault, Lack,
    ListingError, PackError, Packed, Packing, SEGMENT_MIN, Segment, StretchError, Unlistable,
    Unpacked, Verdict, pack, split,
};
pub use cancel::Cancel;
pub use cluster::ImageSet;
pub use contents::{
    AttachmentEntry, ChartEntry, ConfigEntry, Contents, ContentsError, FORMAT, FileEntry,
    ImageEntry, PlatformEntry, Program, ProgramFile,
};
pub use difference::{Amount, ChangeKind, Changed, Difference};
pub use digest::{ParseDigestError, Sha256};
pub use extract::{Extract, ExtractError};
pub use image_source::{ImageSource, ImageSourceError};
pub use inventory::{Base, BaseError, Held, INVENTORY, Inventory, Taking};
pub use journey::{
    Arrival, Arrived, Book, Cargo, Departed, FileSystem, JOURNEY, JOURNEY_LIST, JOURNEY_SIGNATURE,
    Journey, JourneyError, Medium, Part, Past, RECEIPT_PREFIX, Receipt, SignedBy, Trip, Wrong,
    arrive, depart, journey_size,
};
pub(crate) use known::known_keys;
pub use layout::{Tree, WorkDir};
pub use needs::{Missing, Need, What, needs};
pub use packages::{
    BasePackage, Closure, PackageEntry, PackageFormat, PackageName, PackageNeed, PackageSet,
    host_packages,
};
pub use parity::{
    Mended, PARITY, PARITY_ENDING, ParityError, ParityFile, Percent, Repair, Sparing, Whole,
    make_parity,
};
pub use reference::{full_reference, is_reference, repository, runtime_reference, split_tag};
pub use regular::{is_pipe, open_regular, open_regular_or_pipe};
pub use release::Release;
pub use replace::replace;
pub use signature::{
    NAMESPACE, Principal, Purpose, Refusal, SignError, SignatureError, Signer, SignersError, Trust,
    verify_signature, verify_signatures,
};
pub use space::{SpaceError, SpaceNeed, check_space};
