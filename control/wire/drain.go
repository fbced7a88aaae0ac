package wire

import "nearcast/cdn"

// DrainRequest asks for a POP or a node to get no new visitors.
type DrainRequest struct {
	// POP or Node is what is to be drained; the other is empty.
	POP  string `json:"pop,omitempty"`
	Node string `json:"node,omitempty"`
	// Force is the explicit yes to a drain that leaves less than there should be.
	Force bool `json:"force,omitempty"`
}

// DrainResult is the answer to the beginning and to the end of a drain.
type DrainResult struct {
	// Generation is the version in force afterwards; the old one if nothing changed.
	Generation cdn.Generation `json:"generation"`
	// Changed says whether something was not as was asked for already.
	Changed bool `json:"changed"`
	// Drains are all that are in force afterwards.
	Drains []cdn.Drain `json:"drains"`
}
