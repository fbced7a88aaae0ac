// Package source reads the files in which an operator says what is known of addresses: CSV with a header that names the columns,
// and geofeeds (RFC 8805).
//
// It reads the whole of a file and finds all that is wrong with it. It is not for databases; those are of package mmdb.
package source
