// Package cacheadmin is how the operator of a machine looks into the cache of the node that runs there: JSON over HTTP on a
// Unix socket in the node's state directory. Whoever may open the socket may ask; nobody else on the machine can, and
// nobody from the network. [Serve] is the node's side, [Client] the command's.
//
// It is not for visitors, for the control plane, or for purges: those go to all nodes, and come by the feed.
package cacheadmin
