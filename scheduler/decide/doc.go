// Package decide says which POP and which nodes a visitor gets: by the operator's policy, by the map, or without one by
// geography. It is pure functions of a view and a query, so that every answer can be computed
// again, and explained, from the two.
//
// It is not for protocols: DNS and HTTP ask it the same question. It is not for making the map: that is package steer.
package decide
