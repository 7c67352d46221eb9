//! What tests of whole programs need. Never shipped.
