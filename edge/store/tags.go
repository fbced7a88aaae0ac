package store

import (
	"net/http"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// MaxTags bounds the tags of one object; what an origin gives beyond them does not count.
const MaxTags = 1000

// TagHash is the hash of a tag in [Object.Tags]. It is the same at all times and on all nodes. Two tags with
// the same hash are purged together.
func TagHash(tag string) uint64 { return xxhash.Sum64String(tag) }

// TagsOf returns the hashes of the tags in a response's header: those in Surrogate-Key, between which there are spaces, and
// those in Cache-Tag, between which there are commas. more says that there are more than [MaxTags].
func TagsOf(h http.Header) (tags []uint64, more bool) {
	add := func(tag string) {
		switch tag = strings.Trim(tag, " \t"); {
		case tag == "":
		case len(tags) == MaxTags:
			more = true
		default:
			tags = append(tags, TagHash(tag))
		}
	}
	for _, line := range h["Surrogate-Key"] {
		for tag := range strings.FieldsSeq(line) {
			add(tag)
		}
	}
	for _, line := range h["Cache-Tag"] {
		for tag := range strings.SplitSeq(line, ",") {
			add(tag)
		}
	}
	return tags, more
}
