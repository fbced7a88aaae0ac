// Package store keeps the control plane's two logs, the versions of the
// configuration and the purges, in NATS JetStream embedded in the process.
//
// An append returns only once the entry is on disk: the server runs with
// SyncAlways, and never in JetStream's asynchronous mode, which switches that
// off. What was acknowledged survives the process being killed.
//
// It is not for validation: what is appended is taken as it is.
package store
