// Package relay answers requests that are not worth a redirect: it asks the node that was decided on, and passes its answer on. If it turns out that
// the content is long enough it drops the answer and redirects after all.
//
// Where it connects to is an address of the configuration, out of a [redirect.Relay]. It tells the node the visitor's address, with a proof
// ([nearcast/internal/onbehalf]), so that the node's rules, counts and log see the visitor. It bounds what visitors can hold: how many requests
// are under way, in all and for each client, how long their contents are, and how long nothing may move.
//
// It caches nothing, decides nothing, and changes no protocol: an Upgrade is not passed on.
package relay
