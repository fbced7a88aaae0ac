// Package feedclient is the node's side of the control plane: it keeps a node's
// configuration current, applies purges in order and without gaps, and reports.
//
// A node never needs it to boot or to serve. [New] starts from the last-known-good
// configuration on disk, without the network; [Client.Run] then connects whenever it can.
// Silence is never taken for "no news": a control plane that is not heard for some
// seconds is connected to anew.
package feedclient
