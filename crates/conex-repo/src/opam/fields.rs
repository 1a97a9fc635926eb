//! The allowlist: what the projection `opam/1` leaves out, field by field.

/// A field or section that has a rule, or that is so common that a bit records whether it occurred.
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
    // All fields from here on are source as a whole.
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

    /// Returns this field's bit in a set of fields.
    pub(super) fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

/// Whether a flag affects only the solver and people.
pub(super) fn is_upkeep_flag(flag: &[u8]) -> bool {
    matches!(flag, b"deprecated" | b"avoid-version")
}

/// Whether opam derives a flag from a tag with this content.
pub(super) fn is_flag_tag(content: &[u8]) -> bool {
    content.starts_with(b"flags:")
}

/// Whether opam accepts `content` as a version.
///
/// If a version is invalid, opam ignores the field around it, with all dependencies in it.
pub(super) fn is_version(content: &[u8]) -> bool {
    let allowed = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'.' | b'~')
    };
    !content.is_empty() && content.iter().all(allowed)
}

/// Whether opam accepts `content` as a version whatever values its variables have. Each `%{variable}%` in
/// it has to be well-formed.
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

/// Parses a variable, global or of one package, and the `}%` that ends it. Returns what follows.
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

/// Whether opam accepts `content` as a package name.
pub(super) fn is_package_name(content: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+');
    content.iter().all(allowed) && content.iter().any(u8::is_ascii_alphabetic)
}
