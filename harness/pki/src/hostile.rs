//! Certificates that break a rule on purpose.
