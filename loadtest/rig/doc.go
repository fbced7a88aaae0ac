// Package rig runs real servers on this machine for programs that measure them: an edge of the built program and
// its origin, a certificate, other people's servers; each on the core that it is told, and each gone at the end. It reads
// what they use from /proc.
//
// It is not for tests of what an edge answers: those want package labtest or a handler.
package rig
