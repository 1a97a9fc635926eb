//! The allowlist: what `opam/1` leaves out, field by field.

/// A field or section that has a rule, or is met so often that a bit should tell whether it was
/// met before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    OpamVersion,
    Conflicts,
    ConflictClass,
    Available,
    Synopsis,
    Description,
    Homepage,
    Doc,
    BugReports,
    License,
    Authors,
    XMaintenanceIntent,
    XMaintained,
    XCiAcceptFailures,
    XReasonForArchiving,
    Flags,
    Tags,
    Depends,
    Depopts,
    // From here on source, whole.
    Maintainer,
    Build,
    RunTest,
    Install,
    Remove,
    DevRepo,
    Depexts,
    Patches,
    Url,
    XCommitHash,
}

impl Field {
    #[inline]
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"opam-version" => Field::OpamVersion,
            b"conflicts" => Field::Conflicts,
            b"conflict-class" => Field::ConflictClass,
            b"available" => Field::Available,
            b"synopsis" => Field::Synopsis,
            b"description" => Field::Description,
            b"homepage" => Field::Homepage,
            b"doc" => Field::Doc,
            b"bug-reports" => Field::BugReports,
            b"license" => Field::License,
            b"authors" => Field::Authors,
            b"x-maintenance-intent" => Field::XMaintenanceIntent,
            b"x-maintained" => Field::XMaintained,
            b"x-ci-accept-failures" => Field::XCiAcceptFailures,
            b"x-reason-for-archiving" => Field::XReasonForArchiving,
            b"flags" => Field::Flags,
            b"tags" => Field::Tags,
            b"depends" => Field::Depends,
            b"depopts" => Field::Depopts,
            b"maintainer" => Field::Maintainer,
            b"build" => Field::Build,
            b"run-test" => Field::RunTest,
            b"install" => Field::Install,
            b"remove" => Field::Remove,
            b"dev-repo" => Field::DevRepo,
            b"depexts" => Field::Depexts,
            b"patches" => Field::Patches,
            b"url" => Field::Url,
            b"x-commit-hash" => Field::XCommitHash,
            _ => return None,
        })
    }

    /// This field's bit in a set of fields.
    pub(super) fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

/// Whether a flag says something about the release only to the solver and to people.
pub(super) fn is_upkeep_flag(flag: &[u8]) -> bool {
    matches!(flag, b"deprecated" | b"avoid-version")
}

/// Whether opam reads a flag out of a tag with this content.
pub(super) fn is_flag_tag(content: &[u8]) -> bool {
    content.starts_with(b"flags:")
}

/// Whether `content` is a version to opam, as it stands.
///
/// Where a version isn't one, opam ignores the field around it, all dependencies included.
pub(super) fn is_version(content: &[u8]) -> bool {
    let allowed = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'.' | b'~')
    };
    !content.is_empty() && content.iter().all(allowed)
}
