//! One file per command: its arguments and its implementation.

pub(crate) mod advance;
pub(crate) mod approve;
pub(crate) mod archive;
pub(crate) mod bootstrap;
pub(crate) mod claim;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod enroll;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod man;
pub(crate) mod opam_hook;
pub(crate) mod pre_receive;
pub(crate) mod publish;
pub(crate) mod report;
pub(crate) mod retire;
pub(crate) mod retract;
pub(crate) mod review;
pub(crate) mod root;
pub(crate) mod rotate;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod team;
pub(crate) mod verify;
pub(crate) mod why;
