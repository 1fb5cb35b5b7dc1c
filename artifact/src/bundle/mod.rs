mod check;
mod cut;
mod error;
mod explain;
mod listing;
mod open;
mod pack;
mod seal;
mod source;
mod stream;
mod unpack;

pub use error::{BundleError, Change, Fault, PackError, Verdict};
pub use listing::{ListingError, Unlistable};
pub use open::Bundle;
pub use pack::{Packed, Packing, pack};
pub use unpack::{Unpacked, prune};
