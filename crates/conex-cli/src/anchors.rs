//! Trust anchors as the command line and package managers write them.

use conex_core::model::digest::Digest;
use conex_core::model::key::Fingerprint;
use conex_core::model::name::Origin;
use conex_core::model::version::Threshold;
use conex_core::state::chain::{AnchorKeys, Trust};

use crate::error::{CommandError, Result};

/// The syntax of anchors, for help texts and errors.
pub(crate) const SPELLING: &str = "either root:DIGEST, or origin:NAME and one or more key fingerprints \
SHA256:..., separated by commas";

/// The trust anchors that a command starts from.
#[derive(Debug, clap::Args)]
pub(crate) struct AnchorArguments {
    /// Where trust starts: either root:DIGEST, or origin:NAME and key fingerprints, with commas
    #[arg(
        long,
        value_name = "ANCHORS",
        env = "CONEX_TRUST_ANCHORS",
        hide_env_values = true
    )]
    pub(crate) trust_anchors: Option<String>,

    /// How many of the anchored keys have to have signed a root
    #[arg(long, value_name = "N")]
    pub(crate) quorum: Option<u16>,
}

impl AnchorArguments {
    /// Returns the given anchors. It is an error to give none.
    pub(crate) fn trust(&self) -> Result<Trust> {
        let anchors = self.trust_anchors.as_deref().ok_or_else(|| {
            CommandError::usage("no trust anchor is given")
                .hint(format_args!("give --trust-anchors: {SPELLING}"))
                .hint(
                    "janitors publish them elsewhere than in the repository; conex status prints them",
                )
        })?;
        parse(anchors, self.quorum)
    }
}

/// Parses `--trust-anchors` and `--quorum`.
pub(crate) fn parse(anchors: &str, quorum: Option<u16>) -> Result<Trust> {
    let usage =
        |message: String| CommandError::usage(message).hint(format_args!("anchors are {SPELLING}"));
    let mut root = None;
    let mut origin = None;
    let mut keys: Vec<Fingerprint> = Vec::new();
    for word in anchors.split(',') {
        if let Some(digest) = word.strip_prefix("root:") {
            let digest =
                Digest::parse(digest).map_err(|error| usage(format!("anchor {word}: {error}")))?;
            if root.replace(digest).is_some() {
                return Err(usage("two anchors name a root".into()));
            }
        } else if let Some(name) = word.strip_prefix("origin:") {
            let name =
                Origin::parse(name).map_err(|error| usage(format!("anchor {word}: {error}")))?;
            if origin.replace(name).is_some() {
                return Err(usage("two anchors name an origin".into()));
            }
        } else {
            keys.push(
                Fingerprint::parse(word)
                    .map_err(|error| usage(format!("anchor {word:?}: {error}")))?,
            );
        }
    }
    let threshold = match quorum {
        Some(0) => return Err(usage("a quorum of 0 trusts everybody".into())),
        Some(people) => Threshold::new(people),
        None => None,
    };
    match (root, origin, keys.as_slice()) {
        (Some(_), Some(_), _) => Err(usage(
            "a root names its own origin; do not give origin:NAME with it".into(),
        )),
        (Some(root), None, []) => {
            if quorum.is_some_and(|quorum| quorum > 1) {
                return Err(
                    usage("the quorum is greater than the number of anchors, 1".into())
                        .hint("a root holds its own quorum; leave --quorum out, or give 1"),
                );
            }
            Ok(Trust::Root(root))
        }
        (Some(_), _, _) => Err(usage(
            "a root is a complete anchor; do not give key fingerprints with it".into(),
        )),
        (None, None, _) => Err(
            usage("the anchors name neither a root nor an origin".into())
                .hint("without origin:NAME, another repository of the same people could be served"),
        ),
        (None, Some(_), []) => Err(usage("the anchors name no key".into())),
        (None, Some(origin), _) => {
            let threshold = threshold.ok_or_else(|| {
                usage("key fingerprints need --quorum: how many of them have to have signed".into())
            })?;
            AnchorKeys::new(origin, keys, threshold)
                .map(Trust::Keys)
                .map_err(|error| usage(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "SHA256:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

    #[test]
    fn honest_anchors_parse() {
        let root = format!("root:{}", "ab".repeat(32));
        assert!(matches!(parse(&root, None), Ok(Trust::Root(_))));
        assert!(matches!(parse(&root, Some(1)), Ok(Trust::Root(_))));
        assert!(matches!(
            parse(&format!("origin:x,{KEY}"), Some(1)),
            Ok(Trust::Keys(_))
        ));
    }

    #[test]
    fn hook_bypass() {
        let root = format!("root:{}", "ab".repeat(32));
        for (anchors, quorum) in [
            (root.as_str(), Some(0)),
            (root.as_str(), Some(2)),
            ("", Some(1)),
            ("origin:x", Some(1)),
            (KEY, Some(1)),
            (&format!("origin:x,{KEY}"), None),
            (&format!("origin:x,{KEY}"), Some(0)),
            (&format!("origin:x,{KEY}"), Some(2)),
            (&format!("origin:x,{KEY},{KEY}"), Some(2)),
            (&format!("{root},{KEY}"), Some(1)),
            (&format!("{root},origin:x"), Some(1)),
        ] {
            assert!(parse(anchors, quorum).is_err(), "{anchors} {quorum:?}");
        }
    }
}
