//! What the tests share: honest communities made from seeds, in memory or on disk.
