// Package control is the control plane: the versioned configuration, the purge
// log, the API that people and tools use, and the feed that nodes follow.
//
// Its parts are packages of their own: compile turns YAML into sites and fleets, store
// keeps the two logs on disk, api serves people, feed serves nodes, apiclient and
// feedclient are the other ends of those two.
//
// It is not in the path of any visitor's request: nodes boot and serve without it.
package control
