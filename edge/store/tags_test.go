package store_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"nearcast/edge/store"
)

func TestTagsOf(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		want   []string
		more   bool
	}{
		{"none", http.Header{"Etag": {"x"}}, nil, false},
		{"spaces", http.Header{"Surrogate-Key": {" a  b\tA ", "c,d"}}, []string{"a", "b", "A", "c,d"}, false},
		{"commas", http.Header{"Cache-Tag": {"a, big sale ,,b", "c"}}, []string{"a", "big sale", "b", "c"}, false},
		{"both", http.Header{"Surrogate-Key": {"a"}, "Cache-Tag": {"b"}}, []string{"a", "b"}, false},
		{"empty", http.Header{"Surrogate-Key": {""}, "Cache-Tag": {" , "}}, nil, false},
		{"as many as there may be", http.Header{"Surrogate-Key": {strings.Repeat("a ", store.MaxTags)}}, slices.Repeat([]string{"a"}, store.MaxTags), false},
		{"too many", http.Header{"Cache-Tag": {strings.Repeat("a,", store.MaxTags+1)}}, slices.Repeat([]string{"a"}, store.MaxTags), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []uint64
			for _, tag := range tt.want {
				want = append(want, store.TagHash(tag))
			}
			if got, more := store.TagsOf(tt.header); !slices.Equal(got, want) || more != tt.more {
				t.Errorf("%d tags, more %v; want %d, %v", len(got), more, len(want), tt.more)
			}
		})
	}
}

// TestTagHash: it is in files, so that it must never change.
func TestTagHash(t *testing.T) {
	if got := store.TagHash("product-17"); got != 0xcc3d0d2f1e40c742 {
		t.Errorf("%#x", got)
	}
}
