// Package feed is the control plane's side of the wire to the nodes: it tells
// them the heads of the logs, keeps what they last reported, and asks them to
// explain what they would do with a request.
//
// The entries themselves do not pass through here: nodes read the logs.
package feed
