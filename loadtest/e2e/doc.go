// Package e2e tests a whole CDN from outside: real processes, real sockets, real
// files, nodes that are killed. It has tests only.
//
// It is not for the behaviour of one part, which is tested beside the part.
package e2e
