// Package decode reads versions of the configuration as they are stored, one after the other. A site that stands in a version as it stood in the one before, octet
// for octet, is not decoded again: both have it in the same memory. So who follows the control plane does not take in a million names anew because one of
// them has changed, has them in memory once, and sees at a glance what is the same.
//
// It does not check what a configuration says (package compile does), nor whether octets have been damaged on their way (protocol.Sum).
package decode
