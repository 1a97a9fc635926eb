//! The canonical encoding, and the one function that makes statement digests (spec section 5).

use alloc::vec::Vec;

use serde::Serialize;

use crate::model::crypto::Digests;
use crate::model::digest::{Context, Digest};
use crate::model::name::Origin;

/// The canonical bytes of a value in a repository: postcard of the origin, then of the value.
///
/// Only ever made from the typed model and never decoded, so there is nothing to be lenient about.
pub fn canonical<T: Serialize + ?Sized>(origin: &Origin, value: &T) -> Vec<u8> {
    // Most statements fit; growing from nothing would cost more than encoding.
    postcard::to_extend(&(origin, value), Vec::with_capacity(512))
        .expect("postcard encodes every type of the model: all lengths are known")
}

/// The digest of a value in a repository: BLAKE3 over its canonical bytes, in a context.
pub fn digest<T: Serialize + ?Sized>(
    digests: &(impl Digests + ?Sized),
    context: Context,
    origin: &Origin,
    value: &T,
) -> Digest {
    digests.blake3(context, &canonical(origin, value))
}
