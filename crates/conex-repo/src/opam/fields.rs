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

/// Whether opam takes `content` for a version, whatever its variables are: in each place of
/// `%{variable}%` it has one.
pub(super) fn may_be_version(content: &[u8]) -> bool {
    let mut version = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, behind) = match (first, after) {
            (b'%', [b'{', inside @ ..]) => match variable(inside) {
                Some(behind) => (b'-', behind),
                None => return false,
            },
            _ => (first, after),
        };
        version.push(byte);
        rest = behind;
    }
    is_version(&version)
}

/// What follows a variable, alone or of one package, and the `}%` that ends it.
fn variable(text: &[u8]) -> Option<&[u8]> {
    let run = |text: &[u8]| {
        let is_run = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        text.iter().take_while(is_run).count()
    };
    let is_name = |name: &[u8]| name.iter().any(u8::is_ascii_alphabetic);
    let (first, behind) = text.split_at(run(text));
    if let Some(second) = behind.strip_prefix(b":") {
        let (second, behind) = second.split_at(run(second));
        let is_scoped = (is_name(first) || first == b"_") && is_name(second);
        return behind.strip_prefix(b"}%").filter(|_| is_scoped);
    }
    behind.strip_prefix(b"}%").filter(|_| is_name(first))
}

/// Whether `content` is the name of a package to opam.
pub(super) fn is_package_name(content: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+');
    content.iter().all(allowed) && content.iter().any(u8::is_ascii_alphabetic)
}
