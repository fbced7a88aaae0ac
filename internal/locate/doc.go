// Package locate says where a visitor is and who carries them: by the fleet's client prefixes, and below them by a database of
// addresses. It also says how far around the visitor's address the answer holds.
//
// It is pure and immutable: databases are read elsewhere (internal/geo) and come in as values. It works without any. It is not for
// measured distances.
package locate
