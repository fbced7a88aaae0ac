// Package locate says where a visitor is, by the longest matching prefix of the
// fleet's client table, and how far around the visitor's address that answer holds.
//
// It is pure and immutable. It is not a geolocation database, and not for
// measured distances.
package locate
