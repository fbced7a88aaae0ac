// Package httpfront sends visitors to a node by HTTP redirect. It knows the
// visitor's own address, where DNS only knows a resolver's, and costs one more
// round trip.
//
// It serves no content.
package httpfront
